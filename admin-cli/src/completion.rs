//! Completion of names that the daemon knows: key rings and keys are asked for while the person types.

use clap_complete::Shell;

/// What follows clap's script: the values of `--keyring` and `--key`.
pub fn names(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH,
        Shell::Fish => FISH,
        Shell::Zsh => ZSH,
        _ => "",
    }
}

const BASH: &str = r#"
_claviger_names() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} ring= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == --keyring ]] && ring=${COMP_WORDS[i+1]}
    done
    case $prev in
        --keyring) COMPREPLY=($(compgen -W "$(claviger keyrings list --format 'value(name)' 2>/dev/null | sed 's#.*/##')" -- "$cur")) ;;
        --key) COMPREPLY=($(compgen -W "$(claviger keys list --keyring "$ring" --format 'value(name)' 2>/dev/null | sed 's#.*/##')" -- "$cur")) ;;
        --import-job) COMPREPLY=($(compgen -W "$(claviger import-jobs list --keyring "$ring" --format 'value(name)' 2>/dev/null | sed 's#.*/##')" -- "$cur")) ;;
        *) _claviger "$@" ;;
    esac
}
complete -F _claviger_names -o nosort -o bashdefault -o default claviger
"#;

const FISH: &str = r#"
complete -c claviger -l keyring -x -a "(claviger keyrings list --format 'value(name)' 2>/dev/null | string replace -r '.*/' '')"
"#;

const ZSH: &str = r#"
_claviger_keyrings() { compadd -- ${(f)"$(claviger keyrings list --format 'value(name)' 2>/dev/null | sed 's#.*/##')"} }
"#;
