//! Every mechanism × (round trip, wrong key type, wrong size, wrong parameter, one-shot = multi-part, key without the
//! usage flag), in each profile, as the token itself lists it.

use std::collections::BTreeSet;

use claviger_conformance::matrix::{self, Cell, Entry};
use claviger_conformance::prelude::*;
use claviger_protocol::mechanism::{MECHANISMS, Profiles, Recipe};

/// A profile's matrix.
fn profile(name: &'static str, profile: Profiles) -> Vec<Entry> {
    let setup = Setup::with(&["--profile", name]);
    let session = setup.app.login(&setup.ring);
    matrix::run(&setup.app, setup.app.slot(&setup.ring), session, profile)
}

#[test]
fn every_mechanism_does_what_it_says_and_refuses_the_rest() {
    let profiles =
        [("standard", Profiles::STANDARD), ("strict", Profiles::STRICT), ("legacy", Profiles::LEGACY)];
    let matrices = std::thread::scope(|scope| {
        let running = profiles.map(|(name, row)| (name, scope.spawn(move || profile(name, row))));
        running.map(|(name, thread)| (name, thread.join().expect("a matrix")))
    });
    let (mut broken, mut seen) = (Vec::new(), BTreeSet::new());
    for (name, entries) in &matrices {
        println!("profile {name}\n{}\n", matrix::table(entries));
        for entry in entries {
            match &entry.cell {
                Cell::Broken(what) => broken.push(format!(
                    "{name}: {} {:?} {:?}: {what}",
                    entry.mechanism, entry.r#use, entry.column
                )),
                Cell::Held(_) => {
                    seen.insert(entry.mechanism.0);
                }
                Cell::Rule(_) => {}
            }
        }
    }
    assert!(broken.is_empty(), "{} cells are broken\n{}", broken.len(), broken.join("\n"));
    // Of the key service's own encryption there is a test of its own.
    let here = MECHANISMS.iter().filter(|row| row.recipe != Recipe::KmsEnvelope);
    let missing: Vec<_> = here.map(|row| row.r#type).filter(|m| !seen.contains(&m.0)).collect();
    assert!(missing.is_empty(), "in no cell of any profile: {missing:?}");
}
