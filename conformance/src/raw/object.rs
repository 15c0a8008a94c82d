//! Objects (PKCS#11 3.2, section 5.7).
#![allow(unsafe_code, reason = "calls through C function pointers")]

use std::ptr::null_mut;

use claviger_protocol::{AttributeType, Result, Rv};
use cryptoki_sys::*;

use super::{GUARD, Raw, Room, check};
use crate::attribute::{Attribute, array};

impl Raw {
    /// `C_CreateObject`.
    pub fn create_object(&self, session: u64, template: &[Attribute]) -> Result<u64> {
        let (mut template, mut object) = (array(template), 0);
        let count = template.len() as u64;
        check(call!(self.C_CreateObject(session, template.as_mut_ptr(), count, &mut object))).map(|()| object)
    }

    /// `C_CopyObject`.
    pub fn copy_object(&self, session: u64, object: u64, template: &[Attribute]) -> Result<u64> {
        let (mut template, mut copy) = (array(template), 0);
        let count = template.len() as u64;
        check(call!(self.C_CopyObject(session, object, template.as_mut_ptr(), count, &mut copy)))
            .map(|()| copy)
    }

    /// `C_DestroyObject`.
    pub fn destroy_object(&self, session: u64, object: u64) -> Result<()> {
        check(call!(self.C_DestroyObject(session, object)))
    }

    /// `C_GetObjectSize`.
    pub fn object_size(&self, session: u64, object: u64) -> Result<u64> {
        let mut size = 0;
        check(call!(self.C_GetObjectSize(session, object, &mut size))).map(|()| size)
    }

    /// `C_GetAttributeValue`: per attribute the length left (`u64::MAX` for none) and what was written.
    pub fn attribute_values(
        &self,
        session: u64,
        object: u64,
        wanted: &[(AttributeType, Room)],
    ) -> (Rv, Vec<(u64, Vec<u8>)>) {
        let mut buffers: Vec<Vec<u8>> = wanted
            .iter()
            .map(|(_, room)| match room {
                Room::Bytes(size) => [vec![0; *size], GUARD.to_vec()].concat(),
                _ => Vec::new(),
            })
            .collect();
        let mut template: Vec<CK_ATTRIBUTE> = wanted
            .iter()
            .zip(&mut buffers)
            .map(|((r#type, _), buffer)| CK_ATTRIBUTE {
                type_: r#type.0,
                pValue: if buffer.is_empty() { null_mut() } else { buffer.as_mut_ptr().cast() },
                ulValueLen: buffer.len().saturating_sub(GUARD.len()) as u64,
            })
            .collect();
        let count = template.len() as u64;
        let rv = Rv(call!(self.C_GetAttributeValue(session, object, template.as_mut_ptr(), count)));
        let values = template
            .iter()
            .zip(buffers)
            .map(|(attribute, mut buffer)| {
                if let Some(size) = buffer.len().checked_sub(GUARD.len()) {
                    assert_eq!(buffer[size..], GUARD, "the call wrote beyond the buffer of {size} bytes");
                    let written = attribute.ulValueLen;
                    buffer.truncate(if written == u64::MAX { 0 } else { size.min(written as usize) });
                }
                (attribute.ulValueLen, buffer)
            })
            .collect();
        (rv, values)
    }

    /// One attribute's value, sized and read as applications do.
    pub fn attribute(&self, session: u64, object: u64, r#type: AttributeType) -> Result<Vec<u8>> {
        let (rv, sizes) = self.attribute_values(session, object, &[(r#type, Room::Query)]);
        check(rv.0)?;
        let room = Room::Bytes(sizes[0].0 as usize);
        let (rv, mut values) = self.attribute_values(session, object, &[(r#type, room)]);
        check(rv.0)?;
        Ok(values.remove(0).1)
    }

    /// `C_SetAttributeValue`.
    pub fn set_attributes(&self, session: u64, object: u64, template: &[Attribute]) -> Result<()> {
        let mut template = array(template);
        let count = template.len() as u64;
        check(call!(self.C_SetAttributeValue(session, object, template.as_mut_ptr(), count)))
    }

    /// `C_FindObjectsInit`.
    pub fn find_init(&self, session: u64, template: &[Attribute]) -> Result<()> {
        let mut template = array(template);
        let count = template.len() as u64;
        check(call!(self.C_FindObjectsInit(session, template.as_mut_ptr(), count)))
    }

    /// `C_FindObjects`.
    pub fn find_next(&self, session: u64, max: u64) -> Result<Vec<u64>> {
        let (mut objects, mut count) = (vec![0; max as usize], 0);
        check(call!(self.C_FindObjects(session, objects.as_mut_ptr(), max, &mut count)))?;
        assert!(count <= max, "{count} objects in an array of {max}");
        objects.truncate(count as usize);
        Ok(objects)
    }

    /// `C_FindObjectsFinal`.
    pub fn find_final(&self, session: u64) -> Result<()> {
        check(call!(self.C_FindObjectsFinal(session)))
    }

    /// All objects that match, in the token's order.
    pub fn find(&self, session: u64, template: &[Attribute]) -> Result<Vec<u64>> {
        self.find_init(session, template)?;
        let mut all = Vec::new();
        loop {
            let some = self.find_next(session, 16)?;
            if some.is_empty() {
                break;
            }
            all.extend(some);
        }
        self.find_final(session).map(|()| all)
    }

    /// `C_CreateObject` with a NULL template and a count.
    pub fn create_object_null(&self, session: u64) -> Result<()> {
        let mut object = 0;
        check(call!(self.C_CreateObject(session, null_mut(), 2, &mut object)))
    }
}
