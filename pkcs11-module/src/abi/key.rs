//! Chapter 5.18: key management.

use claviger_protocol::Result;
use claviger_protocol::call::{DeriveKey, GenerateKey, GenerateKeyPair, UnwrapKey, WrapKey};

use super::operation::fill;
use crate::client::Client;
use crate::ptr::params::MechanismIn;
use crate::ptr::template::Attributes;
use crate::ptr::{In, Out, Place};
use crate::sys::CK_OBJECT_HANDLE;

/// `C_GenerateKey`.
pub fn generate_key(
    client: &Client,
    session: u64,
    mechanism: MechanismIn,
    template: Attributes,
    key: Place<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let request = GenerateKey { session, mechanism: mechanism.required()?, template: template.read()? };
    key.write(client.call(&request)?);
    Ok(())
}

/// `C_GenerateKeyPair`.
pub fn generate_key_pair(
    client: &Client,
    session: u64,
    mechanism: MechanismIn,
    public_key_template: Attributes,
    private_key_template: Attributes,
    public_key: Place<CK_OBJECT_HANDLE>,
    private_key: Place<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let (public, private) = client.call(&GenerateKeyPair {
        session,
        mechanism: mechanism.required()?,
        public_key_template: public_key_template.read()?,
        private_key_template: private_key_template.read()?,
    })?;
    public_key.write(public);
    private_key.write(private);
    Ok(())
}

/// `C_WrapKey`.
pub fn wrap_key(
    client: &Client,
    session: u64,
    mechanism: MechanismIn,
    wrapping_key: u64,
    key: u64,
    wrapped_key: Out,
) -> Result<()> {
    fill(client, session, 0, wrapped_key, |room| {
        Ok(WrapKey { session, mechanism: mechanism.required()?, wrapping_key, key, room })
    })
}

/// `C_UnwrapKey`.
pub fn unwrap_key(
    client: &Client,
    session: u64,
    mechanism: MechanismIn,
    unwrapping_key: u64,
    wrapped_key: In,
    template: Attributes,
    key: Place<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let handle = client.call(&UnwrapKey {
        session,
        mechanism: mechanism.required()?,
        unwrapping_key,
        wrapped_key: wrapped_key.bytes()?,
        template: template.read()?,
    })?;
    key.write(handle);
    Ok(())
}

/// `C_DeriveKey`.
///
/// A mechanism that returns more than one key does so in places that its parameter points to (`CK_DERIVED_KEY`).
pub fn derive_key(
    client: &Client,
    session: u64,
    mechanism: MechanismIn,
    base_key: u64,
    template: Attributes,
    key: Place<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let request =
        DeriveKey { session, mechanism: mechanism.required()?, base_key, template: template.read()? };
    let derived = client.call(&request)?;
    mechanism.write_further_keys(&derived.further_keys)?;
    key.write(derived.key);
    Ok(())
}
