//! `keys versions import`: wraps the key for the import job, sends it, and waits for the result.

use std::path::PathBuf;

use claviger_protocol::Bytes;
use claviger_protocol::admin::{ArgumentValue, Code, Request};
use serde_json::Value;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::print::{self, last_segment};
use crate::wrap::Method;
use crate::{Call, command, key_file, request, wait};

/// Imports a version.
///
/// # Errors
/// Not exactly one of the key files, a file or job that does not fit, the daemon's, or an import that failed.
pub fn run(call: &mut Call<'_, '_>) -> Result<u8> {
    let path = |name| call.matches.get_one::<PathBuf>(name).cloned();
    let (target, wrapped, public) =
        (path("target-key-file"), path("wrapped-key-file"), path("public-key-file"));
    if target.is_some() == wrapped.is_some() {
        return Err(Error::usage("give exactly one of --target-key-file and --wrapped-key-file"));
    }
    if target.is_none() && public.is_some() {
        return Err(Error::usage("--public-key-file goes with --target-key-file alone"));
    }
    let mut request = request::build(call)?;
    let material = match target {
        Some(path) => {
            let algorithm = request::text(&request, "algorithm").unwrap_or_default();
            Some(key_file::material(algorithm, call.files.read(&path)?.bytes)?)
        }
        None => None,
    };
    let public_key = match public {
        Some(path) => Some(call.files.read(&path)?.bytes),
        None => None,
    };
    let mut client = Client::connect(&call.options.socket)?;
    if let Some(material) = material {
        let blob = wrap(&mut client, &request, public_key, &material)?;
        request.arguments.push(("wrapped-key-file".to_owned(), ArgumentValue::Bytes(blob)));
    }
    let version = client.call(call.verb, &request)?;
    let version = match call.local_flag("async") {
        true => version,
        false => finished(call, &mut client, &request, version)?,
    };
    print::print(call, &version)?;
    match wait::state(&version) {
        "IMPORT_FAILED" => {
            let reason =
                version.get("importFailureReason").and_then(Value::as_str).unwrap_or("no reason is given");
            Err(Error::usage(format!("{} was not imported: {reason}", wait::name(&version))))
        }
        _ => Ok(0),
    }
}

/// Wraps for the job as it is now.
fn wrap(client: &mut Client, request: &Request, public_key: Option<Bytes>, material: &[u8]) -> Result<Bytes> {
    let about_job = request::related(request, &[("import-job", "name"), ("keyring", "keyring")]);
    let job = client.call(command::verb("import-jobs describe"), &about_job)?;
    let method = job.get("importMethod").and_then(Value::as_str).unwrap_or("unknown");
    let method = Method::from_name(method)?;
    let pem = job.pointer("/publicKey/pem").and_then(Value::as_str).map(|pem| Bytes::from(pem.as_bytes()));
    let Some(public_key) = public_key.or(pem) else {
        let (name, state) = (wait::name(&job), wait::state(&job));
        let next = match state {
            "PENDING_GENERATION" => "claviger import-jobs wait waits for it",
            _ => "create another import job",
        };
        return Err(Error::code(Code::FailedPrecondition, format!("{name} has state {state}: {next}")));
    };
    method.wrap(&public_key, material)
}

