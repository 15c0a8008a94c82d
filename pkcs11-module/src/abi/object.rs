//! Chapter 5.7: object management.

use claviger_protocol::Result;
use claviger_protocol::call::{
    CopyObject, CreateObject, DestroyObject, FindObjects, FindObjectsFinal, FindObjectsInit,
    GetAttributeValue, GetObjectSize, SetAttributeValue,
};

use crate::client::Client;
use crate::ptr::template::Attributes;
use crate::ptr::{OutArray, Place};
use crate::sys::{CK_OBJECT_HANDLE, CK_ULONG};

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
    let replies = client.call(&GetAttributeValue { session, object, types: template.types() })?;
    template.write(&replies)
}

/// `C_SetAttributeValue`.
pub fn set_attribute_value(client: &Client, session: u64, object: u64, template: Attributes) -> Result<()> {
    client.call(&SetAttributeValue { session, object, template: template.read()? })
}

/// `C_FindObjectsInit`.
pub fn find_objects_init(client: &Client, session: u64, template: Attributes) -> Result<()> {
    client.call(&FindObjectsInit { session, template: template.read()? })
}

/// `C_FindObjects`.
pub fn find_objects(
    client: &Client,
    session: u64,
    objects: OutArray<CK_OBJECT_HANDLE>,
    count: Place<CK_ULONG>,
) -> Result<()> {
    let found = client.call(&FindObjects { session, max: objects.room() })?;
    objects.write(&found)?;
    count.write(found.len() as CK_ULONG);
    Ok(())
}

/// `C_FindObjectsFinal`.
pub fn find_objects_final(client: &Client, session: u64) -> Result<()> {
    client.call(&FindObjectsFinal { session })
}
