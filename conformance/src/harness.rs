//! What a test begins with.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use claviger_protocol::{AttributeType, KeyType, MechanismType, Result};

use crate::application::Application;
use crate::attribute::{Attribute, bytes, flag, label, token, ulong};
use crate::daemon::Daemon;
use crate::mechanism::Mechanism;

/// The daemon that the tests of one binary share; those that kill daemons start their own.
pub fn daemon() -> &'static Daemon {
    static DAEMON: OnceLock<Daemon> = OnceLock::new();
    DAEMON.get_or_init(Daemon::start)
}

/// A key ring, which is a token.
#[derive(Debug, Clone)]
pub struct Ring {
    /// Its name for the CLI.
    pub name: String,
    /// Its label for applications.
    pub label: String,
    /// The security officer's PIN.
    pub so_pin: String,
    /// The user's PIN.
    pub user_pin: String,
}

impl Ring {
    /// A new key ring; `options` go to `claviger keyrings create`.
    pub fn create(daemon: &Daemon, options: &[&str]) -> Ring {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let ring = Ring {
            name: format!("ring-{number}"),
            label: format!("token {number}"),
            so_pin: format!("so-pin-{number}"),
            user_pin: format!("user-pin-{number}"),
        };
        let so_pin = daemon.file(&format!("so-pin-{number}"), &ring.so_pin);
        let user_pin = daemon.file(&format!("user-pin-{number}"), format!("{}\n", ring.user_pin));
        let mut arguments = vec!["keyrings", "create", &ring.name, "--token-label", &ring.label];
        let (so_pin, user_pin) = (so_pin.to_string_lossy(), user_pin.to_string_lossy());
        arguments.extend(["--so-pin-file", &so_pin, "--user-pin-file", &user_pin]);
        arguments.extend(options);
        daemon.admin().json(arguments);
        ring
    }
}

/// A key ring of its own and an application, on the binary's daemon.
pub struct Setup {
    /// The binary's daemon.
    pub daemon: &'static Daemon,
    /// This test's key ring.
    pub ring: Ring,
    /// This test's application.
    pub app: Application,
}

impl Setup {
    /// With the defaults of a key ring.
    pub fn new() -> Setup {
        Setup::with(&[])
    }

    /// With options of `claviger keyrings create`.
    pub fn with(options: &[&str]) -> Setup {
        let daemon = daemon();
        let ring = Ring::create(daemon, options);
        Setup { daemon, ring, app: Application::on(daemon) }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Setup::new()
    }
}

/// Makes keys with templates as applications give them: usage left to the defaults, objects of the session
/// unless `more` says otherwise.
impl Application {
    /// An AES key of this many bytes.
    pub fn aes(&self, session: u64, size: u64, more: &[Attribute]) -> Result<u64> {
        let template = [&[ulong(AttributeType::VALUE_LEN, size)], more].concat();
        self.raw.generate_key(session, &MechanismType::AES_KEY_GEN.into(), &template)
    }

    /// A generic secret of this many bytes.
    pub fn secret(&self, session: u64, size: u64, more: &[Attribute]) -> Result<u64> {
        let template = [&[ulong(AttributeType::VALUE_LEN, size)], more].concat();
        self.raw.generate_key(session, &MechanismType::GENERIC_SECRET_KEY_GEN.into(), &template)
    }

    /// An RSA key pair of this many bits, e = 65537: public and private key.
    pub fn rsa(&self, session: u64, bits: u64, more: &[Attribute]) -> Result<(u64, u64)> {
        let public = [
            &[ulong(AttributeType::MODULUS_BITS, bits), bytes(AttributeType::PUBLIC_EXPONENT, [1, 0, 1])],
            more,
        ]
        .concat();
        let mechanism = MechanismType::RSA_PKCS_KEY_PAIR_GEN.into();
        self.raw.generate_key_pair(session, &mechanism, &public, more)
    }

    /// A key pair on a curve, by `CKA_EC_PARAMS`.
    pub fn ec(&self, session: u64, curve: &[u8], more: &[Attribute]) -> Result<(u64, u64)> {
        let mechanism = MechanismType::EC_KEY_PAIR_GEN.into();
        self.pair_on(&mechanism, session, curve, more)
    }

    /// An Edwards key pair, by `CKA_EC_PARAMS`.
    pub fn edwards(&self, session: u64, curve: &[u8], more: &[Attribute]) -> Result<(u64, u64)> {
        let mechanism = MechanismType::EC_EDWARDS_KEY_PAIR_GEN.into();
        self.pair_on(&mechanism, session, curve, more)
    }

    fn pair_on(
        &self,
        mechanism: &Mechanism,
        session: u64,
        curve: &[u8],
        more: &[Attribute],
    ) -> Result<(u64, u64)> {
        let public = [&[bytes(AttributeType::EC_PARAMS, curve)], more].concat();
        self.raw.generate_key_pair(session, mechanism, &public, more)
    }

    /// A session key of known bytes.
    pub fn known(&self, session: u64, r#type: KeyType, value: &[u8], usage: &[AttributeType]) -> u64 {
        let template = crate::attribute::secret_key(r#type, value, usage);
        self.raw.create_object(session, &template).expect("C_CreateObject")
    }
}

/// `CKA_TOKEN` true and a label.
pub fn on_token(name: &str) -> Vec<Attribute> {
    vec![token(true), label(name)]
}

/// Usage flags set to true.
pub fn usage(flags: &[AttributeType]) -> Vec<Attribute> {
    flags.iter().map(|r#type| flag(*r#type, true)).collect()
}
