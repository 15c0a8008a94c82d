//! What is linked in: where it comes from, under which licence, and which exceptions are made (`deny.toml`).

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_crate_comes_from_the_registry_with_its_checksum() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let ours = ["claviger", "claviger-conformance", "claviger-pkcs11", "claviger-protocol", "clavigerd"];
    let mut crates = 0;
    for package in lock.split("[[package]]").skip(1) {
        let name = package.split('"').nth(1).unwrap();
        crates += 1;
        if ours.contains(&name) {
            continue;
        }
        assert!(package.contains("source = \"registry+"), "{name} comes from elsewhere");
        assert!(package.contains("checksum = \""), "{name} has no checksum");
    }
    println!("{crates} crates");
}

#[test]
fn every_exception_has_a_reason_and_a_date() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let exceptions: Vec<_> = deny.lines().filter(|line| line.contains("id = \"RUSTSEC-")).collect();
    assert!(!exceptions.is_empty());
    for exception in exceptions {
        assert!(exception.contains("reason = \"") && exception.contains("review by 20"), "{exception}");
    }
}

#[test]
fn cargo_deny_agrees() {
    let deny = |arguments: &[&str]| Command::new("cargo-deny").args(arguments).current_dir(root()).output();
    if deny(&["--version"]).is_err() {
        return println!(
            "cargo-deny is not installed (make deny installs it); licences and bans are not checked"
        );
    }
    let output = deny(&["--offline", "check", "licenses", "bans", "sources"]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{}", String::from_utf8_lossy(&output.stdout).trim());
}
