//! The command line, built from table 5.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, ColorChoice, Command, ValueHint, value_parser};
use clap_complete::Shell;
use claviger_protocol::admin::{Argument, ArgumentKind, VERBS, Verb};

use crate::console::Verbosity;
use crate::offline;
use crate::print::Format;

/// The program's name.
const PROGRAM: &str = "claviger";

/// A word that opens several verbs.
struct Group {
    path: &'static str,
    about: &'static str,
    example: &'static str,
}

const GROUPS: &[Group] = &[
    Group {
        path: "keyrings",
        about: "Key rings: each is a token to PKCS#11 applications",
        example: "claviger keyrings create payments --so-pin-file so.pin --user-pin-file user.pin",
    },
    Group {
        path: "keyrings logins",
        about: "Who logs in on a token without a PIN",
        example: "claviger keyrings logins add payments --member user:www-data",
    },
    Group {
        path: "projects",
        about: "Projects: who may do what in all of one; shutting one puts all under it out of reach",
        example: "claviger projects add-binding --member group:auditors --role kms.auditor",
    },
    Group {
        path: "policies",
        about: "Who may do what: named policies, roles, and tests of both",
        example: "claviger policies test --principal user:alice --action kms:Encrypt \
                  --resource projects/local/locations/global/keyRings/payments",
    },
    Group {
        path: "keys",
        about: "Keys and their versions",
        example: "claviger keys create invoices --keyring payments --purpose asymmetric-signing \
                  --default-algorithm ec-sign-p256-sha256",
    },
    Group {
        path: "keys versions",
        about: "Versions of a key: create, import, enable, disable, destroy, restore",
        example: "claviger keys versions import --keyring payments --key invoices --import-job june \
                  --algorithm ec-sign-p256-sha256 --target-key-file invoices.pem",
    },
    Group {
        path: "keys rotation",
        about: "New versions from time to time",
        example: "claviger keys rotation enable invoices --keyring payments --rotation-period 90d",
    },
    Group {
        path: "keys tags",
        about: "Tags of keys",
        example: "claviger keys tags set invoices --keyring payments --tags team=billing",
    },
    Group {
        path: "keys bindings",
        about: "Who uses a key, as its users declare",
        example: "claviger keys bindings add invoices --keyring payments --product disk --resource-id d-1",
    },
    Group {
        path: "aliases",
        about: "Other names of keys",
        example: "claviger aliases create alias/billing --keyring payments --key invoices",
    },
    Group { path: "locations", about: "Where key rings are", example: "claviger locations list" },
    Group {
        path: "algorithms",
        about: "What keys can do",
        example: "claviger algorithms list --purpose asymmetric-signing",
    },
    Group {
        path: "config",
        about: "The daemon's configuration",
        example: "claviger config check --file /etc/claviger/clavigerd.toml",
    },
    Group { path: "clock", about: "The clock that schedules run on", example: "claviger clock status" },
    Group { path: "events", about: "What somebody should hear of", example: "claviger events watch" },
    Group {
        path: "audit",
        about: "What was done",
        example: "claviger audit list --since=-24h --result PERMISSION_DENIED",
    },
    Group {
        path: "store",
        about: "The store: verify it while the daemon runs; the rest is done while it does not",
        example: "claviger store verify",
    },
    Group {
        path: "backup",
        about: "Backups: create them while the daemon runs, verify and restore them without it",
        example: "claviger backup create --file monday.backup --recipient-file safe.pem",
    },
    Group { path: "root", about: "The root key, which opens the store", example: "claviger root rotate" },
    Group {
        path: "import-jobs",
        about: "Import jobs: key pairs that wrap key material on its way in",
        example: "claviger import-jobs create june --keyring payments \
                  --import-method rsa-oaep-3072-sha256-aes-256 --protection-level software",
    },
];

/// A verb that this program does alone.
const LOCAL: &[(&str, &str)] = &[
    ("version", "Print this program's version"),
    ("completion", "Print a completion script for a shell"),
    ("manual", "Write the manual pages into a directory"),
];

