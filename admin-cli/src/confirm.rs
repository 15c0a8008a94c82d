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

/// What a person should know of a key before destroying or disabling anything of it: how it is said, and the field.
const KEY_FACTS: &[(&str, &str)] = &[
    ("Key", "name"),
    ("State", "state"),
    ("Purpose", "purpose"),
    ("Primary version", "primary"),
    ("Protected from deletion", "deletionProtection"),
];

/// What the destruction of a key means.
const LOSS: &str = "When its time comes, everything that was encrypted with it can never be read again, programs \
                    that use it fail, and what the law has you keep may be lost. Until then it can be restored.";

/// What the destruction of imported material at once means.
const LOSS_AT_ONCE: &str = "It is gone at once: until the same material is imported again, everything that was \
                            encrypted with it cannot be read, and programs that use it fail.";

/// The verb whose destruction waits for nothing.
const AT_ONCE: &str = "keys delete-imported-key-material";

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
    if matches!(call.verb.confirm, Confirm::Ask | Confirm::AskPlain | Confirm::AskPrimary) {
        call.console.say(&format!("claviger {}: {}.", call.verb.path, call.verb.about));
        if call.verb.confirm != Confirm::AskPlain {
            show(call, request, client)?;
        }
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
    let is_destroy = call.verb.confirm == Confirm::TypeName;
    let is_at_once = call.verb.path == AT_ONCE;
    let mut about_keys =
        related(request, &[("keyring", "keyring"), ("pending-window-days", "pending-window-days")]);
    about_keys.arguments.push(("names".to_owned(), ArgumentValue::List(named.clone())));
    let Some(keys) = look(call, client, "keys preflight", &about_keys)? else { return Ok(()) };
    match keys.as_array().map(Vec::as_slice) {
        Some([key]) => facts(key, is_destroy && !is_at_once).iter().for_each(|line| call.console.say(line)),
        Some(keys) => {
            let columns = command::verb("keys preflight").columns;
            let shown = columns.iter().filter(|column| is_destroy || column.field != "destroyTime");
            let columns: Vec<_> = shown.copied().collect();
            call.console.say(table::rows(keys, &columns, Some(table::WIDTH)).trim_end());
        }
        None => {}
    }
    if is_destroy {
        call.console.say(if is_at_once { LOSS_AT_ONCE } else { LOSS });
    }
    // A whole key is shown with its versions before it is destroyed, and versions always.
    let key = match (text(request, "key"), &named[..]) {
        (Some(key), _) => key.to_owned(),
        (None, [key]) if is_destroy => key.clone(),
        _ => return Ok(()),
    };
    let mut versions = related(request, &[("keyring", "keyring")]);
    versions.arguments.push(("key".to_owned(), ArgumentValue::Text(key)));
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

/// What is known of one key, a line for each fact.
fn facts(key: &Value, is_destroy: bool) -> Vec<String> {
    let said = |field: &str| key.get(field).map(crate::print::plain).filter(|text| !text.is_empty());
    let mut facts: Vec<(&str, String)> =
        KEY_FACTS.iter().filter_map(|(name, field)| Some((*name, said(field)?))).collect();
    facts.push((
        "Last use",
        match said("lastUseTime") {
            Some(time) => format!(
                "{time} by {} ({})",
                said("lastUsePrincipal").unwrap_or_default(),
                said("lastUseOperation").unwrap_or_default()
            ),
            None => "never, as far as is known".to_owned(),
        },
    ));
    facts.push(("Bound to", said("boundTo").unwrap_or_else(|| "nothing that was declared".to_owned())));
    if is_destroy {
        facts.push(("Gone for ever at", said("destroyTime").unwrap_or_default()));
    }
    facts.into_iter().map(|(name, fact)| format!("{name:24} {fact}")).collect()
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
                "keys preflight" => {
                    r#"[{"name":"r/cryptoKeys/invoices","purpose":"MAC","state":"ENABLED","boundTo":"disk d-1",
                         "lastUseTime":"2026-01-02T03:04:05Z","lastUsePrincipal":"user:alice",
                         "lastUseOperation":"GenerateMac","destroyTime":"2026-02-01T03:04:05Z"}]"#
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
        // DST-21 STA-14
        let (daemon, verbs) = daemon();
        let (exit, out, err) = run(daemon.socket(), DESTROY, "invoices\n", true);
        assert_eq!(exit, 0, "{err}");
        assert_eq!(verbs.iter().take(3).last(), Some("keys versions destroy"));
        assert!(err.contains("2        Enabled") && !err.contains("Disabled"), "{err}");
        for fact in [
            "Bound to                 disk d-1",
            "Last use                 2026-01-02T03:04:05Z by user:alice (GenerateMac)",
            "Gone for ever at         2026-02-01T03:04:05Z",
            "can never be read again",
        ] {
            assert!(err.contains(fact), "{fact}: {err}");
        }
        assert!(out.contains("Destroy scheduled"));
    }

    #[test]
    fn a_whole_key_is_shown_with_its_versions() {
        let (daemon, verbs) = daemon();
        let line = ["keys", "destroy", "invoices", "--keyring", "r"];
        let (exit, _, err) = run(daemon.socket(), &line, "invoices\n", true);
        assert_eq!(exit, 0, "{err}");
        assert_eq!(verbs.iter().take(3).last(), Some("keys destroy"));
        assert!(err.contains("1        Disabled") && err.contains("2        Enabled"), "{err}");
    }

    #[test]
    fn material_that_goes_at_once_is_not_said_to_be_restorable() {
        let (daemon, verbs) = daemon();
        let line = ["keys", "delete-imported-key-material", "invoices", "--keyring", "r"];
        let (exit, _, err) = run(daemon.socket(), &line, "invoices\n", true);
        assert_eq!(exit, 0, "{err}");
        assert_eq!(verbs.iter().take(3).last(), Some("keys delete-imported-key-material"));
        assert!(err.contains("gone at once") && !err.contains("can be restored"), "{err}");
        assert!(!err.contains("Gone for ever at"), "{err}");
    }

    #[test]
    fn another_id_or_none_does_not_send() {
        for answer in ["invoice\n", "", "yes\n"] {
            let (daemon, verbs) = daemon();
            let (exit, out, err) = run(daemon.socket(), DESTROY, answer, true);
            assert_eq!((exit, out.as_str()), (12, ""), "{err}");
            assert_eq!(verbs.try_iter().collect::<Vec<_>>(), ["keys preflight", "keys versions list"]);
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
                "keys preflight" => {
                    Reply::Failure(Failure { code, message: "no".into(), reason: "r".into() })
                }
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
