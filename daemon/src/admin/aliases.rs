//! `aliases …`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Call, json, listing};
use crate::access::Target;
use crate::catalog::KeyCell;
use crate::error::{Error, Result};
use crate::kms::upkeep::{DEFAULT_ALIAS, alias_name, check_alias, check_managed};

/// `aliases create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("key")?;
    let id = call.args.required("alias")?;
    if id == DEFAULT_ALIAS {
        let message = format!("{id} is for the key that is created with default");
        return Err(Error::InvalidArgument { message });
    }
    check_managed(&key.name, &key.record(), &call.principal())?;
    call.daemon.create_alias(&token, &key, id, call.now)?;
    show(call, id, &key)
}

/// `aliases update`
pub fn update(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("key")?;
    let id = call.args.required("alias")?;
    authorise(call, id)?;
    check_managed(&key.name, &key.record(), &call.principal())?;
    check_holder(call, id)?;
    call.daemon.update_alias(&token, &key, id, call.now)?;
    show(call, id, &key)
}

/// `aliases delete`
pub fn delete(call: &Call<'_>) -> Result<Value> {
    let (project, location) = call.place()?;
    let id = call.args.required("alias")?;
    authorise(call, id)?;
    check_holder(call, id)?;
    call.daemon.delete_alias(&project, &location, id)?;
    Ok(json!({"name": alias_name(&project, &location, id)}))
}

/// `aliases list`
pub fn list(call: &Call<'_>) -> Result<Value> {
    let (project, location) = call.place()?;
    let only = call.args.text("key").map(|text| call.find_key(text)).transpose()?.map(|(_, key)| key.uid);
    let sees = |key: &Arc<KeyCell>| {
        let Some(token) = call.daemon.catalog.token_of(&key.record().ring) else { return false };
        let target = Target::key(&token.ring().name, key);
        call.may("ListAliases", &target) || call.may("ListAliasesByKeyId", &target)
    };
    let sees_none = !call.daemon.catalog.aliases(&project, &location).iter().any(|(_, key)| sees(key));
    call.check_list(sees_none && only.is_none(), &Target::location(&project, &location))?;
    let parent = format!("projects/{project}/locations/{location}/aliases {only:?}");
    listing::page(call, &parent, listing::ALIAS_FIELDS, |after, count| {
        let aliases = call.daemon.catalog.aliases(&project, &location).into_iter();
        let wanted = aliases
            .filter(|(id, key)| id.as_str() > after && only.is_none_or(|uid| uid == key.uid) && sees(key))
            .take(count);
        wanted.map(|(id, key)| (id.clone(), document(&project, &location, &id, &key))).collect()
    })
}

/// Lets who calls change where an alias points, if they may do that to the key it points to.
fn authorise(call: &Call<'_>, id: &str) -> Result<()> {
    check_alias(id)?;
    let (project, location) = call.place()?;
    let catalog = &call.daemon.catalog;
    let found = catalog.key_by_alias(&project, &location, id);
    let ring = found.as_ref().and_then(|key| catalog.token_of(&key.record().ring));
    match found.zip(ring) {
        Some((key, token)) => call.authorise(call.action, &Target::key(&token.ring().name, &key)),
        None => {
            let mut target = Target::location(&project, &location);
            target.names.insert(0, alias_name(&project, &location, id));
            Err(call.missing(&target))
        }
    }
}

/// Judges whether an alias may be taken from the key that has it.
fn check_holder(call: &Call<'_>, id: &str) -> Result<()> {
    let (project, location) = call.place()?;
    match call.daemon.catalog.key_by_alias(&project, &location, id) {
        Some(key) => check_managed(&key.name, &key.record(), &call.principal()),
        None => Ok(()),
    }
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
        ("key", json!(&*key.name)),
        ("createTime", json::time(alias.map(|alias| alias.create_time))),
        ("updateTime", json::time(alias.map(|alias| alias.update_time))),
    ])
}
