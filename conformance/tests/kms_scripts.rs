//! The guides of three clouds, each step carried out with `claviger`: `interop/kms-*.sh`.

use std::path::Path;
use std::process::Command;

use claviger_conformance::artefacts;

fn run(script: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(script);
    let programs = artefacts::claviger();
    let programs = programs.parent().expect("a directory");
    let output = Command::new("bash").arg(&here).arg(programs).output().expect("bash is installed");
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("all steps held"), "{script}: {said}{why}");
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(#[test] fn $name() { run($file) })*

        #[test]
        fn every_script_is_run() {
            let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
            let names = std::fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            for name in names.filter(|name| name.starts_with("kms-") && name.ends_with(".sh")) {
                assert!([$($file),*].contains(&name.as_str()), "{name} is run by no test");
            }
        }
    };
}

scripts! {
    google_destroy_and_restore = "kms-destroy-restore.sh";
    google_resources = "kms-resources.sh";
    google_import = "kms-import.sh";
    tencent_guide = "kms-tencent.sh";
    alibaba_guide = "kms-alibaba.sh";
}
