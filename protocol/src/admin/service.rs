//! What the daemon says of itself: its state, what it offers, its clock, its events.

use super::ArgumentKind::*;
use super::arguments::{FILTER, LIMIT, PAGE_SIZE, PAGE_TOKEN, SORT_BY, URI};
use super::columns::{ALGORITHM_COLUMNS, LOCATION_COLUMNS};
use super::{Confirm, Verb, arg, must};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        number: 1,
        path: "status",
        about: "Show the daemon's version, uptime, and how many rings, keys and versions it holds",
        action: "GetServiceStatus",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 2,
        path: "locations list",
        about: "List the locations",
        action: "GetRegions",
        arguments: &[FILTER, SORT_BY, LIMIT, PAGE_SIZE, PAGE_TOKEN, URI],
        columns: LOCATION_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 3,
        path: "algorithms list",
        about: "List the algorithms that keys can have here",
        action: "ListAlgorithms",
        arguments: &[
            arg("purpose", Text, "Only algorithms for this purpose"),
            FILTER,
            SORT_BY,
            LIMIT,
            PAGE_SIZE,
            PAGE_TOKEN,
            URI,
        ],
        columns: ALGORITHM_COLUMNS,
        confirm: Confirm::No,
    },
    Verb {
        number: 4,
        path: "clock status",
        about: "Show the clock that schedules run on, and whether it is held",
        action: "GetServiceStatus",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 5,
        path: "clock accept",
        about: "Believe the clock of the machine after a leap",
        action: "AcceptClock",
        arguments: &[],
        columns: &[],
        confirm: Confirm::Ask,
    },
    Verb {
        number: 6,
        path: "events watch",
        about: "Print events as they happen",
        action: "ReadAudit",
        arguments: &[
            arg("after", Text, "Number of the last event seen (used by the program itself)"),
            arg("once", LocalFlag, "Print what has happened since --after and stop"),
        ],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 7,
        path: "metrics",
        about: "Print what the daemon counts, in the text format of Prometheus",
        action: "GetServiceStatus",
        arguments: &[],
        columns: &[],
        confirm: Confirm::No,
    },
    Verb {
        number: 8,
        path: "config check",
        about: "Check that a file is a configuration that the daemon would start with",
        action: "GetServiceStatus",
        arguments: &[must("file", File, "The file, such as /etc/claviger/clavigerd.toml")],
        columns: &[],
        confirm: Confirm::No,
    },
];
