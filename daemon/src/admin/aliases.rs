//! `aliases …`.

use serde_json::{Value, json};

use super::{Call, json, listing};
use crate::catalog::KeyCell;
use crate::error::Result;
use crate::kms::upkeep::alias_name;

/// `aliases create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("key")?;
    let id = call.args.required("alias")?;
    call.daemon.create_alias(&token, &key, id, call.now)?;
    show(call, id, &key)
}

/// `aliases update`
pub fn update(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("key")?;
    let id = call.args.required("alias")?;
    call.daemon.update_alias(&token, &key, id, call.now)?;
    show(call, id, &key)
}

/// `aliases delete`
pub fn delete(call: &Call<'_>) -> Result<Value> {
    let (project, location) = call.place()?;
    let id = call.args.required("alias")?;
    call.daemon.delete_alias(&project, &location, id)?;
    Ok(json!({"name": alias_name(&project, &location, id)}))
}

/// `aliases list`
pub fn list(call: &Call<'_>) -> Result<Value> {
    let (project, location) = call.place()?;
    let only = call.args.text("key").map(|text| call.find_key(text)).transpose()?.map(|(_, key)| key.uid);
    let parent = format!("projects/{project}/locations/{location}/aliases {only:?}");
    listing::page(call, &parent, listing::ALIAS_FIELDS, |after, count| {
        let aliases = call.daemon.catalog.aliases(&project, &location).into_iter();
        let wanted = aliases
            .filter(|(id, key)| id.as_str() > after && only.is_none_or(|uid| uid == key.uid))
            .take(count);
        wanted.map(|(id, key)| (id.clone(), document(&project, &location, &id, &key))).collect()
    })
}

fn show(call: &Call<'_>, id: &str, key: &KeyCell) -> Result<Value> {
    let (project, location) = call.place()?;
    Ok(document(&project, &location, id, key))
}

fn document(project: &str, location: &str, id: &str, key: &KeyCell) -> Value {
    let record = key.record();
    let alias = record.care.aliases.iter().find(|alias| alias.id == id);
    json::object([
        ("name", json!(alias_name(project, location, id))),
        ("alias", json!(id)),
        ("key", json!(key.name)),
        ("createTime", json::time(alias.map(|alias| alias.create_time))),
        ("updateTime", json::time(alias.map(|alias| alias.update_time))),
    ])
}
