//! Asking before a destructive verb.

use claviger_protocol::admin::{ArgumentKind, ArgumentValue, Code, Confirm, Request, Verb, exit};
use serde_json::Value;

use crate::Call;
use crate::client::Client;
use crate::command;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::print::{last_segment, table};
use crate::request::{list, related, text};

/// What a person should know of a key before destroying anything of it.
const KEY_FACTS: &[&str] = &[
    "name",
    "purpose",
    "keyState",
    "primary.name",
    "lastUseTime",
    "destroyScheduledDuration",
    "deletionProtection",
];

/// What the destruction of a key means.
const LOSS: &str = "When its time comes, everything that was encrypted with it can never be read again, programs \
                    that use it fail, and what the law has you keep may be lost. Until then it can be restored.";

/// True when a verb about versions is about several, or about the primary one.
fn disables_primary(request: &Request, client: &mut Client) -> Result<bool> {
    let versions = list(request, "versions").unwrap_or_default();
    if versions.len() > 1 {
        return Ok(true);
    }
    let mut about_key = related(request, &[("keyring", "keyring")]);
    let key = text(request, "key").unwrap_or_default().to_owned();
    about_key.arguments.push(("names".to_owned(), ArgumentValue::List(vec![key])));
    let key = client.call(command::verb("keys describe"), &about_key)?;
    let primary = key.pointer("/primary/name").and_then(Value::as_str).map(last_segment);
    Ok(primary.is_some() && versions.iter().any(|version| Some(last_segment(version)) == primary))
}

/// Whether the person must be asked before the verb is sent.
///
/// # Errors
/// Nobody can be asked, or `--quiet` answered no.
pub fn asks(verb: &Verb, options: &Options, interactive: bool) -> Result<bool> {
    match verb.confirm {
        Confirm::No => Ok(false),
        _ if options.yes => Ok(false),
        // Whether it asks depends on what it is about: see `ask`.
        Confirm::AskPrimary => Ok(true),
        _ if options.quiet => {
            Err(Error::new(exit::DECLINED, "nothing was done: --quiet answers the confirmation with no"))
        }
        _ if interactive => Ok(true),
        _ => Err(Error::new(
            exit::CONFIRMATION_NEEDED,
            format!(
                "nothing was done: there is no terminal to confirm {} on; pass --yes to confirm",
                verb.path
            ),
        )),
    }
}

/// Shows what will be lost and has the person type what they mean.
///
/// # Errors
/// The person typed something else, or the key does not exist.
pub fn ask(call: &mut Call<'_, '_>, request: &Request, client: &mut Client) -> Result<()> {
    if call.verb.confirm == Confirm::AskPrimary {
        if !disables_primary(request, client)? {
            return Ok(());
        }
        let strict = Verb { confirm: Confirm::Ask, ..*call.verb };
        asks(&strict, &call.options, call.console.interactive)?;
    }
    if matches!(call.verb.confirm, Confirm::Ask | Confirm::AskPrimary) {
        call.console.say(&format!("claviger {}: {}.", call.verb.path, call.verb.about));
        show(call, request, client)?;
        let answer = call.console.ask("Go on (y/N)? ")?;
        return match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Error::new(exit::DECLINED, "nothing was done: the answer was not yes")),
        };
    }
    let expected = expected(call.verb, request);
    call.console.say(&format!("claviger {}: {}.", call.verb.path, call.verb.about));
    show(call, request, client)?;
    let answer = call.console.ask(&format!("Type {expected} to go on: "))?;
    if answer.trim() == expected {
        return Ok(());
    }
    Err(Error::new(exit::DECLINED, format!("nothing was done: {expected} was not typed")))
}

/// What must be typed: the key's id, or how many there are of several.
fn expected(verb: &Verb, request: &Request) -> String {
    let last_word = verb.path.rsplit(' ').next().unwrap_or_default();
    let positional = verb.arguments.iter().find_map(|argument| match argument.kind {
        ArgumentKind::PositionalList => list(request, argument.name),
        ArgumentKind::Positional => text(request, argument.name).map(|_| &[][..]),
        _ => None,
    });
    match (text(request, "key"), positional) {
        (Some(key), _) => last_segment(key).to_owned(),
        (None, Some([one])) => last_segment(one).to_owned(),
        (None, Some([])) | (None, None) => {
            text(request, "name").map(last_segment).unwrap_or("yes").to_owned()
        }
        (None, Some(several)) => format!("{last_word} {} keys", several.len()),
    }
}

fn show(call: &mut Call<'_, '_>, request: &Request, client: &mut Client) -> Result<()> {
    let named: Vec<String> = match list(request, "names") {
        Some(names) => names.to_vec(),
        None => text(request, "key").or(text(request, "name")).map(str::to_owned).into_iter().collect(),
    };
    if named.is_empty() {
        return Ok(());
    }
    let mut about_keys = related(request, &[("keyring", "keyring")]);
    about_keys.arguments.push(("names".to_owned(), ArgumentValue::List(named)));
    let Some(keys) = look(call, client, "keys describe", &about_keys)? else { return Ok(()) };
    let columns = command::verb("keys describe").columns;
    if let Some(keys) = keys.as_array() {
        call.console.say(table::rows(keys, columns, Some(table::WIDTH)).trim_end());
    } else {
        let facts: serde_json::Map<String, Value> = KEY_FACTS
            .iter()
            .filter_map(|field| Some(((*field).to_owned(), crate::print::field(&keys, field)?.clone())))
            .collect();
        call.console.say(table::list(&Value::Object(facts), columns).trim_end());
    }
    if call.verb.confirm == Confirm::TypeName {
        call.console.say(LOSS);
    }
    if text(request, "key").is_none() {
        return Ok(());
    }
    let versions = related(request, &[("key", "key"), ("keyring", "keyring")]);
    let Some(versions) = look(call, client, "keys versions list", &versions)? else { return Ok(()) };
    let named = list(request, "versions");
    let lost: Vec<Value> = versions
        .get("items")
        .unwrap_or(&versions)
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| {
            let id = version.get("name").and_then(Value::as_str).map(last_segment);
            named.is_none_or(|named| named.iter().any(|name| Some(last_segment(name)) == id))
        })
        .cloned()
        .collect();
    let columns = command::verb("keys versions list").columns;
    call.console.say(table::rows(&lost, columns, Some(table::WIDTH)).trim_end());
    Ok(())
}