const GLOBAL_HEADING: &str = "Global options";

/// The whole command line.
pub fn command() -> Command {
    let completion =
        Arg::new("shell").required(true).value_parser(value_parser!(Shell)).help("Shell to complete in");
    let locals = LOCAL.iter().map(|(name, about)| {
        let local = Command::new(*name).about(*about);
        match *name {
            "completion" => local.arg(completion.clone()),
            "manual" => local.arg(
                Arg::new("directory").required(true).value_parser(value_parser!(PathBuf)).help("Directory"),
            ),
            _ => local,
        }
    });
    Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .about("Manages the key rings, keys, versions and import jobs of clavigerd")
        .after_help(
            "Exit codes: 0 done, 1 internal, 2 invalid, 3 not built, 4 not found, 5 exists, 6 denied, \
             7 wrong state or partly failed, 8 etag, 9 limit, 10 no daemon, 11 not confirmed, 12 declined, \
             13 not verified",
        )
        .color(ColorChoice::Never)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .args(global_options())
        .subcommands(below(""))
        .subcommands(locals)
}

/// The words of the chosen command, and its arguments.
pub fn leaf(mut matches: &ArgMatches) -> (String, &ArgMatches) {
    let mut words = Vec::new();
    while let Some((word, inner)) = matches.subcommand() {
        words.push(word);
        matches = inner;
    }
    (words.join(" "), matches)
}

/// The row of a path that is known to be in the table.
pub fn verb(path: &str) -> &'static Verb {
    let found = VERBS.iter().find(|verb| verb.path == path);
    found.unwrap_or_else(|| unreachable!("{path} is no verb of the table"))
}

/// What a verb of this program's own prints; none for a verb of the daemon.
pub fn local(path: &str, matches: &ArgMatches) -> Option<String> {
    match path {
        "version" => Some(format!("{PROGRAM} {}\n", env!("CARGO_PKG_VERSION"))),
        "completion" => {
            let mut script = Vec::new();
            clap_complete::generate(
                *matches.get_one::<Shell>("shell")?,
                &mut command(),
                PROGRAM,
                &mut script,
            );
            let script = String::from_utf8(script).ok()?;
            Some(script + &crate::completion::names(*matches.get_one::<Shell>("shell")?))
        }
        _ => None,
    }
}

/// The commands one word below `prefix`.
fn below(prefix: &str) -> Vec<Command> {
    let mut words: Vec<&str> = Vec::new();
    for verb in VERBS {
        let rest = match prefix {
            "" => Some(verb.path),
            _ => verb.path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(' ')),
        };
        if let Some(word) = rest.and_then(|rest| rest.split(' ').next())
            && !words.contains(&word)
        {
            words.push(word);
        }
    }
    let verbs = words.into_iter().map(|word| node(word, format!("{prefix} {word}").trim_start()));
    verbs.chain(offline::below(prefix)).collect()
}

fn node(word: &str, path: &str) -> Command {
    let command = Command::new(word.to_owned());
    if let Some(verb) = VERBS.iter().find(|verb| verb.path == path) {
        return command.about(verb.about).args(verb.arguments.iter().map(argument));
    }
    let command = match GROUPS.iter().find(|group| group.path == path) {
        Some(group) => command.about(group.about).after_help(format!("Example:\n  {}", group.example)),
        None => command,
    };
    command
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(below(path))
}

