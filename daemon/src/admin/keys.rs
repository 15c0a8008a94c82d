//! `keys …`.

use serde_json::{Value, json};

use super::versions::how;
use super::{Call, json, listing, names};
use crate::access::Target;
use crate::catalog::KeyCell;
use crate::error::{Error, Result};
use crate::kms::algorithm::{ProtectionLevel, Purpose, quoted};
use crate::kms::keys::{NewKey, parse_duration, parse_labels};
use crate::kms::record::Binding;
use crate::kms::spec;
use crate::kms::state::{Transition, VersionState};
use crate::kms::time::Time;
use crate::kms::upkeep::{DEFAULT_ALIAS, KeyUpdate, Schedule, check_alias, check_managed, check_tag};

/// Time between rotations when nothing else is said: a year.
const DEFAULT_ROTATION_MILLIS: u64 = 365 * 24 * 3600 * 1000;

/// Periods that nobody is warned of: 7 to 365 days.
const USUAL_ROTATION_MILLIS: std::ops::RangeInclusive<u64> = 7 * 24 * 3600 * 1000..=DEFAULT_ROTATION_MILLIS;

/// `keys create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let token = call.ring("keyring")?;
    let level = args.text("protection-level").map(ProtectionLevel::parse).transpose()?;
    let tags = args.text("tags").map(parse_tags).transpose()?.unwrap_or_default();
    let (purpose, algorithm) = spec::template(args.required("purpose")?, args.text("default-algorithm"))?;
    let is_default = args.flag("default");
    if is_default && purpose != Purpose::EncryptDecrypt {
        return refuse("the default key of a location encrypts: its purpose is encryption".to_owned());
    }
    let aliases: Vec<&str> =
        args.text("alias").into_iter().chain(is_default.then_some(DEFAULT_ALIAS)).collect();
    if args.text("alias") == Some(DEFAULT_ALIAS) {
        return refuse(format!("{DEFAULT_ALIAS} is for the key that is created with default"));
    }
    for alias in &aliases {
        check_alias(alias)?;
        let place = token.ring().name.clone();
        if call.daemon.catalog.key_by_alias(&place.project, &place.location, alias).is_some() {
            return Err(Error::AlreadyExists { resource: (*alias).to_owned() });
        }
    }
    let new = NewKey {
        id: call.key_id(&token, "name")?,
        purpose,
        algorithm,
        protection_level: level.unwrap_or(ProtectionLevel::Software),
        skip_initial_version: args.flag("skip-initial-version-creation"),
        import_only: args.flag("import-only"),
        destroy_scheduled_millis: args.text("destroy-scheduled-duration").map(parse_duration).transpose()?,
        labels: args.text("labels").map(parse_labels).transpose()?.unwrap_or_default(),
        description: args.text("description").unwrap_or_default().to_owned(),
        care: crate::kms::record::Care {
            display_name: args.text("display-name").unwrap_or_default().to_owned(),
            tags,
            protection: args.flag("deletion-protection").then(String::new),
            ..Default::default()
        },
        managed_by: args.text("managed-by").unwrap_or_default().to_owned(),
        schedule: schedule(call)?,
    };
    let key = call.daemon.create_key_by(&token, new, Some(call.peer.uid))?;
    for alias in aliases {
        call.daemon.create_alias(&token, &key, alias, call.now)?;
    }
    Ok(json::key(&key, call.now))
}

