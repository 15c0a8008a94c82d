//! Completion of names that the daemon knows: key rings, keys, versions, import jobs and aliases are asked for while
//! the person types.

use clap_complete::Shell;
use claviger_protocol::admin::{ArgumentKind, VERBS};

/// What follows clap's script: live names, and clap's own completion for all else.
pub fn names(shell: Shell) -> String {
    match shell {
        Shell::Bash => BASH.replace("@FLAGS@", &flags().join("|")),
        Shell::Fish => FISH.to_owned(),
        Shell::Zsh => ZSH.to_owned(),
        _ => String::new(),
    }
}

/// Options that take no value.
fn flags() -> Vec<String> {
    let arguments = VERBS.iter().flat_map(|verb| verb.arguments);
    let mut flags: Vec<String> = arguments
        .filter(|argument| matches!(argument.kind, ArgumentKind::Flag | ArgumentKind::LocalFlag))
        .map(|argument| format!("--{}", argument.name))
        .chain(["--yes", "-y", "--quiet", "-q", "--no-color", "--help", "-h"].map(str::to_owned))
        .collect();
    flags.sort();
    flags.dedup();
    flags
}

const BASH: &str = r#"
_claviger_ids() {
    claviger "$@" --format 'value(name)' 2>/dev/null | sed 's#.*/##'
}
_claviger_live() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} i word
    local -a verb=() scope=() ring=() key=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            @FLAGS@) ;;
            --socket|--project|--location) scope+=("$word" "${COMP_WORDS[++i]}") ;;
            --keyring) ring=("$word" "${COMP_WORDS[++i]}") ;;
            --key) key=("$word" "${COMP_WORDS[++i]}") ;;
            -*) ((i++)) ;;
            *) verb+=("$word") ;;
        esac
    done
    local ids=
    case $prev in
        --keyring|--destination-keyring) ids=$(_claviger_ids "${scope[@]}" keyrings list) ;;
        --key|--destination-key) ids=$(_claviger_ids "${scope[@]}" keys list "${ring[@]}") ;;
        --import-job) ids=$(_claviger_ids "${scope[@]}" import-jobs list "${ring[@]}") ;;
        --version|--primary-version) ids=$(_claviger_ids "${scope[@]}" keys versions list "${ring[@]}" "${key[@]}") ;;
        *)
            if [[ $cur != -* ]]; then
                case "${verb[*]}" in
                    'keys versions import'*|'keys create'*|'keys list'*|'keys versions list'*|'keys versions create'*) ;;
                    'keys versions '[a-z]*) ids=$(_claviger_ids "${scope[@]}" keys versions list "${ring[@]}" "${key[@]}") ;;
                    'keys rotation '[a-z]*|'keys tags '[a-z]*|'keys bindings '[a-z]*) ids=$(_claviger_ids "${scope[@]}" keys list "${ring[@]}") ;;
                    'keys versions'|'keys rotation'|'keys tags'|'keys bindings') ;;
                    'keys '[a-z]*) ids=$(_claviger_ids "${scope[@]}" keys list "${ring[@]}") ;;
                    'keyrings '[d-z]*) ids=$(_claviger_ids "${scope[@]}" keyrings list) ;;
                    'import-jobs '[d-z]*) ids=$(_claviger_ids "${scope[@]}" import-jobs list "${ring[@]}") ;;
                    'aliases '[d-z]*) ids=$(claviger "${scope[@]}" aliases list --format 'value(alias)' 2>/dev/null) ;;
                esac
            fi ;;
    esac
    if [[ -n $ids ]]; then
        COMPREPLY=($(compgen -W "$ids" -- "$cur"))
    else
        _claviger "$@"
    fi
}
complete -F _claviger_live -o nosort -o bashdefault -o default claviger
"#;

const FISH: &str = r#"
function __claviger_option
    set -l words (commandline -opc)
    set -l at (contains -i -- $argv[1] $words); and echo $argv[1]; and echo $words[(math $at + 1)]
end
function __claviger_ids
    claviger $argv --format 'value(name)' 2>/dev/null | string replace -r '.*/' ''
end
complete -c claviger -l keyring -x -a "(__claviger_ids keyrings list)"
complete -c claviger -l key -x -a "(__claviger_ids keys list (__claviger_option --keyring))"
complete -c claviger -l import-job -x -a "(__claviger_ids import-jobs list (__claviger_option --keyring))"
complete -c claviger -l version -x -a "(__claviger_ids keys versions list (__claviger_option --keyring) (__claviger_option --key))"
complete -c claviger -n "__fish_seen_subcommand_from keyrings; and __fish_seen_subcommand_from describe update" -x -a "(__claviger_ids keyrings list)"
complete -c claviger -n "__fish_seen_subcommand_from keys; and not __fish_seen_subcommand_from versions create list" -x -a "(__claviger_ids keys list (__claviger_option --keyring))"
complete -c claviger -n "__fish_seen_subcommand_from versions; and __fish_seen_subcommand_from describe enable disable destroy restore preflight get-public-key" -x -a "(__claviger_ids keys versions list (__claviger_option --keyring) (__claviger_option --key))"
"#;

const ZSH: &str = r#"
_claviger_ids() { compadd -- ${(f)"$(claviger "$@" --format 'value(name)' 2>/dev/null | sed 's#.*/##')"} }
_claviger_live() {
    local -a ring key
    local at=${words[(I)--keyring]}
    (( at && at < CURRENT )) && ring=(--keyring ${words[at+1]})
    at=${words[(I)--key]}
    (( at && at < CURRENT )) && key=(--key ${words[at+1]})
    case ${words[CURRENT-1]} in
        --keyring) _claviger_ids keyrings list ;;
        --key) _claviger_ids keys list $ring ;;
        --import-job) _claviger_ids import-jobs list $ring ;;
        --version) _claviger_ids keys versions list $ring $key ;;
        *) _claviger "$@" ;;
    esac
}
compdef _claviger_live claviger
"#;
