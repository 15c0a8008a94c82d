//! `audit …`, `events …`, `clock …`, `locations …`, `algorithms …`: what the daemon knows of itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::keys::parse_time;
use super::{Call, json, listing};
use crate::audit::Query;
use crate::error::{Error, Result};
use crate::events::Name;
use crate::kms::algorithm::{ALGORITHMS, AlgorithmRow, Purpose};
use crate::kms::clock::{self, CLOCK};
use crate::kms::settings::Location;

/// Records of a list when nothing else is asked for.
const PAGE: usize = 50;
/// Most records of a list.
const MAX_RECORDS: usize = 10_000;
/// How long a watcher waits at a time.
const PATIENCE: Duration = Duration::from_secs(5);

/// `audit list` and `audit tail`
pub fn list(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let time = |name: &str| args.text(name).map(|text| parse_time(text, call.now)).transpose();
    let limit = args.number("limit")?.unwrap_or(PAGE);
    if limit > MAX_RECORDS {
        return Err(Error::InvalidArgument { message: format!("at most {MAX_RECORDS} records are listed") });
    }
    let query = Query {
        user: args.text("user"),
        resource_type: args.text("resource-type"),
        resource_name: args.text("resource-name"),
        source: args.text("source"),
        event_id: args.text("event-id"),
        operation: args.text("operation"),
        result: args.text("result"),
        keyword: args.text("keyword"),
        since: time("since")?,
        until: time("until")?,
        after: args.text("after"),
        all: args.flag("all"),
        limit,
    };
    Ok(Value::Array(call.daemon.audit.list(&query)?))
}

/// `audit describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    let id = call.args.required("event-id")?;
    let query = Query { event_id: Some(id), limit: 1, ..Query::default() };
    let found = call.daemon.audit.list(&query)?.into_iter().next();
    found.ok_or_else(|| Error::NotFound { resource: format!("the audit record {id}") })
}

/// `audit verify`
pub fn verify(call: &Call<'_>) -> Result<Value> {
    let mut document = call.daemon.audit.verify()?.document();
    document["unlogged"] = json!(call.daemon.audit.status().unlogged);
    Ok(document)
}

/// `audit export`: some lines from a record on; the program asks until it has all, and then says how far it came.
pub fn export(call: &Call<'_>) -> Result<Value> {
    let audit = &call.daemon.audit;
    if let Some(upto) = call.args.number("exported-to")? {
        audit.exported(upto)?;
        return Ok(json!({"exportedTo": upto}));
    }
    let from: u64 = call.args.number("from")?.unwrap_or(1);
    let to = match call.args.number("to")? {
        Some(to) => to,
        None => {
            audit.settle()?;
            let status = audit.status();
            status.last_checkpoint.map_or(status.last, |(sequence, _)| sequence)
        }
    };
    let page = audit.export(from, to)?;
    Ok(json!({"lines": page.lines, "last": page.last, "more": page.more, "to": to}))
}

/// `audit public-key`
pub fn public_key(call: &Call<'_>) -> Result<Value> {
    let (log, pem) = call.daemon.audit.public_key()?;
    Ok(json!({"log": log, "pem": pem}))
}

/// `events watch`: waits a little for events behind the last one seen.
pub fn watch(call: &Call<'_>) -> Result<Value> {
    let after = call.args.number("after")?;
    let patience = if after.is_none() { Duration::ZERO } else { PATIENCE };
    let (events, last) = call.daemon.events.wait(after, patience);
    Ok(json!({"events": events, "last": last}))
}

/// `clock status`
pub fn clock_status(_: &Call<'_>) -> Result<Value> {
    let status = CLOCK.status(clock::reading());
    Ok(json!({
        "time": status.believed.rfc3339(),
        "wallTime": status.wall.rfc3339(),
        "highestTime": status.highest.rfc3339(),
        "held": status.held,
        "graceLeft": json::duration(status.grace_left_millis),
    }))
}

/// `clock accept`
pub fn clock_accept(call: &Call<'_>) -> Result<Value> {
    let was = CLOCK.status(clock::reading());
    CLOCK.accept(clock::reading());
    if was.held {
        let details = json!({"from": was.believed.rfc3339(), "to": was.wall.rfc3339()});
        call.daemon.leap_told.store(false, std::sync::atomic::Ordering::Release);
        call.daemon.raise(Name::ClockAccepted, "Daemon", "clock", &call.principal(), details);
    }
    call.daemon.destroy_due(crate::kms::time::Time::now())?;
    call.daemon.keep_clock()?;
    clock_status(call)
}

/// `locations list`
pub fn locations(call: &Call<'_>) -> Result<Value> {
    let project = call.project()?;
    let mut known = call.daemon.settings.locations.clone();
    // Where every location exists, those with a key ring are listed.
    for token in call.daemon.catalog.tokens() {
        let name = token.ring().name.clone();
        if name.project == project && known.iter().all(|known| known.id != name.location) {
            known.push(Location::new(&name.location));
        }
    }
    known.sort_by(|one, two| one.id.cmp(&two.id));
    let document = |location: &Location| {
        json!({
            "name": format!("projects/{project}/locations/{}", location.id),
            "locationId": location.id,
            "hsmAvailable": location.hsm_available,
            // External key managers are not offered anywhere.
            "ekmAvailable": false,
        })
    };
    let parent = format!("projects/{project}/locations");
    listing::page(call, &parent, listing::LOCATION_FIELDS, |after, count| {
        let behind = known.iter().filter(|location| location.id.as_str() > after).take(count);
        behind.map(|location| (location.id.clone(), document(location))).collect()
    })
}

/// `algorithms list`
pub fn algorithms(call: &Call<'_>) -> Result<Value> {
    let purpose = call.args.text("purpose").map(Purpose::parse).transpose()?;
    let rows = ALGORITHMS.iter().filter(|row| {
        row.purpose != Purpose::P11Generic
            && call.daemon.settings.offers(row.algorithm)
            && purpose.is_none_or(|purpose| purpose == row.purpose)
    });
    let rows: Vec<_> = rows.collect();
    listing::page(call, "algorithms", listing::ALGORITHM_FIELDS, |after, count| {
        let from = after.parse::<usize>().map_or(0, |last| last + 1);
        let behind = rows.iter().enumerate().skip(from).take(count);
        let document =
            |row: &AlgorithmRow| json!({"name": row.algorithm.name(), "purpose": row.purpose.name()});
        behind.map(|(place, row)| (place.to_string(), document(row))).collect()
    })
}
