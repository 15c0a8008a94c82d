//! A token with a user logged in, and its functions as one call each.

use std::collections::HashSet;

use claviger_conformance::prelude::*;

use crate::refusal::{Answer, Refusal};

/// A token.
pub struct Token {
    setup: Setup,
    session: u64,
    slot: u64,
    mechanisms: HashSet<u64>,
}

/// A key that goes when it is dropped.
pub struct Key<'a> {
    token: &'a Token,
    /// Its handle.
    pub handle: u64,
}

impl Drop for Key<'_> {
    fn drop(&mut self) {
        let destroyed = self.token.setup.app.raw.destroy_object(self.token.session, self.handle);
        if !std::thread::panicking() {
            assert_eq!(destroyed, Ok(()), "C_DestroyObject");
        }
    }
}

fn named<T>(function: &'static str, result: Result<T, Rv>) -> Result<T, Refusal> {
    result.map_err(|rv| Refusal::Token { function, rv })
}

impl Token {
    /// A new one on the binary's daemon.
    pub fn new() -> Token {
        Token::with(&[])
    }

    /// A new one with options of `claviger keyrings create`.
    pub fn with(options: &[&str]) -> Token {
        let setup = Setup::with(options);
        let session = setup.app.login(&setup.ring);
        let slot = setup.app.slot(&setup.ring);
        let (_, count, _) = setup.app.raw.mechanisms(slot, None);
        let (rv, _, mechanisms) = setup.app.raw.mechanisms(slot, Some(count));
        assert_eq!(rv, Rv::OK);
        assert!(!mechanisms.is_empty());
        let mechanisms = mechanisms.into_iter().map(|mechanism| mechanism.0).collect();
        Token { setup, session, slot, mechanisms }
    }

    /// True when the token lists the mechanism.
    pub fn offers(&self, mechanism: M) -> bool {
        self.mechanisms.contains(&mechanism.0)
    }

    /// The mechanism, or why a set that needs it is skipped.
    pub fn require(&self, mechanism: M) -> Result<M, String> {
        if self.offers(mechanism) {
            Ok(mechanism)
        } else {
            Err(format!("the token does not list {mechanism}"))
        }
    }

    /// Smallest and largest key of a mechanism, in its unit.
    pub fn key_sizes(&self, mechanism: M) -> (u64, u64) {
        let info = self.setup.app.raw.mechanism_info(self.slot, mechanism).expect("a listed mechanism");
        (info.ulMinKeySize, info.ulMaxKeySize)
    }

