//! Starting: many applications at once, and a daemon with many keys.

use std::process::{Command, Stdio};
use std::time::Instant;

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;

use crate::median;

/// Starts 8 and 16 applications at once, at least a hundred of them, and tells how many could sign.
pub fn processes(daemon: &'static Daemon, rounds: usize) {
    let ring = Ring::create(daemon, &[]);
    let app = Application::on(daemon);
    let session = app.login(&ring);
    app.ec(session, curve::P256, &on_token("key")).expect("C_GenerateKeyPair");
    println!(
        "\n| Processes that start at once, log in and sign | succeeded | ms until the last is done |\n|---|---|---|"
    );
    for count in [8, 16] {
        let (mut good, mut all, mut millis) = (0, 0, Vec::new());
        while millis.len() < rounds || all < 100 {
            let begin = Instant::now();
            let children: Vec<_> = (0..count)
                .map(|_| {
                    let mut command = Command::new(artefacts::client());
                    command.args(["sign".as_ref(), artefacts::module().as_os_str()]).args([&ring.label, "1"]);
                    command.env("CLAVIGER_SOCKET", daemon.pkcs11_socket()).env("PIN", &ring.user_pin);
                    command.stdout(Stdio::null()).spawn().expect("conformance-client")
                })
                .collect();
            for mut child in children {
                all += 1;
                good += usize::from(child.wait().is_ok_and(|status| status.success()));
            }
            millis.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        println!("| {count} | {good} of {all} | {:.0} |", median(millis));
    }
}

/// Starts a daemon again whose store holds many keys.
pub fn large(daemon: &'static Daemon) {
    daemon.kill();
    let begin = Instant::now();
    daemon.restart();
    let ready = begin.elapsed().as_secs_f64();
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let mega = resident.and_then(|kilo| kilo.trim().parse::<f64>().ok()).unwrap_or(0.0) / 1024.0;
    let initialize = |_| {
        let app = Application::load(daemon.root());
        let begin = Instant::now();
        claviger_conformance::application::initialize(&app.raw, &daemon.pkcs11_socket(), Arguments::Flags(2))
            .expect("C_Initialize");
        begin.elapsed().as_secs_f64() * 1e3
    };
    let initialized = median((0..7).map(initialize).collect());
    println!("\n| With 100,000 keys | | wanted at most |\n|---|---|---|");
    println!("| daemon ready, s | {ready:.2} | 1.5 |\n| its resident memory, MiB | {mega:.0} | 250 |");
    println!("| C_Initialize, ms | {initialized:.2} | 5 |");
}
