//! Manual pages from the command line: one for the program and one for each verb.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};

use crate::command;
use crate::console::{Console, Verbosity};
use crate::error::{Error, Result};

/// Writes `claviger.1`, `claviger-keys-create.1` and all the others.
///
/// # Errors
/// What the file system says.
pub fn write(matches: &ArgMatches, console: &mut Console<'_>) -> Result<u8> {
    let Some(directory) = matches.get_one::<PathBuf>("directory") else {
        return Err(Error::usage("a directory is wanted"));
    };
    std::fs::create_dir_all(directory).map_err(|error| Error::file("make", directory, &error))?;
    let mut root = command::command();
    root.build();
    let count = pages(directory, &root, "claviger")?;
    console.tell(Verbosity::Info, &format!("Wrote {count} manual pages into {}.", directory.display()));
    Ok(0)
}

fn pages(directory: &Path, command: &Command, name: &str) -> Result<usize> {
    let path = directory.join(format!("{name}.1"));
    let title: &'static str = name.to_owned().leak();
    let page = command.clone().name(title).display_name(title);
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .and_then(|()| std::fs::write(&path, &text))
        .map_err(|error| Error::file("write", &path, &error))?;
    let mut count = 1;
    for below in command.get_subcommands() {
        count += pages(directory, below, &format!("{name}-{}", below.get_name()))?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use claviger_protocol::admin::VERBS;

    use crate::fake::run;

    #[test]
    fn every_verb_has_its_page() {
        // AUD-10
        let directory = tempfile::tempdir().unwrap();
        let nowhere = Path::new("/nonexistent");
        assert_eq!(run(nowhere, &["manual", directory.path().to_str().unwrap()], "", false).0, 0);
        for verb in VERBS {
            let file = format!("claviger-{}.1", verb.path.replace(' ', "-"));
            let page = std::fs::read_to_string(directory.path().join(file)).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{}", verb.path);
        }
    }

    use std::path::Path;
}