fn argument(argument: &Argument) -> Arg {
    let arg = Arg::new(argument.name).help(argument.help).required(argument.required);
    let value_name = argument.name.to_uppercase();
    let option = |arg: Arg| arg.long(argument.name);
    match argument.kind {
        ArgumentKind::Positional => arg.value_name(value_name),
        ArgumentKind::PositionalDocument => {
            arg.value_name("FILE").value_parser(value_parser!(PathBuf)).value_hint(ValueHint::FilePath)
        }
        ArgumentKind::PositionalList => arg.value_name(value_name).num_args(1..).action(ArgAction::Append),
        ArgumentKind::Text => option(arg).value_name(value_name),
        ArgumentKind::Flag | ArgumentKind::LocalFlag => option(arg).action(ArgAction::SetTrue),
        ArgumentKind::Choice(values) => {
            option(arg).value_name(value_name).value_parser(PossibleValuesParser::new(values))
        }
        ArgumentKind::File
        | ArgumentKind::Document
        | ArgumentKind::PinFile
        | ArgumentKind::Local
        | ArgumentKind::Output(_) => option(arg)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
    }
}

fn global_options() -> Vec<Arg> {
    let global = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).global(true).help_heading(GLOBAL_HEADING)
    };
    let flag = |name, help| global(name, help).action(ArgAction::SetTrue);
    vec![
        global("socket", "The daemon's admin socket [env: CLAVIGER_ADMIN_SOCKET]")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
        global("format", "table, json, yaml, csv, none or value(FIELD,...) [default: table]")
            .value_name("FORMAT")
            .value_parser(ValueParser::new(|text: &str| text.parse::<Format>())),
        global("project", "Project [default: local]").value_name("PROJECT"),
        global("location", "Location [default: global]").value_name("LOCATION"),
        flag("yes", "Answer every question with yes").short('y').conflicts_with("quiet"),
        flag("quiet", "No prose but warnings and errors; answer every question with no").short('q'),
        global("verbosity", "Prose on stderr: debug shows what is asked of the daemon [default: info]")
            .value_name("VERBOSITY")
            .value_parser(PossibleValuesParser::new(Verbosity::WORDS.iter().map(|(word, _)| *word))),
        flag("no-color", "Accepted; colours are never used"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound_and_has_every_verb() {
        let mut root = command();
        root.build();
        root.clone().debug_assert();
        for verb in VERBS {
            let found = verb.path.split(' ').try_fold(&root, |command, word| command.find_subcommand(word));
            let command = found.unwrap_or_else(|| panic!("{}", verb.path));
            for argument in verb.arguments {
                let arg = command.get_arguments().find(|arg| arg.get_id() == argument.name).unwrap();
                assert_eq!(arg.is_required_set(), argument.required, "{} {}", verb.path, argument.name);
            }
        }
    }

    #[test]
    fn every_group_has_its_row() {
        for verb in VERBS {
            for (end, _) in verb.path.match_indices(' ') {
                let path = &verb.path[..end];
                assert!(GROUPS.iter().any(|group| group.path == path), "{path}");
            }
        }
    }

    #[test]
    fn examples_parse() {
        for group in GROUPS {
            command().try_get_matches_from(group.example.split_whitespace()).unwrap();
        }
    }

    #[test]
    fn the_leaf_is_found_and_wrong_usage_exits_with_2() {
        let line = "claviger keys versions destroy 1 2 --keyring r --key k --format=value(name,state) -y";
        let matches = command().try_get_matches_from(line.split(' ')).unwrap();
        let (path, leaf) = leaf(&matches);
        assert_eq!(path, "keys versions destroy");
        assert_eq!(leaf.get_many::<String>("versions").unwrap().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(
            leaf.get_one::<Format>("format"),
            Some(&Format::Value(vec!["name".into(), "state".into()]))
        );
        assert!(leaf.get_flag("yes"));
        for line in
            ["claviger", "claviger keys", "claviger keys list", "claviger -y -q status", "claviger nonsense"]
        {
            assert_eq!(command().try_get_matches_from(line.split(' ')).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn completion_scripts_know_the_verbs() {
        for shell in ["bash", "zsh", "fish"] {
            let matches = command().try_get_matches_from([PROGRAM, "completion", shell]).unwrap();
            let (path, leaf) = leaf(&matches);
            assert!(local(&path, leaf).unwrap().contains("get-public-key"), "{shell}");
        }
    }
}
