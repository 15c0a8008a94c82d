//! A PKCS#11 token that is measured.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use claviger_conformance::prelude::*;
use claviger_conformance::process;
use claviger_protocol::flags::{session, user};

use crate::case::{PARTS, Work};
use crate::{Peer, Prepare};

const RW: u64 = session::RW_SESSION | session::SERIAL_SESSION;
/// Of AES-GCM, in bytes.
const GCM_TAG_BYTES: usize = 16;
/// Where distributions put SoftHSM2.
const SOFTHSM2: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];
/// More objects than this are left to tokens that are filled quickly.
pub const MOST_ELSEWHERE: usize = 1000;

/// See [the file](self).
pub struct Token {
    name: &'static str,
    raw: Raw,
    slot: u64,
    /// A session that stays open: with the last one the login would go.
    session: u64,
    daemon: Option<&'static Daemon>,
    /// Keys by what they are for; 0 where the token has no such thing.
    keys: Mutex<HashMap<Work, u64>>,
    /// Further tokens of the same peer, by how many objects they hold to be found.
    filled: Mutex<HashMap<usize, Option<&'static Token>>>,
}

impl Token {
    fn new(name: &'static str, raw: Raw, slot: u64, pin: &str, daemon: Option<&'static Daemon>) -> Token {
        let session = raw.open_session(slot, RW).expect("C_OpenSession");
        raw.login(session, user::USER, Some(pin.as_bytes())).expect("C_Login");
        Token { name, raw, slot, session, daemon, keys: Mutex::default(), filled: Mutex::default() }
    }

    /// A token of a daemon.
    pub fn claviger(daemon: &'static Daemon) -> Token {
        let ring = Ring::create(daemon, &["--p11-destroy", "immediate"]);
        // Loaded for good: C_Finalize would end the application.
        let application: &'static Application = Box::leak(Box::new(Application::on(daemon)));
        let (raw, slot) = (application.raw.clone(), application.slot(&ring));
        Token::new("Claviger", raw, slot, &ring.user_pin, Some(daemon))
    }

    /// A token of SoftHSM2's, if that is installed.
    pub fn softhsm2(directory: &Path) -> Option<Token> {
        let module = SOFTHSM2.iter().map(PathBuf::from).find(|path| path.exists())?;
        let tokens = directory.join("tokens");
        std::fs::create_dir(&tokens).expect("a directory for SoftHSM2");
        let config = directory.join("softhsm2.conf");
        let content = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(&config, content).expect("SoftHSM2's configuration");
        process::set_variable("SOFTHSM2_CONF", &config);
        Some(Token::in_process("SoftHSM2", &module))
    }

    /// A token of kryoptic's, if `BENCH_KRYOPTIC` names its library.
    pub fn kryoptic(directory: &Path) -> Option<Token> {
        let module = PathBuf::from(std::env::var_os("BENCH_KRYOPTIC")?);
        process::set_variable("KRYOPTIC_CONF", &directory.join("kryoptic.sql"));
        Some(Token::in_process("kryoptic", &module))
    }

    /// A token of a module that keeps its keys in this process.
    fn in_process(name: &'static str, module: &Path) -> Token {
        let raw = Raw::load(module);
        raw.initialize(Arguments::Flags(2)).expect("C_Initialize");
        Token::in_free_slot(name, raw, "bench").expect("C_InitToken")
    }

    /// A new token in the slot that has none yet.
    fn in_free_slot(name: &'static str, raw: Raw, label: &str) -> Option<Token> {
        /// `CKF_TOKEN_INITIALIZED`.
        const INITIALIZED: u64 = 0x400;
        let slots = || {
            // SoftHSM2 looks for new slots when it is asked for their number.
            let (_, count, _) = raw.slots(true, None);
            raw.slots(true, Some(count)).2.into_iter()
        };
        let free =
            slots().find(|slot| raw.token_info(*slot).is_ok_and(|info| info.flags & INITIALIZED == 0))?;
        raw.init_token(free, b"12345678", label).expect("C_InitToken");
        let padded = format!("{label:32}");
        let slot =
            slots().find(|slot| raw.token_info(*slot).is_ok_and(|info| info.label == padded.as_bytes()))?;
        let session = raw.open_session(slot, RW).expect("C_OpenSession");
        raw.login(session, user::SO, Some(b"12345678")).expect("C_Login");
        raw.init_pin(session, b"1234").expect("C_InitPIN");
        raw.close_session(session).expect("C_CloseSession");
        Some(Token::new(name, raw, slot, "1234", None))
    }

