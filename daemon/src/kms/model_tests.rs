//! The state machine against a second, tiny one, over random verbs, leaps of time and restarts.

use proptest::prelude::*;

use super::algorithm::Algorithm;
use super::state::{Transition, VersionState};
use super::time::Time;
use super::versions::tests::{Store, key};

const DAY: i64 = 24 * 3600 * 1000;

#[derive(Debug, Clone, Copy)]
enum Step {
    Do(Transition),
    Later(i64),
    Timer,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop_oneof![
            Just(Transition::Enable),
            Just(Transition::Disable),
            Just(Transition::Destroy),
            Just(Transition::Restore),
        ]
        .prop_map(Step::Do),
        2 => prop_oneof![Just(1), Just(DAY), Just(30 * DAY - 1), Just(30 * DAY), Just(-DAY)].prop_map(Step::Later),
        1 => Just(Step::Timer),
        1 => Just(Step::Restart),
    ]
}

/// The reference: written from the table of transitions alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Enabled,
    Disabled,
    Scheduled(i64),
    Destroyed,
}

impl Model {
    fn seen(self, now: i64) -> Model {
        match self {
            Model::Scheduled(due) if now >= due => Model::Destroyed,
            other => other,
        }
    }

    fn step(self, transition: Transition, now: i64) -> Option<Model> {
        match (self.seen(now), transition) {
            (Model::Enabled | Model::Disabled, Transition::Enable) => Some(Model::Enabled),
            (Model::Enabled | Model::Disabled, Transition::Disable) => Some(Model::Disabled),
            (Model::Enabled | Model::Disabled, Transition::Destroy) => Some(Model::Scheduled(now + 30 * DAY)),
            (Model::Scheduled(_), Transition::Restore) => Some(Model::Disabled),
            _ => None,
        }
    }

    fn name(self) -> VersionState {
        match self {
            Model::Enabled => VersionState::Enabled,
            Model::Disabled => VersionState::Disabled,
            Model::Scheduled(_) => VersionState::DestroyScheduled,
            Model::Destroyed => VersionState::Destroyed,
        }
    }
}

/// Cases of 100 sequences each, on one store: making stores is what takes the time.
fn cases() -> u32 {
    std::env::var("CLAVIGER_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    // STA-01 STA-04 DST-11 DST-15
    #[test]
    fn versions_do_what_the_reference_does(
        sequences in proptest::collection::vec(proptest::collection::vec(step(), 1..12), 100)
    ) {
        let store = Store::new();
        let mut daemon = store.daemon();
        let token = daemon.ring_for_test("r");
        for (index, sequence) in sequences.iter().enumerate() {
            let made = key(&daemon, &token, &format!("k{index}"), Algorithm::HmacSha256);
            let mut cell = made.version(1).unwrap();
            let mut now = Time::now().0;
            let mut highest = now;
            let mut model = Model::Enabled;
            for step in sequence {
                match step {
                    Step::Do(transition) => {
                        let expected = model.step(*transition, highest);
                        let outcome = daemon.transition(&cell, *transition, Time(highest));
                        prop_assert_eq!(outcome.is_ok(), expected.is_some(), "{:?} in {:?}", transition, model);
                        model = expected.unwrap_or(model);
                    }
                    Step::Later(millis) => {
                        now += millis;
                        // A clock that goes back is not followed.
                        highest = highest.max(now);
                        now = highest;
                    }
                    Step::Timer => {
                        daemon.destroy_due(Time(highest)).unwrap();
                    }
                    // A restart reads every record again: a few are enough.
                    Step::Restart if index % 50 == 0 => {
                        daemon = store.daemon();
                        cell = daemon.catalog.key(&made.uid).unwrap().version(1).unwrap();
                    }
                    Step::Restart => {}
                }
                let seen = model.seen(highest);
                prop_assert_eq!(cell.state(Time(highest)), seen.name());
                let has_material = daemon.records.material(&cell.uid).unwrap().is_some();
                prop_assert!(has_material || seen == Model::Destroyed);
            }
            daemon.destroy_due(Time(highest)).unwrap();
            let has_material = daemon.records.material(&cell.uid).unwrap().is_some();
            prop_assert_eq!(has_material, model.seen(highest) != Model::Destroyed);
        }
    }
}
