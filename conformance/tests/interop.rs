//! Programs that are not ours, on a token of ours. The demo shows more of them.

use std::process::Command;

use claviger_conformance::admin::{Answer, answer};
use claviger_conformance::artefacts;
use claviger_conformance::openssl::OpenSsl;
use claviger_conformance::prelude::*;

fn pkcs11_tool(setup: &Setup, arguments: &str) -> Answer {
    let mut command = Command::new("pkcs11-tool");
    command
        .arg("--module")
        .arg(artefacts::module())
        .args(["--token-label", &setup.ring.label, "--login", "--pin", "env:PIN"])
        .args(arguments.split_whitespace())
        .env("CLAVIGER_SOCKET", setup.daemon.pkcs11_socket())
        .env("PIN", &setup.ring.user_pin);
    answer(command)
}

#[test]
fn pkcs11_tool_finds_no_error() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    let id = |id| [&on_token("key")[..], &[bytes(A::ID, [id])]].concat();
    setup.app.rsa(session, 2048, &id(1)).unwrap();
    setup.app.ec(session, curve::P256, &id(2)).unwrap();
    let test = pkcs11_tool(&setup, "--test");
    assert_eq!(test.code, Some(0), "{}{}", test.stdout, test.stderr);
    assert!(test.stdout.contains("No errors"), "{}{}", test.stdout, test.stderr);
    assert!(!test.stdout.contains("ERR:"), "{}", test.stdout);
}

#[test]
fn pkcs11_tool_forks_and_threads() {
    let setup = Setup::new();
    let fork = pkcs11_tool(&setup, "--test-fork");
    assert_eq!(fork.code, Some(0), "{}{}", fork.stdout, fork.stderr);
    for command in ["IN", "ILGISLT0"] {
        let threads =
            pkcs11_tool(&setup, &format!("--use-locking --test-threads {command} --test-threads {command}"));
        assert_eq!(threads.code, Some(0), "{command}: {}{}", threads.stdout, threads.stderr);
    }
}

#[test]
fn pkcs11_tool_keeps_a_certificate_and_data() {
    let setup = Setup::new();
    let openssl = OpenSsl::with(&[]);
    openssl
        .run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -subj /CN=kept -days 1 -outform DER -out certificate")
        .unwrap();
    let certificate = setup.daemon.file("certificate.der", openssl.read("certificate"));
    let note = setup.daemon.file("note", "a note");
    let out = setup.daemon.root().join("read-back");
    let (certificate_path, note, out_path) =
        (certificate.to_string_lossy(), note.to_string_lossy(), out.to_string_lossy().into_owned());
    for (write, read, expected) in [
        (
            format!("--write-object {certificate_path} --type cert --id 05 --label cert"),
            format!("--read-object --type cert --id 05 --output-file {out_path}"),
            openssl.read("certificate"),
        ),
        (
            format!("--write-object {note} --type data --label note --application-label tests"),
            format!("--read-object --type data --label note --output-file {out_path}"),
            b"a note".to_vec(),
        ),
    ] {
        let written = pkcs11_tool(&setup, &write);
        assert_eq!(written.code, Some(0), "{write}: {}", written.stderr);
        let read_back = pkcs11_tool(&setup, &read);
        assert_eq!(read_back.code, Some(0), "{read}: {}", read_back.stderr);
        assert_eq!(std::fs::read(&out).unwrap(), expected);
    }
    let deleted = pkcs11_tool(&setup, "--delete-object --type cert --id 05");
    assert_eq!(deleted.code, Some(0), "{}", deleted.stderr);
    let listed = pkcs11_tool(&setup, "--list-objects");
    assert!(!listed.stdout.contains("Certificate Object"), "{}", listed.stdout);
}

#[test]
fn pkcs11_tool_brings_its_own_keys() {
    let setup = Setup::new();
    let openssl = OpenSsl::with(&[]);
    for (n, options) in
        ["-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"]
            .into_iter()
            .enumerate()
    {
        openssl.run(&format!("genpkey {options} -out key")).unwrap();
        openssl.run("pkey -in key -outform DER -out key.der").unwrap();
        let file = setup.daemon.file(&format!("key-{n}.der"), openssl.read("key.der"));
        let write = format!(
            "--write-object {} --type privkey --id 0{n} --label brought --usage-sign",
            file.display()
        );
        let written = pkcs11_tool(&setup, &write);
        assert_eq!(written.code, Some(0), "{write}: {}", written.stderr);
    }
    let session = setup.app.login(&setup.ring);
    let found = setup.app.raw.find(session, &[label("brought"), class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert_eq!(found.len(), 2);
    for key in found {
        assert_eq!(setup.app.raw.attribute(session, key, A::LOCAL), Ok(vec![0]));
        assert_eq!(setup.app.raw.attribute(session, key, A::SENSITIVE), Ok(vec![1]));
    }
}

#[test]
fn the_openssl_engine_signs_and_decrypts() {
    let setup = Setup::new();
    let session = setup.app.login(&setup.ring);
    setup.app.rsa(session, 2048, &[&on_token("rsa")[..], &[bytes(A::ID, [1])]].concat()).unwrap();
    let engine = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|triplet| format!("/usr/lib/{triplet}/engines-3/pkcs11.so"))
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .expect("libengine-pkcs11-openssl is installed");
    let config = setup.daemon.file(
        "engine.cnf",
        format!(
            "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\n\
             engine_id = pkcs11\ndynamic_path = {engine}\nMODULE_PATH = {}\nPIN = {}\n",
            artefacts::module().display(),
            setup.ring.user_pin
        ),
    );
    let run = |arguments: &str| {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(setup.daemon.root())
            .env("OPENSSL_CONF", &config)
            .env("CLAVIGER_SOCKET", setup.daemon.pkcs11_socket());
        let said = answer(command);
        assert_eq!(said.code, Some(0), "openssl {arguments}: {}{}", said.stdout, said.stderr);
        said.stdout
    };
    setup.daemon.file("data", "data");
    let key = format!("pkcs11:token={};object=rsa;type=private", setup.ring.label.replace(' ', "%20"));
    run(&format!("pkey -engine pkcs11 -inform engine -in {key} -pubout -out public.pem"));
    run(&format!("dgst -engine pkcs11 -keyform engine -sha256 -sign {key} -out signature data"));
    assert!(run("dgst -sha256 -verify public.pem -signature signature data").contains("Verified OK"));
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";
    run(&format!("dgst -engine pkcs11 -keyform engine -sha256 {pss} -sign {key} -out signature data"));
    assert!(
        run(&format!("dgst -sha256 {pss} -verify public.pem -signature signature data"))
            .contains("Verified OK")
    );
    let oaep = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256";
    run(&format!("pkeyutl -encrypt -pubin -inkey public.pem {oaep} -in data -out encrypted"));
    run(&format!(
        "pkeyutl -decrypt -engine pkcs11 -keyform engine -inkey {key} {oaep} -in encrypted -out decrypted"
    ));
    assert_eq!(std::fs::read(setup.daemon.root().join("decrypted")).unwrap(), b"data");
}
