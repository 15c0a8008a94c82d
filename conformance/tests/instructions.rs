//! How many instructions C_SignInit and C_Sign of P-256 cost, in the module and in the daemon, against figures that are
//! written here. Instructions do not depend on what else the machine does, as times do.
//!
//! valgrind counts them (callgrind), and shows every processor as the same kind; libcrypto is told to use none of what
//! some processors have and others have not. The figures are of the release profile as it ships: another one, such as
//! a quick build for development, has others, so this runs where `CLAVIGER_COUNT_INSTRUCTIONS=1` says so (`make test`,
//! `make instructions`).

use std::path::Path;
use std::process::Command;

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;

/// What the two functions cost together in the module, once their key is known. x86-64. 500 of them are the mailbox, which
/// copies, wakes and yields where the kernel did with a socket: there a call cost twice the time outside the daemon.
const MODULE: u64 = 4_250;
/// What they cost in the daemon, the signature itself included.
const DAEMON: u64 = 283_700;
/// More than this is a failure, in percent; much less asks for a new figure.
const TOLERANCE: u64 = 10;

/// P-256 in libcrypto without BMI2, ADX, AVX and SHA extensions, which not all machines have.
const PLAIN_PROCESSOR: (&str, &str) = ("OPENSSL_ia32cap", "~0x1000000000000000:~0xffffffffffffffff");

fn valgrind(out: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "-q"]).arg(format!("--callgrind-out-file={}", out.display()));
    command.env(PLAIN_PROCESSOR.0, PLAIN_PROCESSOR.1);
    command
}

/// Instructions in callgrind's file.
fn instructions(out: &Path) -> u64 {
    let text = std::fs::read_to_string(out).expect("callgrind's file");
    let totals = text.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")));
    totals.and_then(|total| total.split_whitespace().next()?.parse().ok()).expect("a total")
}

struct Bench {
    daemon: Daemon,
    ring: Ring,
}

impl Bench {
    /// A store with a key in it, and no daemon.
    fn new() -> Bench {
        let daemon = Daemon::start();
        let ring = Ring::create(&daemon, &[]);
        let app = Application::on(&daemon);
        let session = app.login(&ring);
        app.ec(session, curve::P256, &on_token("key")).unwrap();
        drop(app);
        assert!(daemon.stop(libc::SIGTERM).success());
        Bench { daemon, ring }
    }

    /// Signs so often, with or without valgrind around the client.
    fn sign(&self, count: u64, around: Option<Command>) {
        let mut command = match around {
            Some(mut valgrind) => {
                valgrind.arg(artefacts::client());
                valgrind
            }
            None => Command::new(artefacts::client()),
        };
        command.arg("sign-again").arg(artefacts::module()).args([&self.ring.label, &count.to_string()]);
        command.env("CLAVIGER_SOCKET", self.daemon.pkcs11_socket()).env("PIN", &self.ring.user_pin);
        let output = command.output().expect("running the client");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the module's two functions cost, each time.
    fn module(&self, count: u64) -> u64 {
        self.daemon.restart();
        let out = self.daemon.root().join("module.callgrind");
        let mut valgrind = valgrind(&out);
        valgrind.args(["--toggle-collect=C_SignInit", "--toggle-collect=C_Sign"]);
        self.sign(count, Some(valgrind));
        assert!(self.daemon.stop(libc::SIGTERM).success());
        instructions(&out) / count
    }

    /// What the daemon does to answer a login and so many signatures. What its other threads do meanwhile, and how it
    /// starts, differ from run to run and are not counted.
    fn daemon(&self, count: u64) -> u64 {
        let out = self.daemon.root().join(format!("daemon-{count}.callgrind"));
        let mut command = valgrind(&out);
        command.arg("--toggle-collect=clavigerd::connection::answer");
        command.arg(artefacts::clavigerd()).arg("--dev").arg(self.daemon.directory());
        self.daemon.launch(command).unwrap_or_else(|failure| panic!("{failure}"));
        self.sign(count, None);
        assert!(self.daemon.stop(libc::SIGTERM).success());
        instructions(&out)
    }
}

fn check(what: &str, counted: u64, recorded: u64) {
    println!("{what}: {counted} instructions, {recorded} recorded");
    let limit = recorded * (100 + TOLERANCE) / 100;
    assert!(counted <= limit, "{what} costs {counted} instructions, more than {TOLERANCE} % over {recorded}");
    if counted < recorded * (100 - 2 * TOLERANCE) / 100 {
        println!("{what} has become much cheaper: record {counted} in tests/instructions.rs");
    }
}

#[test]
fn a_signature_costs_no_more_instructions_than_it_did() {
    let wanted = std::env::var_os("CLAVIGER_COUNT_INSTRUCTIONS").is_some_and(|value| value == "1");
    let can = cfg!(target_arch = "x86_64") && Command::new("valgrind").arg("--version").output().is_ok();
    if !wanted || !can {
        println!(
            "skipped: {}",
            if wanted { "no valgrind here" } else { "CLAVIGER_COUNT_INSTRUCTIONS is not 1" }
        );
        return;
    }
    let bench = Bench::new();
    check("C_SignInit and C_Sign in the module", bench.module(400), MODULE);
    let (few, many) = (bench.daemon(50), bench.daemon(450));
    check("C_SignInit and C_Sign in the daemon", (many - few) / 400, DAEMON);
}