/// The version when its import is over.
fn finished(
    call: &mut Call<'_, '_>,
    client: &mut Client,
    request: &Request,
    version: Value,
) -> Result<Value> {
    let mut about_version = request::related(request, &[("keyring", "keyring"), ("key", "key")]);
    let id = last_segment(wait::name(&version)).to_owned();
    about_version.arguments.push(("version".to_owned(), ArgumentValue::Text(id)));
    let describe = command::verb("keys versions describe");
    wait::until_left(call, client, describe, &about_version, version, "PENDING_IMPORT")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    use super::*;
    use crate::fake::{Daemon, document, run};
    use crate::wrap::tests::unwrap;

    const METHOD: &str = "RSA_OAEP_3072_SHA256_AES_256";
    const LINE: &[&str] = &[
        "keys",
        "versions",
        "import",
        "--keyring",
        "r",
        "--key",
        "k",
        "--import-job",
        "j",
        "--algorithm",
        "hmac-sha256",
    ];

    fn job(state: &str, pem: Option<&str>) -> String {
        let mut job = serde_json::json!({"name": "j", "state": state, "importMethod": METHOD});
        if let Some(pem) = pem {
            job["publicKey"] = serde_json::json!({"pem": pem});
        }
        job.to_string()
    }

    #[test]
    fn a_key_is_wrapped_for_the_job_and_waited_for() {
        let key = PKey::from_rsa(Rsa::generate(3072).unwrap()).unwrap();
        let job = job("ACTIVE", Some(&String::from_utf8(key.public_key_to_pem().unwrap()).unwrap()));
        let (sender, requests) = mpsc::channel();
        let daemon = Daemon::start(move |verb, request| {
            sender.send((verb.path, request)).unwrap();
            document(match verb.path {
                "import-jobs describe" => &job,
                "keys versions import" => r#"{"name":"k/cryptoKeyVersions/3","state":"PENDING_IMPORT"}"#,
                _ => r#"{"name":"k/cryptoKeyVersions/3","state":"ENABLED"}"#,
            })
        });
        let file = daemon.file("hmac.key", &[0x5a; 32]);
        let (exit, out, err) =
            run(daemon.socket(), &[LINE, &["--target-key-file", file.to_str().unwrap()]].concat(), "", false);
        assert_eq!(exit, 0, "{err}");
        assert!(out.contains("Enabled"), "{out}");
        let requests: Vec<_> = requests.try_iter().collect();
        assert_eq!(
            requests.iter().map(|(path, _)| *path).collect::<Vec<_>>(),
            ["import-jobs describe", "keys versions import", "keys versions describe"]
        );
        assert_eq!(request::text(&requests[0].1, "name"), Some("j"));
        assert_eq!(request::text(&requests[2].1, "version"), Some("3"));
        let sent = &requests[1].1.arguments;
        assert!(sent.iter().all(|(name, _)| name != "target-key-file"));
        let Some((_, ArgumentValue::Bytes(blob))) = sent.iter().find(|(name, _)| name == "wrapped-key-file")
        else {
            panic!("no blob in {sent:?}");
        };
        assert_eq!(unwrap(Method::from_name(METHOD).unwrap(), &key, blob), [0x5a; 32]);
    }

    #[test]
    fn a_blob_goes_as_it_is_and_a_failed_import_exits_with_2() {
        let daemon = Daemon::start(|verb, request| {
            assert_eq!(verb.path, "keys versions import");
            assert!(
                request
                    .arguments
                    .contains(&("wrapped-key-file".into(), ArgumentValue::Bytes(b"blob".into())))
            );
            document(r#"{"name":"k/1","state":"IMPORT_FAILED","importFailureReason":"UNWRAP_FAILED"}"#)
        });
        let file = daemon.file("blob", b"blob");
        let (exit, out, err) = run(
            daemon.socket(),
            &[LINE, &["--wrapped-key-file", file.to_str().unwrap()]].concat(),
            "",
            false,
        );
        assert_eq!((exit, err.as_str()), (2, "claviger: k/1 was not imported: UNWRAP_FAILED\n"));
        assert!(out.contains("k/1"));
    }

    #[test]
    fn a_job_without_a_public_key_says_its_state() {
        for (state, next) in [("PENDING_GENERATION", "import-jobs wait"), ("EXPIRED", "create another")] {
            let daemon = Daemon::start(move |_, _| document(&job(state, None)));
            let file = daemon.file("key", &[1; 32]);
            let (exit, _, err) = run(
                daemon.socket(),
                &[LINE, &["--target-key-file", file.to_str().unwrap()]].concat(),
                "",
                false,
            );
            assert_eq!(exit, 7);
            assert!(err.contains(state) && err.contains(next), "{err}");
        }
    }

    #[test]
    fn exactly_one_key_file_is_needed() {
        let nowhere = std::path::Path::new("/nonexistent");
        for extra in [
            &[][..],
            &["--target-key-file", "a", "--wrapped-key-file", "b"],
            &["--wrapped-key-file", "b", "--public-key-file", "c"],
        ] {
            assert_eq!(run(nowhere, &[LINE, extra].concat(), "", false).0, 2, "{extra:?}");
        }
    }
}