    fn key(&self, handle: u64) -> Key<'_> {
        Key { token: self, handle }
    }

    /// `C_CreateObject` of a session key.
    pub fn create(&self, template: &[Attribute]) -> Result<Key<'_>, Refusal> {
        named("CreateObject", self.setup.app.raw.create_object(self.session, template))
            .map(|handle| self.key(handle))
    }

    /// A secret key of these bytes.
    pub fn secret(&self, r#type: KeyType, value: &[u8], usage: &[A]) -> Result<Key<'_>, Refusal> {
        self.create(&secret_key(r#type, value, usage))
    }

    fn transform(
        &self,
        names: [&'static str; 2],
        operation: Operation,
        mechanism: &Mechanism,
        key: &Key,
        data: &[u8],
    ) -> Answer {
        /// More than any of these operations adds to its input.
        const MARGIN: usize = 60_000;
        let raw = &self.setup.app.raw;
        named(names[0], raw.start(operation, self.session, Some(mechanism), key.handle))?;
        let output = raw.one_shot(operation, self.session, data, Room::Bytes(data.len() + MARGIN));
        if output.rv == Rv::OK { Ok(output.data) } else { named(names[1], Err(output.rv)) }
    }

    /// `C_Digest`.
    pub fn digest(&self, mechanism: &Mechanism, data: &[u8]) -> Answer {
        let none = Key { token: self, handle: 0 };
        let digest = self.transform(["DigestInit", "Digest"], Operation::Digest, mechanism, &none, data);
        // There is no object to destroy.
        std::mem::forget(none);
        digest
    }

    /// `C_Encrypt`.
    pub fn encrypt(&self, mechanism: &Mechanism, key: &Key, data: &[u8]) -> Answer {
        self.transform(["EncryptInit", "Encrypt"], Operation::Encrypt, mechanism, key, data)
    }

    /// `C_Decrypt`.
    pub fn decrypt(&self, mechanism: &Mechanism, key: &Key, data: &[u8]) -> Answer {
        self.transform(["DecryptInit", "Decrypt"], Operation::Decrypt, mechanism, key, data)
    }

    /// `C_Sign`.
    pub fn sign(&self, mechanism: &Mechanism, key: &Key, data: &[u8]) -> Answer {
        self.transform(["SignInit", "Sign"], Operation::Sign, mechanism, key, data)
    }

    /// `C_Verify`; a valid signature gives no bytes.
    pub fn verify(&self, mechanism: &Mechanism, key: &Key, data: &[u8], signature: &[u8]) -> Answer {
        let raw = &self.setup.app.raw;
        let started = raw.start(Operation::Verify, self.session, Some(mechanism), key.handle);
        named("VerifyInit", started)?;
        named("Verify", raw.verify(self.session, data, signature)).map(|()| Vec::new())
    }

    /// `C_WrapKey`.
    pub fn wrap(&self, mechanism: &Mechanism, with: &Key, key: &Key) -> Answer {
        let room = Room::Bytes(8192);
        let output = self.setup.app.raw.wrap_key(self.session, mechanism, with.handle, key.handle, room);
        if output.rv == Rv::OK { Ok(output.data) } else { named("WrapKey", Err(output.rv)) }
    }

    /// `C_UnwrapKey` of a generic secret: its value.
    pub fn unwrap(&self, mechanism: &Mechanism, with: &Key, wrapped: &[u8]) -> Answer {
        let raw = &self.setup.app.raw;
        let unwrapped =
            raw.unwrap_key(self.session, mechanism, with.handle, wrapped, &readable(KeyType::GENERIC_SECRET));
        Ok(self.value(&self.key(named("UnwrapKey", unwrapped)?)))
    }

    /// `C_DeriveKey` of a generic secret of so many bytes: its value.
    pub fn derive(&self, mechanism: &Mechanism, base: &Key, size: usize) -> Answer {
        let template = [readable(KeyType::GENERIC_SECRET), vec![ulong(A::VALUE_LEN, size as u64)]].concat();
        let derived = self.setup.app.raw.derive_key(self.session, mechanism, base.handle, &template);
        Ok(self.value(&self.key(named("DeriveKey", derived)?)))
    }

    /// `C_DeriveKey` of a data object (`CKM_HKDF_DATA`): its value.
    pub fn derive_data(&self, mechanism: &Mechanism, base: &Key, size: usize) -> Answer {
        let template = [class(ObjectClass::DATA), ulong(A::VALUE_LEN, size as u64)];
        let derived = self.setup.app.raw.derive_key(self.session, mechanism, base.handle, &template);
        Ok(self.value(&self.key(named("DeriveKey", derived)?)))
    }

    /// `C_GenerateKey` of a key of so many bytes, which may be used as `usage` says.
    pub fn generate(
        &self,
        mechanism: &Mechanism,
        r#type: KeyType,
        size: usize,
        flags: &[A],
    ) -> Result<Key<'_>, Refusal> {
        let template = [readable(r#type), vec![ulong(A::VALUE_LEN, size as u64)], usage(flags)].concat();
        named("GenerateKey", self.setup.app.raw.generate_key(self.session, mechanism, &template))
            .map(|handle| self.key(handle))
    }

    /// `C_GenerateKey` with a template of any kind (`CKM_DSA_PARAMETER_GEN` and its like).
    pub fn generate_from(&self, mechanism: &Mechanism, template: &[Attribute]) -> Result<Key<'_>, Refusal> {
        named("GenerateKey", self.setup.app.raw.generate_key(self.session, mechanism, template))
            .map(|handle| self.key(handle))
    }

    /// `C_GenerateKeyPair`: public and private key.
    pub fn pair(
        &self,
        mechanism: &Mechanism,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Result<(Key<'_>, Key<'_>), Refusal> {
        let raw = &self.setup.app.raw;
        named("GenerateKeyPair", raw.generate_key_pair(self.session, mechanism, public, private))
            .map(|(public, private)| (self.key(public), self.key(private)))
    }

    /// `C_DeriveKey` of whatever the template says.
    pub fn derive_from(
        &self,
        mechanism: &Mechanism,
        base: &Key,
        template: &[Attribute],
    ) -> Result<Key<'_>, Refusal> {
        named("DeriveKey", self.setup.app.raw.derive_key(self.session, mechanism, base.handle, template))
            .map(|handle| self.key(handle))
    }

    /// A generic secret of these bytes that may be wrapped.
    pub fn wrappable(&self, value: &[u8]) -> Result<Key<'_>, Refusal> {
        let extractable = [flag(A::EXTRACTABLE, true)];
        self.create(&[secret_key(KeyType::GENERIC_SECRET, value, &[]), extractable.to_vec()].concat())
    }

    /// A generic secret of these bytes to derive from, which may be read as what is derived of it.
    pub fn readable_base(&self, value: &[u8]) -> Result<Key<'_>, Refusal> {
        let open = [flag(A::SENSITIVE, false), flag(A::EXTRACTABLE, true)];
        self.create(&[secret_key(KeyType::GENERIC_SECRET, value, &[A::DERIVE]), open.to_vec()].concat())
    }

    /// An attribute of a key.
    pub fn attribute(&self, key: &Key, r#type: A) -> Result<Vec<u8>, Refusal> {
        named("GetAttributeValue", self.setup.app.raw.attribute(self.session, key.handle, r#type))
    }

    /// The value of a key that may be read.
    pub fn value(&self, key: &Key) -> Vec<u8> {
        self.setup.app.raw.attribute(self.session, key.handle, A::VALUE).expect("CKA_VALUE of a readable key")
    }
}

/// A secret key whose value may be read.
fn readable(r#type: KeyType) -> Vec<Attribute> {
    vec![
        class(ObjectClass::SECRET_KEY),
        key_type(r#type),
        flag(A::SENSITIVE, false),
        flag(A::EXTRACTABLE, true),
    ]
}
