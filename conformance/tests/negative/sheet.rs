//! What was expected and what came.

use std::collections::BTreeSet;
use std::fmt::Display;

use claviger_conformance::prelude::*;

/// The cases of a family.
pub struct Sheet {
    family: &'static str,
    count: usize,
    /// The functions that the cases call, without `C_`: the first word of each.
    functions: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Sheet {
    /// Without cases.
    pub fn new(family: &'static str) -> Sheet {
        Sheet { family, count: 0, functions: BTreeSet::new(), wrong: Vec::new() }
    }

    /// A case.
    pub fn expect(&mut self, what: impl Display, answer: impl Answer, expected: Rv) {
        self.count += 1;
        let what = what.to_string();
        let function = what.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        self.functions.insert(function.into());
        self.sure(what, answer, expected);
    }

    /// What must hold so that the cases around it mean something; no case itself.
    pub fn sure(&mut self, what: impl Display, answer: impl Answer, expected: Rv) {
        let rv = answer.rv();
        if rv != expected {
            self.wrong.push(format!("{}: {what}: {rv} instead of {expected}", self.family));
        }
    }

    /// Name of the family.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// Number of cases.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The functions that the cases call.
    pub fn functions(&self) -> &BTreeSet<String> {
        &self.functions
    }

    /// The cases that went wrong.
    pub fn into_wrong(self) -> Vec<String> {
        self.wrong
    }
}