/// `keys list`: by name.
pub fn list(call: &Call<'_>) -> Result<Value> {
    let token = call.parent_ring("keyring")?;
    let catalog = &call.daemon.catalog;
    let sees_one = catalog.find_key(&token.uid, |key| call.sees_key(&token, key)).is_some();
    call.check_list(!sees_one, &Target::ring(&token.ring().name))?;
    let (archived, full) = (call.args.flag("archived"), call.args.flag("full"));
    let parent = format!("{} {archived}", token.ring().name);
    let shown =
        |key: &KeyCell| if full { json::key_in_full(key, call.now) } else { json::key(key, call.now) };
    if listing::is_by_time(call) {
        let keys = catalog.keys(&token.uid);
        let all = |each: &mut dyn FnMut(Time, &str)| {
            for key in keys.iter().map(|key| key.record()).filter(|key| key.care.archived == archived) {
                each(key.create_time, &key.id);
            }
        };
        return listing::page_by_time(call, &parent, listing::KEY_FIELDS, all, |id| {
            let key = catalog.key_by_id(&token.uid, id)?;
            call.sees_key(&token, &key).then(|| shown(&key))
        });
    }
    listing::page(call, &parent, listing::KEY_FIELDS, |after, count| {
        let mut found = Vec::new();
        let mut after = after.to_owned();
        // Until there is one, so that keys which are not listed do not look like the end.
        loop {
            let keys = catalog.keys_after(&token.uid, &after, count.min(1000));
            let Some(last) = keys.last() else { break };
            after = last.record().id.to_string();
            let listed = keys
                .iter()
                .filter(|key| key.record().care.archived == archived && call.sees_key(&token, key));
            found.extend(listed.map(|key| (key.record().id.to_string(), shown(key))));
            if found.len() >= count {
                break;
            }
        }
        found.truncate(count);
        found
    })
}

/// `keys describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    let keys = call.args.list("names").iter().map(|name| Ok(json::key(&call.find_key(name)?.1, call.now)));
    let mut keys = keys.collect::<Result<Vec<Value>>>()?;
    Ok(if keys.len() == 1 { keys.remove(0) } else { Value::Array(keys) })
}

/// `keys update`
pub fn update(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let (_, key) = call.named_key("name")?;
    let words = |name: &str| -> Vec<String> {
        args.text(name).into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
    };
    let update = KeyUpdate {
        algorithm: args
            .text("default-algorithm")
            .map(|text| spec::algorithm(text, key.record().purpose))
            .transpose()?,
        set_labels: args.text("update-labels").map(parse_labels).transpose()?.unwrap_or_default(),
        remove_labels: words("remove-labels"),
        clear_labels: args.flag("clear-labels"),
        description: args.text("description").map(str::to_owned),
        display_name: args.text("display-name").map(str::to_owned),
        managed_by: args.text("managed-by").map(|text| if text == "none" { "" } else { text }.to_owned()),
        schedule: schedule(call)?,
        primary: args.text("primary-version").map(|text| names::version_number(&key, text)).transpose()?,
    };
    let fields = [
        "primary-version",
        "rotation-period",
        "next-rotation-time",
        "default-algorithm",
        "update-labels",
        "remove-labels",
        "description",
        "display-name",
        "managed-by",
    ];
    let is_empty = fields.iter().all(|field| args.text(field).is_none())
        && !args.flag("clear-labels")
        && !args.flag("remove-rotation-schedule");
    if is_empty {
        return refuse("there is nothing to change: name at least one field".to_owned());
    }
    call.daemon.update_key(&key, args.etag(), update, call.now)?;
    Ok(json::key(&key, call.now))
}

/// `keys set-primary-version`
pub fn set_primary_version(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    let number = names::version_number(&key, call.args.required("version")?)?;
    call.daemon.set_primary(&key, call.args.etag(), number, call.now)?;
    Ok(json::key(&key, call.now))
}

/// `keys rotate`
pub fn rotate(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("name")?;
    let version = call.daemon.rotate(&token, &key, call.args.etag(), call.now)?;
    Ok(json::version(&key, &version, call.now))
}

/// `keys rotation enable`
pub fn rotation_enable(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    let mut schedule = schedule(call)?;
    let period = *schedule.period_millis.get_or_insert(DEFAULT_ROTATION_MILLIS);
    schedule.next.get_or_insert(call.now.plus_millis(period));
    let update = KeyUpdate { schedule, ..KeyUpdate::default() };
    call.daemon.update_key(&key, call.args.etag(), update, call.now)?;
    let mut document = rotation(&key);
    let mut warnings = Vec::new();
    if key.versions().iter().any(|version| version.record().fate.import_time.is_some()) {
        warnings.push("a version that is generated here will take the place of the imported one as primary");
    }
    if !USUAL_ROTATION_MILLIS.contains(&period) {
        warnings.push("periods of 7 to 365 days are usual");
    }
    if !warnings.is_empty() {
        document["warning"] = json!(warnings.join("; "));
    }
    Ok(document)
}

