//! Chapter 5.7: object management.

use claviger_protocol::call::{
    CopyObject, CreateObject, DestroyObject, FindFirst, FindObjects, FindObjectsFinal, FindObjectsInit,
    GetAttributeValue, GetObjectSize, SetAttributeValue,
};
use claviger_protocol::{Result, Rv};

use crate::client::Client;
use crate::ptr::template::Attributes;
use crate::ptr::{OutArray, Place};
use crate::sys::{CK_OBJECT_HANDLE, CK_ULONG};

/// How many objects come with the first answer to a search.
const FIRST_FOUND: u64 = 256;

/// `C_CreateObject`.
pub fn create_object(
    client: &Client,
    session: u64,
    template: Attributes,
    object: Place<CK_OBJECT_HANDLE>,
) -> Result<()> {
    object.write(client.call(&CreateObject { session, template: template.read()? })?);
    Ok(())
}

/// `C_CopyObject`.
pub fn copy_object(
    client: &Client,
    session: u64,
    object: u64,
    template: Attributes,
    copy: Place<CK_OBJECT_HANDLE>,
) -> Result<()> {
    copy.write(client.call(&CopyObject { session, object, template: template.read()? })?);
    Ok(())
}

/// `C_DestroyObject`.
pub fn destroy_object(client: &Client, session: u64, object: u64) -> Result<()> {
    client.call(&DestroyObject { session, object })
}

/// `C_GetObjectSize`.
pub fn get_object_size(client: &Client, session: u64, object: u64, size: Place<CK_ULONG>) -> Result<()> {
    size.write(client.call(&GetObjectSize { session, object })?);
    Ok(())
}

/// `C_GetAttributeValue`.
pub fn get_attribute_value(client: &Client, session: u64, object: u64, template: Attributes) -> Result<()> {
    let types = template.types();
    if let Some(replies) = client.cache.attributes(session, object, &types, || client.is_alive()) {
        return template.write(&replies);
    }
    let asked = client.cache.stamp();
    let replies = client.call(&GetAttributeValue { session, object, types: types.clone() })?;
    if replies.len() == types.len() {
        client.cache.learn_attributes(session, object, types.into_iter().zip(replies.iter().cloned()), asked);
    }
    template.write(&replies)
}

/// `C_SetAttributeValue`.
pub fn set_attribute_value(client: &Client, session: u64, object: u64, template: Attributes) -> Result<()> {
    client.call(&SetAttributeValue { session, object, template: template.read()? })
}

/// `C_FindObjectsInit`.
pub fn find_objects_init(client: &Client, session: u64, template: Attributes) -> Result<()> {
    let template = template.read()?;
    if client.cache.is_finding(session) {
        return Err(Rv::OPERATION_ACTIVE);
    }
    if client.cache.slot(session).is_none() {
        return client.call(&FindObjectsInit { session, template });
    }
    let asked = client.cache.stamp();
    let found = client.call(&FindFirst { session, template, max: FIRST_FOUND })?;
    client.cache.found(session, found, asked);
    Ok(())
}

/// `C_FindObjects`.
pub fn find_objects(
    client: &Client,
    session: u64,
    objects: OutArray<CK_OBJECT_HANDLE>,
    count: Place<CK_ULONG>,
) -> Result<()> {
    let room = objects.room();
    let found = match client.cache.next_found(session, room) {
        Some((mut found, more)) => {
            let left = room - found.len() as u64;
            if more && left > 0 {
                found.extend(client.call(&FindObjects { session, max: left })?);
            }
            found
        }
        None => client.call(&FindObjects { session, max: room })?,
    };
    objects.write(&found)?;
    count.write(found.len() as CK_ULONG);
    Ok(())
}

/// `C_FindObjectsFinal`.
pub fn find_objects_final(client: &Client, session: u64) -> Result<()> {
    match client.cache.end_find(session) {
        Some(false) => Ok(()),
        Some(true) | None => client.call(&FindObjectsFinal { session }),
    }
}