/// A document about what will be lost; none for a person who may destroy but not look.
fn look(
    call: &mut Call<'_, '_>,
    client: &mut Client,
    path: &str,
    request: &Request,
) -> Result<Option<Value>> {
    match client.call(command::verb(path), request) {
        Ok(document) => Ok(Some(document)),
        Err(error) if error.exit == Code::PermissionDenied.exit_code() => {
            call.console.say(&format!("What will be lost cannot be shown: {}", error.message));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use claviger_protocol::admin::{Failure, Reply};

    use super::*;
    use crate::fake::{Daemon, document, run};

    const DESTROY: &[&str] = &["keys", "versions", "destroy", "2", "--keyring", "r", "--key", "invoices"];

    fn daemon() -> (Daemon, mpsc::Receiver<&'static str>) {
        let (sender, verbs) = mpsc::channel();
        let daemon = Daemon::start(move |verb, _| {
            sender.send(verb.path).unwrap();
            document(match verb.path {
                "keys describe" => {
                    r#"{"name":"r/cryptoKeys/invoices","purpose":"MAC","destroyScheduledDuration":"2592000s"}"#
                }
                "keys versions list" => {
                    r#"[{"name":"r/cryptoKeys/invoices/cryptoKeyVersions/1","state":"DISABLED"},
                        {"name":"r/cryptoKeys/invoices/cryptoKeyVersions/2","state":"ENABLED"}]"#
                }
                _ => r#"[{"name":"2","ok":true,"state":"DESTROY_SCHEDULED"}]"#,
            })
        });
        (daemon, verbs)
    }

    #[test]
    fn the_right_id_sends_and_what_is_lost_is_shown() {
        let (daemon, verbs) = daemon();
        let (exit, out, err) = run(daemon.socket(), DESTROY, "invoices\n", true);
        assert_eq!(exit, 0, "{err}");
        assert_eq!(verbs.iter().take(3).last(), Some("keys versions destroy"));
        assert!(
            err.contains("2592000s") && err.contains("2        Enabled") && !err.contains("Disabled"),
            "{err}"
        );
        assert!(out.contains("Destroy scheduled"));
    }

    #[test]
    fn another_id_or_none_does_not_send() {
        for answer in ["invoice\n", "", "yes\n"] {
            let (daemon, verbs) = daemon();
            let (exit, out, err) = run(daemon.socket(), DESTROY, answer, true);
            assert_eq!((exit, out.as_str()), (12, ""), "{err}");
            assert_eq!(verbs.try_iter().collect::<Vec<_>>(), ["keys describe", "keys versions list"]);
        }
    }

    #[test]
    fn without_a_terminal_only_yes_sends() {
        let nowhere = std::path::Path::new("/nonexistent/admin.sock");
        let (exit, _, err) = run(nowhere, DESTROY, "invoices\n", false);
        assert_eq!(exit, 11);
        assert!(err.contains("--yes"), "{err}");
        assert_eq!(run(nowhere, &[DESTROY, &["--quiet"]].concat(), "invoices\n", true).0, 12);
        let (daemon, verbs) = daemon();
        assert_eq!(run(daemon.socket(), &[DESTROY, &["--yes"]].concat(), "", false).0, 0);
        assert_eq!(verbs.try_iter().collect::<Vec<_>>(), ["keys versions destroy"]);
    }

    #[test]
    fn a_key_that_does_not_exist_ends_it_and_one_that_cannot_be_seen_does_not() {
        for (code, input, expected) in
            [(Code::NotFound, "invoices\n", 4), (Code::PermissionDenied, "invoices\n", 0)]
        {
            let daemon = Daemon::start(move |verb, _| match verb.path {
                "keys describe" => Reply::Failure(Failure { code, message: "no".into(), reason: "r".into() }),
                _ => document(r#"[{"name":"2","ok":true}]"#),
            });
            assert_eq!(run(daemon.socket(), DESTROY, input, true).0, expected);
        }
    }

    #[test]
    fn several_keys_are_counted() {
        const VERB: Verb = Verb {
            number: 0,
            path: "keys destroy",
            about: "",
            action: "",
            arguments: &[claviger_protocol::admin::Argument {
                name: "keys",
                kind: ArgumentKind::PositionalList,
                required: true,
                help: "",
            }],
            columns: &[],
            confirm: Confirm::TypeName,
        };
        let request = |keys: &[&str]| Request {
            arguments: vec![(
                "keys".into(),
                ArgumentValue::List(keys.iter().map(|key| (*key).into()).collect()),
            )],
        };
        assert_eq!(expected(&VERB, &request(&["a", "b"])), "destroy 2 keys");
        assert_eq!(expected(&VERB, &request(&["x/cryptoKeys/a"])), "a");
    }
}