    /// A token of the same peer that holds so many keys, filled once.
    fn with_objects(&self, objects: usize) -> Option<&'static Token> {
        let mut filled = self.filled.lock().expect("the tokens");
        *filled.entry(objects).or_insert_with(|| {
            let token = match self.daemon {
                Some(_) if objects > MOST_ELSEWHERE => Token::claviger(large_daemon()),
                Some(daemon) => Token::claviger(daemon),
                None if objects > MOST_ELSEWHERE => return None,
                None => Token::in_free_slot(self.name, self.raw.clone(), &format!("bench {objects}"))?,
            };
            token.fill(objects);
            Some(Box::leak(Box::new(token)))
        })
    }

    fn pair(&self, session: u64, mechanism: M, parameter: Attribute) -> Result<u64, Rv> {
        let private = [token(true), flag(A::PRIVATE, true), flag(A::SIGN, true)];
        let public = [token(true), flag(A::VERIFY, true), parameter];
        self.raw.generate_key_pair(session, &mechanism.into(), &public, &private).map(|(_, private)| private)
    }

    /// Makes the key for a work; 0 when the token cannot.
    fn make_key(&self, work: Work) -> u64 {
        let bits = |bits: u32| ulong(A::MODULUS_BITS, bits.into());
        let key = match work {
            Work::RsaPkcs(size) => self.pair(self.session, M::RSA_PKCS_KEY_PAIR_GEN, bits(size)),
            Work::RsaPss => self.pair(self.session, M::RSA_PKCS_KEY_PAIR_GEN, bits(2048)),
            Work::P256 | Work::P256Among(_) => {
                self.pair(self.session, M::EC_KEY_PAIR_GEN, bytes(A::EC_PARAMS, curve::P256))
            }
            Work::Ed25519 => {
                self.pair(self.session, M::EC_EDWARDS_KEY_PAIR_GEN, bytes(A::EC_PARAMS, curve::ED25519))
            }
            Work::Hmac => {
                let template = [ulong(A::VALUE_LEN, 32), token(true), flag(A::SIGN, true)];
                self.raw.generate_key(self.session, &M::GENERIC_SECRET_KEY_GEN.into(), &template)
            }
            Work::Gcm(_) | Work::CbcInParts | Work::Attributes => self.aes(self.session, "bench"),
            _ => Ok(0),
        };
        key.unwrap_or(0)
    }

    fn aes(&self, session: u64, name: &str) -> Result<u64, Rv> {
        let template = [
            ulong(A::VALUE_LEN, 32),
            token(true),
            flag(A::ENCRYPT, true),
            label(name),
            bytes(A::ID, name.as_bytes()),
        ];
        self.raw.generate_key(session, &M::AES_KEY_GEN.into(), &template)
    }

    fn key(&self, work: Work) -> u64 {
        let mut keys = self.keys.lock().expect("the keys");
        *keys.entry(work).or_insert_with(|| self.make_key(work))
    }

    /// Makes keys until there are so many, eight at a time: whoever can shares the disk's work.
    fn fill(&self, count: usize) {
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let session = self.open();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count as u64 {
                            break;
                        }
                        self.aes(session, &format!("key-{number}")).expect("C_GenerateKey");
                    }
                });
            }
        });
    }

    fn open(&self) -> u64 {
        self.raw.open_session(self.slot, RW).expect("C_OpenSession")
    }

    fn sign(&self, session: u64, work: Work, mechanism: &Mechanism, key: u64, data: &[u8]) -> Result<(), Rv> {
        self.raw.start(Operation::Sign, session, Some(mechanism), key)?;
        let length = self.raw.one_shot_into(Operation::Sign, session, data, &mut [0; 512])?;
        assert!(length > 0, "{work:?}");
        Ok(())
    }

    fn encrypt(&self, session: u64, key: u64, iv: u64, data: &[u8], buffer: &mut [u8]) -> Result<(), Rv> {
        let iv = [&[0; 4], &iv.to_be_bytes()[..]].concat();
        self.raw.start(Operation::Encrypt, session, Some(&Mechanism::gcm(&iv, b"", 128)), key)?;
        let length = self.raw.one_shot_into(Operation::Encrypt, session, data, buffer)?;
        assert_eq!(length, data.len() + GCM_TAG_BYTES);
        Ok(())
    }

    fn encrypt_in_parts(&self, session: u64, key: u64, part: &[u8], buffer: &mut [u8]) {
        let cbc = Mechanism::bytes(M::AES_CBC, &[7; 16]);
        self.raw.start(Operation::Encrypt, session, Some(&cbc), key).expect("C_EncryptInit");
        for _ in 0..PARTS {
            self.raw.update_into(Operation::Encrypt, session, part, buffer).expect("C_EncryptUpdate");
        }
        self.raw.finish(Operation::Encrypt, session, Room::Bytes(16)).unwrap();
    }

    fn find(&self, session: u64, name: &str) -> usize {
        self.raw.find_init(session, &[label(name)]).expect("C_FindObjectsInit");
        let found = self.raw.find_next(session, 10).expect("C_FindObjects");
        self.raw.find_final(session).expect("C_FindObjectsFinal");
        found.len()
    }
}