/// `keys rotation disable`
pub fn rotation_disable(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    let schedule = Schedule { remove: true, ..Schedule::default() };
    let update = KeyUpdate { schedule, ..KeyUpdate::default() };
    call.daemon.update_key(&key, call.args.etag(), update, call.now)?;
    Ok(rotation(&key))
}

/// `keys rotation status`
pub fn rotation_status(call: &Call<'_>) -> Result<Value> {
    Ok(rotation(&call.named_key("name")?.1))
}

fn rotation(key: &KeyCell) -> Value {
    let record = key.record();
    let care = &record.care;
    let mut document = json::object([
        ("name", json!(&*key.name)),
        ("rotationPeriod", care.rotation_period_millis.map_or(Value::Null, json::duration)),
        ("nextRotationTime", json::time(care.next_rotation_time)),
        ("lastRotationTime", json::time(care.last_rotation_time)),
    ]);
    document["enabled"] = json!(care.next_rotation_time.is_some());
    let has_imported = key.versions().iter().any(|version| version.record().fate.import_time.is_some());
    if has_imported && care.next_rotation_time.is_some() {
        document["warning"] = json!(
            "the next rotation makes a generated version the primary one in place of imported material"
        );
    }
    document
}

/// `keys enable`
pub fn enable(call: &Call<'_>) -> Result<Value> {
    whole(call, Transition::Enable)
}

/// `keys disable`
pub fn disable(call: &Call<'_>) -> Result<Value> {
    whole(call, Transition::Disable)
}

/// `keys destroy`
pub fn destroy(call: &Call<'_>) -> Result<Value> {
    whole(call, Transition::Destroy)
}

/// `keys restore`
pub fn restore(call: &Call<'_>) -> Result<Value> {
    whole(call, Transition::Restore)
}

fn whole(call: &Call<'_>, transition: Transition) -> Result<Value> {
    let how = how(call)?;
    each(call, |key| {
        let changed = call.daemon.transition_key(key, transition, call.now, how, &call.principal())?;
        let due = changed.iter().filter_map(|version| version.record().fate.destroy_time).max();
        let versions = changed
            .iter()
            .map(|version| json!({"name": version.name(), "state": version.state(call.now).name()}));
        Ok(json!({
            "state": json::key_state(key, call.now),
            "destroyTime": json::time(due),
            "versions": versions.collect::<Vec<_>>(),
        }))
    })
}

/// `keys archive`
pub fn archive(call: &Call<'_>) -> Result<Value> {
    each(call, |key| {
        call.daemon.archive(key, call.args.etag(), true, call.now)?;
        Ok(json!({"state": json::key_state(key, call.now)}))
    })
}

/// `keys unarchive`
pub fn unarchive(call: &Call<'_>) -> Result<Value> {
    each(call, |key| {
        call.daemon.archive(key, call.args.etag(), false, call.now)?;
        Ok(json!({"state": json::key_state(key, call.now)}))
    })
}

/// `keys protect`
pub fn protect(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    let reason = call.args.text("reason").unwrap_or_default().to_owned();
    call.daemon.protect(&key, call.args.etag(), Some(reason), call.now)?;
    Ok(json::key(&key, call.now))
}

/// `keys unprotect`
pub fn unprotect(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    call.daemon.protect(&key, call.args.etag(), None, call.now)?;
    Ok(json::key(&key, call.now))
}

/// `keys tags set`
pub fn tags_set(call: &Call<'_>) -> Result<Value> {
    let tags = match (call.args.text("tags"), call.args.bytes("tags-file")) {
        (Some(text), None) => parse_tags(text)?,
        (None, Some(file)) => serde_json::from_slice::<std::collections::BTreeMap<String, String>>(file)
            .map_err(|_| Error::InvalidArgument {
                message: "the file is no JSON object of texts".to_owned(),
            })?
            .into_iter()
            .collect(),
        _ => return refuse("give exactly one of tags and tags-file".to_owned()),
    };
    for (name, value) in &tags {
        check_tag(name, value)?;
    }
    each(call, |key| {
        check_managed(&key.name, &key.record(), &call.principal())?;
        call.daemon.set_tags(key, call.args.etag(), &tags)?;
        Ok(json!({"state": json::key_state(key, call.now)}))
    })
}

