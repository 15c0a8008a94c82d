//! Where the built things are.

use std::path::PathBuf;

/// The directory of the built programs: `target/release`, above the test binary or beside the program.
/// `CLAVIGER_RELEASE` names another one.
pub fn directory() -> PathBuf {
    if let Some(directory) = std::env::var_os("CLAVIGER_RELEASE") {
        return directory.into();
    }
    let exe = std::env::current_exe().expect("the path of this program");
    let directory = exe.parent().expect("a program is in a directory");
    // Test binaries are in target/release/deps.
    let above = if directory.ends_with("deps") { directory.parent() } else { None };
    above.unwrap_or(directory).to_owned()
}

fn built(name: &str) -> PathBuf {
    let path = directory().join(name);
    assert!(path.exists(), "{} is not built; run `make build`", path.display());
    path
}

/// The PKCS#11 module.
pub fn module() -> PathBuf {
    built("libclaviger_pkcs11.so")
}

/// The daemon.
pub fn clavigerd() -> PathBuf {
    built("clavigerd")
}

/// The daemon with a clock that tests set, which can also fill a store.
pub fn clavigerd_testing() -> PathBuf {
    built("clavigerd-testing")
}

/// The CLI.
pub fn claviger() -> PathBuf {
    built("claviger")
}

/// This package's program for tests that need another process.
pub fn client() -> PathBuf {
    built("conformance-client")
}
