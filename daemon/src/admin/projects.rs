//! `projects …`.

use serde_json::{Value, json};

use super::{Call, listing, names};
use crate::access::Target;
use crate::error::Result;

/// `projects list`
pub fn list(call: &Call<'_>) -> Result<Value> {
    let projects = call.daemon.projects().into_iter();
    let seen = projects.filter(|(id, _)| call.may(call.action, &Target::project(id)));
    let mut seen: Vec<(String, bool)> = seen.collect();
    seen.sort();
    call.check_list(seen.is_empty(), &Target::project(call.project_id()?))?;
    listing::page(call, "projects", listing::PROJECT_FIELDS, |after, count| {
        let behind = seen.iter().filter(|(id, _)| id.as_str() > after).take(count);
        behind.map(|(id, shut)| (id.clone(), document(id, *shut))).collect()
    })
}

/// `projects disable`
pub fn disable(call: &Call<'_>) -> Result<Value> {
    change(call, true)
}

/// `projects enable`
pub fn enable(call: &Call<'_>) -> Result<Value> {
    change(call, false)
}

fn change(call: &Call<'_>, shut: bool) -> Result<Value> {
    let text = call.args.required("name")?;
    let id = text.strip_prefix("projects/").unwrap_or(text);
    names::check_project(id)?;
    call.authorise(call.action, &Target::project(id))?;
    call.daemon.shut_project(id, shut)?;
    Ok(document(id, shut))
}

fn document(id: &str, shut: bool) -> Value {
    json!({"name": format!("projects/{id}"), "state": if shut { "DISABLED" } else { "ENABLED" }})
}