/// `keys tags unset`
pub fn tags_unset(call: &Call<'_>) -> Result<Value> {
    let names: Vec<String> = call.args.required("tags")?.split(',').map(str::to_owned).collect();
    each(call, |key| {
        check_managed(&key.name, &key.record(), &call.principal())?;
        call.daemon.unset_tags(key, call.args.etag(), &names)?;
        Ok(json!({"state": json::key_state(key, call.now)}))
    })
}

/// `keys tags list`
pub fn tags_list(call: &Call<'_>) -> Result<Value> {
    let tags = call.args.list("names").iter().map(|name| {
        let key = call.find_key(name)?.1;
        let tags: serde_json::Map<_, _> =
            key.record().care.tags.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        Ok(json!({"name": &*key.name, "tags": tags}))
    });
    let mut tags = tags.collect::<Result<Vec<Value>>>()?;
    Ok(if tags.len() == 1 { tags.remove(0) } else { Value::Array(tags) })
}

/// `keys bindings add`
pub fn bindings_add(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    let text = |name: &str| call.args.text(name).unwrap_or_default().to_owned();
    let binding = Binding {
        product: text("product"),
        resource_id: text("resource-id"),
        note: text("note"),
        create_time: call.now,
    };
    call.daemon.bind(&key, call.args.etag(), binding)?;
    Ok(bindings(&key))
}

/// `keys bindings remove`
pub fn bindings_remove(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    let (product, resource) = (call.args.required("product")?, call.args.required("resource-id")?);
    call.daemon.unbind(&key, call.args.etag(), product, resource)?;
    Ok(bindings(&key))
}

/// `keys bindings list`
pub fn bindings_list(call: &Call<'_>) -> Result<Value> {
    Ok(bindings(&call.named_key("name")?.1))
}

fn bindings(key: &KeyCell) -> Value {
    key.record().care.bindings.iter().map(json::binding).collect()
}

/// `keys usage`
pub fn usage(call: &Call<'_>) -> Result<Value> {
    const YEAR_MILLIS: i64 = 365 * 24 * 3600 * 1000;
    let (_, key) = call.named_key("name")?;
    let shown: Vec<_> = key.versions().iter().map(|version| version.usage.shown()).collect();
    let last = shown.iter().filter_map(|usage| usage.last).max_by_key(|(time, ..)| *time);
    let is_recent = |time: Time| call.now.0 - time.0 <= YEAR_MILLIS;
    let last = last.filter(|(time, ..)| is_recent(*time));
    let mut totals: std::collections::BTreeMap<(i64, &str), u64> = std::collections::BTreeMap::new();
    for (used, day, count) in shown.into_iter().flat_map(|usage| usage.counts) {
        *totals.entry((-day, used)).or_default() += count;
    }
    let counts = totals.into_iter().map(|((day, used), count)| {
        let date = Time(-day * 24 * 3600 * 1000).rfc3339();
        json!({"operation": used, "day": date.get(..10), "count": count})
    });
    Ok(json::object([
        ("name", json!(&*key.name)),
        ("lastUseTime", json::time(last.map(|(time, ..)| time))),
        ("lastUsePrincipal", json!(last.map(|(_, uid, _)| crate::audit::user_name(uid)))),
        ("lastUseOperation", json!(last.map(|(.., used)| used))),
        ("lastUse", if last.is_none() { json!("none in 365 days") } else { Value::Null }),
        ("counts", counts.collect()),
        ("bindings", bindings(&key)),
    ]))
}

