//! Keys of the common kinds in a session, and operations that work with them.

use claviger_conformance::prelude::*;

/// A token with a user logged in, and keys that may be used for everything their type allows.
pub struct World {
    pub setup: Setup,
    pub session: u64,
    pub slot: u64,
    pub aes: u64,
    pub secret: u64,
    pub rsa: (u64, u64),
    pub ec: (u64, u64),
}

impl World {
    pub fn new() -> World {
        World::with(&[])
    }

    /// With options of `claviger keyrings create`.
    pub fn with(options: &[&str]) -> World {
        let setup = Setup::with(options);
        let (session, slot) = (setup.app.login(&setup.ring), setup.app.slot(&setup.ring));
        let app = &setup.app;
        let aes = usage(&[A::ENCRYPT, A::DECRYPT, A::WRAP, A::UNWRAP, A::DERIVE, A::SIGN, A::VERIFY]);
        let aes = app.aes(session, 16, &[aes, vec![flag(A::EXTRACTABLE, true)]].concat()).unwrap();
        let secret = usage(&[A::SIGN, A::VERIFY, A::DERIVE]);
        let secret = app.secret(session, 32, &[secret, vec![flag(A::EXTRACTABLE, true)]].concat()).unwrap();
        let public =
            [vec![ulong(A::MODULUS_BITS, 2048)], usage(&[A::ENCRYPT, A::VERIFY, A::VERIFY_RECOVER, A::WRAP])];
        let private = usage(&[A::DECRYPT, A::SIGN, A::SIGN_RECOVER, A::UNWRAP]);
        let generate = M::RSA_PKCS_KEY_PAIR_GEN.into();
        let rsa = app.raw.generate_key_pair(session, &generate, &public.concat(), &private).unwrap();
        let ec = app.ec(session, curve::P256, &[]).unwrap();
        World { session, slot, aes, secret, rsa, ec, setup }
    }

    pub fn raw(&self) -> &Raw {
        &self.setup.app.raw
    }

    /// A mechanism and a key with which the operation starts.
    pub fn working(&self, operation: Operation) -> (Mechanism, u64) {
        match operation {
            Operation::Encrypt | Operation::Decrypt => (M::AES_ECB.into(), self.aes),
            Operation::Digest => (M::SHA256.into(), 0),
            Operation::Sign | Operation::Verify => (M::SHA256_HMAC.into(), self.secret),
            Operation::SignRecover => (M::RSA_PKCS.into(), self.rsa.1),
            Operation::VerifyRecover => (M::RSA_PKCS.into(), self.rsa.0),
        }
    }

    /// Starts the operation as [`working`](Self::working) says.
    #[track_caller]
    pub fn start(&self, operation: Operation) {
        let (mechanism, key) = self.working(operation);
        assert_eq!(self.raw().start(operation, self.session, Some(&mechanism), key), Ok(()), "{operation:?}");
    }

    /// Ends the operation, if it is active: true when it was.
    pub fn cancel(&self, operation: Operation) -> bool {
        self.raw().start(operation, self.session, None, 0).is_ok()
    }
}