/// Keys that go when they have been counted.
struct Made<'a> {
    token: &'a Token,
    session: u64,
    handles: Vec<u64>,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for handle in &self.handles {
            let _ = self.token.raw.destroy_object(self.session, *handle);
        }
    }
}

/// A daemon for many objects, which takes them faster than a disk would: its store is in memory where the system has
/// such a place.
pub fn large_daemon() -> &'static Daemon {
    static DAEMON: OnceLock<&'static Daemon> = OnceLock::new();
    DAEMON.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        if std::env::var_os("TMPDIR").is_none() && memory.is_dir() {
            process::set_variable("TMPDIR", memory);
        }
        Box::leak(Box::new(Daemon::start()))
    })
}

impl Peer for Token {
    fn name(&self) -> &'static str {
        self.name
    }

    fn processes(&self) -> Vec<u32> {
        self.daemon.iter().map(|daemon| daemon.pid()).collect()
    }

    fn prepare(&self, work: Work) -> Option<Prepare<'_>> {
        let own_key = if matches!(work, Work::P256Among(_)) { 0 } else { self.key(work) };
        let (key, data, mechanism) = (own_key, work.data(), work.mechanism());
        let no_key = key == 0;
        match work {
            Work::RsaPkcs(_) | Work::RsaPss | Work::P256 | Work::Ed25519 | Work::Hmac => {
                if no_key || self.sign(self.session, work, &mechanism, key, &data).is_err() {
                    return None;
                }
                Some(Box::new(move || {
                    let (session, mechanism, data) = (self.open(), mechanism.clone(), data.clone());
                    Box::new(move || {
                        self.sign(session, work, &mechanism, key, &data).expect("a signature");
                    })
                }))
            }
            Work::Gcm(_) => {
                let buffer = vec![0; data.len() + GCM_TAG_BYTES];
                if no_key || self.encrypt(self.session, key, u64::MAX, &data, &mut buffer.clone()).is_err() {
                    return None;
                }
                static IV: AtomicU64 = AtomicU64::new(0);
                Some(Box::new(move || {
                    let (session, data, mut buffer) = (self.open(), data.clone(), buffer.clone());
                    Box::new(move || {
                        let iv = IV.fetch_add(1, Ordering::Relaxed);
                        self.encrypt(session, key, iv, &data, &mut buffer).expect("a ciphertext");
                    })
                }))
            }
            Work::CbcInParts => Some(Box::new(move || {
                let (session, data, mut buffer) = (self.open(), data.clone(), vec![0; data.len()]);
                Box::new(move || self.encrypt_in_parts(session, key, &data, &mut buffer))
            })),
            Work::Attributes => Some(Box::new(move || {
                let session = self.open();
                Box::new(move || {
                    let types = [A::CLASS, A::KEY_TYPE, A::LABEL];
                    for r#type in types {
                        self.raw.attribute(session, key, r#type).expect("C_GetAttributeValue");
                    }
                })
            })),
            Work::Find(objects) | Work::FindNothing(objects) => {
                let token = self.with_objects(objects)?;
                let hit = matches!(work, Work::Find(_));
                Some(Box::new(move || {
                    let session = token.open();
                    let mut number = 0;
                    Box::new(move || {
                        number = (number + 7919) % objects;
                        let name = if hit { format!("key-{number}") } else { format!("none-{number}") };
                        assert_eq!(token.find(session, &name), usize::from(hit));
                    })
                }))
            }
            Work::P256Among(objects) => self.with_objects(objects)?.prepare(Work::P256),
            Work::KeyPair => Some(Box::new(move || {
                let mut made = Made { token: self, session: self.open(), handles: Vec::new() };
                Box::new(move || {
                    let curve = bytes(A::EC_PARAMS, curve::P256);
                    let key = self.pair(made.session, M::EC_KEY_PAIR_GEN, curve);
                    made.handles.push(key.expect("C_GenerateKeyPair"));
                })
            })),
            Work::AesKey => Some(Box::new(move || {
                let mut made = Made { token: self, session: self.open(), handles: Vec::new() };
                Box::new(move || {
                    made.handles.push(self.aes(made.session, "made").expect("C_GenerateKey"));
                })
            })),
            Work::Session => Some(Box::new(move || {
                Box::new(move || {
                    let session = self.open();
                    self.raw.close_session(session).expect("C_CloseSession");
                })
            })),
        }
    }
}
