//! Key management (PKCS#11 3.2, section 5.18).
#![allow(unsafe_code, reason = "calls through C function pointers")]

use claviger_protocol::Result;

use super::{Output, Raw, Room, check, input, output};
use crate::attribute::{Attribute, array};
use crate::mechanism::Mechanism;

impl Raw {
    /// `C_GenerateKey`.
    pub fn generate_key(&self, session: u64, mechanism: &Mechanism, template: &[Attribute]) -> Result<u64> {
        let (mut template, mut key) = (array(template), 0);
        let count = template.len() as u64;
        check(
            mechanism.with(|m| call!(self.C_GenerateKey(session, m, template.as_mut_ptr(), count, &mut key))),
        )
        .map(|()| key)
    }

    /// `C_GenerateKeyPair`: public and private key.
    pub fn generate_key_pair(
        &self,
        session: u64,
        mechanism: &Mechanism,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<(u64, u64)> {
        let (mut public, mut private) = (array(public), array(private));
        let (publics, privates) = (public.len() as u64, private.len() as u64);
        let mut keys = (0, 0);
        check(mechanism.with(|m| {
            call!(self.C_GenerateKeyPair(
                session,
                m,
                public.as_mut_ptr(),
                publics,
                private.as_mut_ptr(),
                privates,
                &mut keys.0,
                &mut keys.1
            ))
        }))
        .map(|()| keys)
    }

    /// `C_WrapKey`.
    pub fn wrap_key(&self, session: u64, mechanism: &Mechanism, with: u64, key: u64, room: Room) -> Output {
        mechanism
            .with(|m| output(room, |out, length| call!(self.C_WrapKey(session, m, with, key, out, length))))
    }

    /// `C_UnwrapKey`.
    pub fn unwrap_key(
        &self,
        session: u64,
        mechanism: &Mechanism,
        with: u64,
        wrapped: &[u8],
        template: &[Attribute],
    ) -> Result<u64> {
        let (mut template, mut key) = (array(template), 0);
        let count = template.len() as u64;
        let (wrapped, length) = input(wrapped);
        check(mechanism.with(|m| {
            call!(self.C_UnwrapKey(session, m, with, wrapped, length, template.as_mut_ptr(), count, &mut key))
        }))
        .map(|()| key)
    }

    /// `C_DeriveKey`.
    pub fn derive_key(
        &self,
        session: u64,
        mechanism: &Mechanism,
        base: u64,
        template: &[Attribute],
    ) -> Result<u64> {
        let (mut template, mut key) = (array(template), 0);
        let count = template.len() as u64;
        check(
            mechanism
                .with(|m| call!(self.C_DeriveKey(session, m, base, template.as_mut_ptr(), count, &mut key))),
        )
        .map(|()| key)
    }
}
