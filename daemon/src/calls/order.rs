//! Which versions of a key a search gives, and in what order: versions of one key share their label.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::daemon::Daemon;
use crate::kms::record::{FindVersions, Uid};
use crate::kms::state::VersionState;
use crate::kms::time::Time;
use crate::object::{Home, Object};

/// Puts the objects of keys of which several versions were found in order: first the primary version, or without one
/// the newest that is enabled, then the others from the newest on. Under `PrimaryOnly` the others go.
pub fn versions(daemon: &Daemon, found: Vec<Arc<Object>>, rule: FindVersions, now: Time) -> Vec<Arc<Object>> {
    let mut places: HashMap<Uid, Vec<usize>> = HashMap::new();
    for (place, object) in found.iter().enumerate() {
        if let Home::Version(version) = &object.home {
            places.entry(version.key).or_default().push(place);
        }
    }
    let number = |object: &Object| object.origin().map_or(0, |version| version.number);
    let mut ordered: Vec<Option<Arc<Object>>> = found.iter().cloned().map(Some).collect();
    for (key, places) in places {
        let first = number(&found[places[0]]);
        if places.iter().all(|place| number(&found[*place]) == first) {
            continue;
        }
        let Some(key) = daemon.catalog.key(&key) else { continue };
        let is_enabled = |object: &Object| object.state(now) == VersionState::Enabled;
        let newest = || {
            let objects = places.iter().map(|place| &found[*place]);
            objects.filter(|object| is_enabled(object)).map(|object| number(object)).max()
        };
        let primary = key
            .record()
            .primary
            .filter(|primary| places.iter().any(|place| number(&found[*place]) == *primary));
        let leader = primary.or_else(newest);
        let mut objects: Vec<_> = places.iter().map(|place| found[*place].clone()).collect();
        objects.sort_by_key(|object| (Some(number(object)) != leader, Reverse(number(object))));
        if rule == FindVersions::PrimaryOnly {
            let only = leader.unwrap_or_else(|| number(&objects[0]));
            objects.retain(|object| number(object) == only);
        }
        let mut objects = objects.into_iter();
        for place in places {
            ordered[place] = objects.next();
        }
    }
    ordered.into_iter().flatten().collect()
}