/// `keys preflight`: what the destruction of keys would cost.
pub fn preflight(call: &Call<'_>) -> Result<Value> {
    let about = |name: &String| {
        let key = call.find_key(name)?.1;
        let record = key.record();
        let last = key
            .versions()
            .iter()
            .filter_map(|version| version.usage.shown().last)
            .max_by_key(|(time, ..)| *time);
        let bound: Vec<_> = record
            .care
            .bindings
            .iter()
            .map(|binding| format!("{} {}", binding.product, binding.resource_id))
            .collect();
        let states = key.versions().into_iter().map(|version| version.state(call.now));
        let living =
            states.filter(|state| matches!(state, VersionState::Enabled | VersionState::Disabled)).count();
        Ok(json::object([
            ("name", json!(&*key.name)),
            ("state", json!(json::key_state(&key, call.now))),
            ("purpose", json!(record.purpose.name())),
            ("primary", json!(record.primary.map(|number| key.version_name(number)))),
            ("versionsToDestroy", json!(living)),
            ("lastUseTime", json::time(last.map(|(time, ..)| time))),
            ("lastUsePrincipal", json!(last.map(|(_, uid, _)| crate::audit::user_name(uid)))),
            ("lastUseOperation", json!(last.map(|(.., used)| used))),
            ("boundTo", json!(bound.join(", "))),
            ("deletionProtection", json!(record.care.protection.is_some())),
            ("importOnly", json!(record.import_only)),
            (
                "destroyTime",
                json::time(Some(super::versions::destroy_time(call, record.destroy_scheduled_millis)?)),
            ),
        ]))
    };
    call.args.list("names").iter().map(about).collect()
}

/// Judges an etag beside what it is the etag of: two resources never share one.
///
/// # Errors
/// `InvalidArgument` for an etag and several resources.
pub fn check_one_etag(call: &Call<'_>, list: &str) -> Result<()> {
    if call.args.etag().is_some() && call.args.list(list).len() > 1 {
        return refuse(format!("an etag is of one resource: give one of {list} with it"));
    }
    Ok(())
}

/// Does something to every key that is named, and tells of each how it went.
fn each(call: &Call<'_>, act: impl Fn(&KeyCell) -> Result<Value>) -> Result<Value> {
    check_one_etag(call, "names")?;
    let items = call.args.list("names").iter().map(|text| {
        let found = call.find_key(text);
        let name = found.as_ref().map_or_else(|_| text.clone(), |(_, key)| key.name.to_string());
        json::batch_item(&name, &found.and_then(|(_, key)| act(&key)))
    });
    Ok(items.collect())
}

fn schedule(call: &Call<'_>) -> Result<Schedule> {
    Ok(Schedule {
        period_millis: call.args.text("rotation-period").map(parse_duration).transpose()?,
        next: call.args.text("next-rotation-time").map(|text| parse_time(text, call.now)).transpose()?,
        remove: call.args.flag("remove-rotation-schedule"),
    })
}

/// A time: RFC 3339, or a duration from now with its sign in front.
///
/// # Errors
/// `InvalidArgument`.
pub fn parse_time(text: &str, now: Time) -> Result<Time> {
    let signed = |sign: i64, text: &str| {
        let millis = i64::try_from(parse_duration(text)?).unwrap_or(i64::MAX);
        Ok(Time(now.0.saturating_add(sign.saturating_mul(millis))))
    };
    if let Some(text) = text.strip_prefix('+') {
        return signed(1, text);
    }
    if let Some(text) = text.strip_prefix('-') {
        return signed(-1, text);
    }
    Time::parse(text).ok_or_else(|| Error::InvalidArgument {
        message: format!("{} is no time, such as 2030-01-31T12:00:00Z or +30d", quoted(text)),
    })
}

/// Tags as `key=value,key=value`: a comma is no part of a tag.
fn parse_tags(text: &str) -> Result<Vec<(String, String)>> {
    let pairs = text.split(',').map(|pair| match pair.split_once('=') {
        Some((name, value)) => {
            check_tag(name, value)?;
            Ok((name.to_owned(), value.to_owned()))
        }
        None => refuse(format!("{} is no tag: key=value is", quoted(pair))),
    });
    pairs.collect()
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}
