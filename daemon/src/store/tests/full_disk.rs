//! A disk without space: what is there can be used, what is new is refused, and space makes it whole again.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::workload::{DIR, Model, Size, root, step};
use super::{scratch, wait};
use crate::store::{Error, open};

/// Room for the store, its reserve, and what is always kept free.
const DISK: &str = "size=120m";

#[test]
fn a_store_starts_on_a_full_disk_and_goes_on_when_there_is_room() {
    let dir = scratch();
    // A small disk of its own, in a mount namespace that ends with the child.
    let script = format!("mount -t tmpfs -o {DISK} none \"$0\" || exit 77; exec \"$@\"");
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "/bin/sh", "-c", &script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{}::child", module_path!().split_once("::").unwrap().1))
        .args(["--exact", "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(std::process::Stdio::piped());
    let Ok(process) = command.spawn() else { return println!("skipped: there is no unshare") };
    let (status, lines) = wait(process);
    if status.code() == Some(77) || status.code() == Some(1) && lines.is_empty() {
        return println!("skipped: no mount namespace may be made here");
    }
    assert!(status.success() && lines.iter().any(|line| line.contains("all of it")), "{status} {lines:?}");
}

fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = vec![7; 1 << 16];
    while file.write_all(&block).is_ok() {}
    while file.write_all(&block[..1]).is_ok() {}
}

/// Not a test of its own: the process on the small disk.
#[test]
#[ignore = "run as a child by a_store_starts_on_a_full_disk_and_goes_on_when_there_is_room"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (state, filler) = (Path::new(&dir).join("state"), Path::new(&dir).join("filler"));
    let root = root(&state);
    let mut model = Model::new(Size::Small);
    let records = open(&state, &root).unwrap();
    (0..30).for_each(|number| step(&records, number, Size::Small).unwrap());
    drop(records);
    assert!(state.join("reserve").exists());

    for _ in 0..2 {
        fill(&filler);
        // A second start finds the reserve used and its space free.
        for _ in 0..2 {
            let records = open(&state, &root).unwrap();
            assert_eq!(model.check(&records), Ok(30));
            assert!(!state.join("reserve").exists());
            assert!(matches!(step(&records, 30, Size::Small), Err(Error::NoSpace { .. })));
            assert!(matches!(records.purge(), Err(Error::NoSpace { .. })));
            assert_eq!(model.check(&records), Ok(30));
        }
        std::fs::remove_file(&filler).unwrap();
        let records = open(&state, &root).unwrap();
        assert!(state.join("reserve").exists());
        assert_eq!(model.check(&records), Ok(30));
    }
    // While it runs: refused without space, and taken again with it.
    let records = open(&state, &root).unwrap();
    fill(&filler);
    assert!(matches!(step(&records, 30, Size::Small), Err(Error::NoSpace { .. })));
    std::fs::remove_file(&filler).unwrap();
    step(&records, 30, Size::Small).unwrap();
    assert_eq!(model.check(&records), Ok(31));
    println!("all of it");
}
