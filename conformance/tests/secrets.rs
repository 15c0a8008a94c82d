//! Marker keys and PINs are used, and then looked for where they must not be: in the client's memory, on the disk,
//! in a core dump that root forces, in a backup, in the log at its loudest.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use claviger_conformance::prelude::*;

/// Shortest piece of a secret that counts as found, in bytes.
const WINDOW: usize = 16;

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap().file_type() {
            kind if kind.is_dir() => found.extend(files(&path)),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

/// The secret of which a window stands in `content`; `secrets` are kept inverted. Each window holds one of the pieces of
/// half its length that begin at multiples of that, and those are found quickly.
fn find(content: &[u8], secrets: &[(&'static str, Vec<u8>)]) -> Option<&'static str> {
    const PIECE: usize = WINDOW / 2;
    let found = |secret: &[u8]| {
        (0..secret.len() / PIECE).map(|piece| piece * PIECE).any(|at| {
            memchr::memmem::find_iter(content, &secret[at..at + PIECE]).any(|hit| {
                let before = secret[..at].iter().rev().zip(content[..hit].iter().rev());
                let after = secret[at..].iter().zip(&content[hit..]);
                let same = |(one, two): &(&u8, &u8)| one == two;
                before.take_while(same).count() + after.take_while(same).count() >= WINDOW
            })
        })
    };
    secrets.iter().find_map(|(name, inverted)| {
        let secret: Vec<u8> = inverted.iter().map(|byte| !byte).collect();
        found(&secret).then_some(*name)
    })
}

/// Searches the readable memory of a process.
fn search_memory(pid: u32, secrets: &[(&'static str, Vec<u8>)]) -> (usize, Vec<String>) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let (mut searched, mut hits) = (0, Vec::new());
    for line in
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|flags| flags.starts_with("rw")))
    {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut content = vec![0; (to - from) as usize];
        memory.seek(SeekFrom::Start(from)).unwrap();
        if memory.read_exact(&mut content).is_ok() {
            searched += content.len();
            hits.extend(find(&content, secrets).map(|name| format!("{name} in {line}")));
        }
    }
    (searched, hits)
}

/// Ends the daemon with a signal that dumps core, and as root before that takes a core with a debugger, if there is
/// one, and lifts the limit. Gives what there is to search.
fn forced_core(daemon: &Daemon) -> Option<PathBuf> {
    let pid = daemon.pid();
    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let limits = proc("limits");
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(limit.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limit}");
    let mut core = None;
    if claviger_conformance::process::is_root() {
        assert_eq!(proc("coredump_filter").trim(), "00000000");
        let prefix = daemon.root().join("core");
        let gcore = Command::new("gcore").arg("-o").arg(&prefix).arg(pid.to_string()).output();
        match gcore {
            Ok(output) if output.status.success() => {
                core = Some(daemon.root().join(format!("core.{pid}")));
                println!("gcore wrote {} bytes", std::fs::metadata(core.as_ref().unwrap()).unwrap().len());
            }
            Ok(output) => println!("gcore got nothing: {}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => println!("no gcore here"),
        }
        // Root in a container may not.
        let lifted = Command::new("prlimit").arg(format!("--pid={pid}")).arg("--core=unlimited").output();
        println!("the limit is lifted: {}", lifted.is_ok_and(|lifted| lifted.status.success()));
        assert!(daemon.runs(), "the daemon outlives all that");
    }
    daemon.stop(libc::SIGABRT);
    // It is not dumpable, so the signal leaves nothing.
    assert_eq!(files(&daemon.root().join("cwd")), Vec::<PathBuf>::new());
    core
}

#[test]
fn marker_keys_and_pins_are_nowhere_else() {
    let daemon = Daemon::prepare();
    let mut command = daemon.command();
    // A core dump would be in its working directory, if nobody takes it away from there.
    std::fs::create_dir(daemon.root().join("cwd")).unwrap();
    command.env("CLAVIGER_LOG", "trace").current_dir(daemon.root().join("cwd"));
    daemon.launch(command).unwrap();
    let ring = Ring::create(&daemon, &[]);
    let setup = Application::on(&daemon);
    // PINs of the length of a window, set through the API.
    let pin = b"marker-pin-0123456789-abcdefghij".to_vec();
    let session = setup.login(&ring);
    setup.raw.set_pin(session, ring.user_pin.as_bytes(), &pin).unwrap();

    // Kept inverted, so that this search does not find itself.
    let inverted = |bytes: &[u8]| bytes.iter().map(|byte| !byte).collect::<Vec<u8>>();
    let rsa = openssl::rsa::Rsa::generate(2048).unwrap();
    let aes: Vec<u8> = (0..32u8).map(|i| i.wrapping_mul(37) ^ 0xa7).collect();
    let mut secrets = vec![("the PIN", inverted(&pin)), ("the AES key", inverted(&aes))];
    for (name, part) in [
        ("the RSA exponent", rsa.d().to_vec()),
        ("an RSA prime", rsa.p().unwrap().to_vec()),
        ("the other RSA prime", rsa.q().unwrap().to_vec()),
    ] {
        secrets.push((name, inverted(&part)));
    }
    let mut template = secret_key(KeyType::AES, &aes, &[A::ENCRYPT, A::DECRYPT]);
    template.extend(on_token("marker"));
    setup.raw.create_object(session, &template).unwrap();
    let mut template = vec![
        class(ObjectClass::PRIVATE_KEY),
        key_type(KeyType::RSA),
        bytes(A::MODULUS, rsa.n().to_vec()),
        bytes(A::PUBLIC_EXPONENT, rsa.e().to_vec()),
        bytes(A::PRIVATE_EXPONENT, rsa.d().to_vec()),
        bytes(A::PRIME_1, rsa.p().unwrap().to_vec()),
        bytes(A::PRIME_2, rsa.q().unwrap().to_vec()),
        bytes(A::EXPONENT_1, rsa.dmp1().unwrap().to_vec()),
        bytes(A::EXPONENT_2, rsa.dmq1().unwrap().to_vec()),
        bytes(A::COEFFICIENT, rsa.iqmp().unwrap().to_vec()),
        flag(A::SIGN, true),
    ];
    template.extend(on_token("marker"));
    setup.raw.create_object(session, &template).unwrap();

    // A client of its own uses the keys and stays.
    let mut child = std::process::Command::new(claviger_conformance::artefacts::client())
        .arg("use")
        .arg(claviger_conformance::artefacts::module())
        .arg(&ring.label)
        .arg("marker")
        .env("CLAVIGER_SOCKET", daemon.pkcs11_socket())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The PIN comes inverted too, and the client forgets it.
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), &inverted(&pin)).unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "used\n");
    let (searched, hits) = search_memory(child.id(), &secrets);
    println!("client memory: {searched} bytes searched, {} hits", hits.len());
    assert!(searched > 100_000 && hits.is_empty(), "{hits:?}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());

    // The daemon's own memory is the place for keys; the search would find them there.
    let (searched, hits) = search_memory(daemon.pid(), &secrets);
    println!("daemon memory: {searched} bytes searched, {} mappings with secrets", hits.len());
    assert!(hits.iter().all(|hit| !hit.starts_with("the PIN")), "a PIN outlives its check: {hits:?}");

    let passphrase = daemon.file("passphrase", "correct horse\n");
    let backup = daemon.root().join("backup");
    let (to, under) = (backup.to_str().unwrap(), passphrase.to_str().unwrap());
    daemon.admin().json(["backup", "create", "--file", to, "--passphrase-file", under]);
    let core = forced_core(&daemon);

    let log = daemon.log();
    assert!(log.contains("TRACE"), "the log is as loud as it gets");
    let log_file = daemon.root().join("daemon.log");
    let mut searched = 0;
    for path in files(&daemon.directory()).into_iter().chain([log_file, backup]).chain(core) {
        let content = std::fs::read(&path).unwrap();
        searched += content.len();
        assert_eq!(find(&content, &secrets), None, "{}", path.display());
        for (name, secret) in &secrets {
            let hex: String = secret[..WINDOW].iter().map(|byte| format!("{:02x}", !byte)).collect();
            let text = String::from_utf8_lossy(&content).to_lowercase();
            assert!(!text.contains(&hex), "{name} in hexadecimal in {}", path.display());
        }
    }
    println!("store, anchor, keyring, audit, backup, forced core and log: {searched} bytes searched, 0 hits");
}
