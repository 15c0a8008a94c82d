//! Where the person is: data on stdout, prose on stderr.

use std::io::{self, BufRead, Write};

use claviger_protocol::admin::Code;

use crate::error::{Error, Result};

/// How much prose the person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// None: the exit code says what happened.
    None,
    /// Why nothing was done.
    Error,
    /// What may surprise later.
    Warning,
    /// What was written, and what is waited for.
    Info,
    /// What is asked of the daemon, too.
    Debug,
}

impl Verbosity {
    /// By the words of the command line.
    pub const WORDS: &[(&str, Verbosity)] = &[
        ("debug", Verbosity::Debug),
        ("info", Verbosity::Info),
        ("warning", Verbosity::Warning),
        ("error", Verbosity::Error),
        ("none", Verbosity::None),
    ];
}

/// The three streams and what is known of them.
pub struct Console<'a> {
    /// Answers to questions.
    pub input: &'a mut dyn BufRead,
    /// Data.
    pub out: &'a mut dyn Write,
    /// Prose.
    pub err: &'a mut dyn Write,
    /// Somebody can be asked.
    pub interactive: bool,
    /// Data goes to a terminal.
    pub out_is_terminal: bool,
    /// How much prose there is.
    pub verbosity: Verbosity,
}

impl Console<'_> {
    /// Writes data.
    ///
    /// # Errors
    /// What the stream says, except that a reader who has seen enough (`claviger ... | head`) is none.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::code(Code::Internal, format!("cannot write the answer: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes a line of prose if the person wants prose of this kind.
    pub fn tell(&mut self, kind: Verbosity, line: &str) {
        if kind <= self.verbosity {
            self.say(line);
        }
    }

    /// Writes what belongs to a question. Nobody is left to tell when that fails.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.err, "{}", printable(line));
    }

    /// Asks on stderr and reads one line, without its line break.
    ///
    /// # Errors
    /// `Unavailable` when the line cannot be read.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        let _ = write!(self.err, "{}", printable(question)).and_then(|()| self.err.flush());
        let mut answer = String::new();
        match self.input.read_line(&mut answer) {
            Ok(_) => Ok(answer.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(Error::code(Code::Unavailable, format!("cannot read the answer: {error}"))),
        }
    }

    /// Prints what clap has to say and answers with its exit code: 0 for help, 2 for wrong usage.
    pub fn help_or_usage(&mut self, error: &clap::Error) -> u8 {
        let text = error.render().to_string();
        let stream = if error.use_stderr() { &mut *self.err } else { &mut *self.out };
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
        u8::try_from(error.exit_code()).unwrap_or(1)
    }
}

/// The text without control characters but line breaks, so that a name or label cannot drive the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\n' => vec![c],
            c if c.is_control() => c.escape_default().collect(),
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc\u{9b}é"), "a\\u{1b}[31mb\nc\\u{9b}é");
    }
}
