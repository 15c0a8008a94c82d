//! libcrypto in this process: keys in memory, one context per thread. Nothing can be faster.

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};

use crate::case::{PARTS, Work};
use crate::{Peer, Prepare};

/// See [the file](self).
pub struct Libcrypto {
    rsa: PKey<Private>,
    large_rsa: PKey<Private>,
    ec: PKey<Private>,
    ed25519: PKey<Private>,
}

impl Libcrypto {
    /// With keys of its own.
    pub fn new() -> Libcrypto {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
        let rsa = |bits| Rsa::generate(bits).and_then(PKey::from_rsa).expect("an RSA key");
        Libcrypto {
            rsa: rsa(2048),
            large_rsa: rsa(4096),
            ec: EcKey::generate(&group).and_then(PKey::from_ec_key).expect("an EC key"),
            ed25519: PKey::generate_ed25519().expect("an Ed25519 key"),
        }
    }
}

impl Peer for Libcrypto {
    fn name(&self) -> &'static str {
        "libcrypto"
    }

    fn prepare(&self, work: Work) -> Option<Prepare<'_>> {
        let data = work.data();
        Some(match work {
            Work::RsaPkcs(_) | Work::RsaPss | Work::P256 => {
                let key = match work {
                    Work::RsaPkcs(4096) => &self.large_rsa,
                    Work::P256 => &self.ec,
                    _ => &self.rsa,
                };
                Box::new(move || {
                    let data = data.clone();
                    let mut context = PkeyCtx::new(key).expect("a context");
                    context.sign_init().expect("sign_init");
                    match work {
                        Work::RsaPkcs(_) => context.set_rsa_padding(Padding::PKCS1).expect("PKCS #1"),
                        Work::RsaPss => {
                            context.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
                            context.set_signature_md(Md::sha256()).expect("SHA-256");
                            context.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).expect("the salt");
                        }
                        _ => {}
                    }
                    let mut buffer = [0u8; 512];
                    Box::new(move || {
                        context.sign(&data, Some(&mut buffer)).expect("a signature");
                    })
                })
            }
            Work::Ed25519 => Box::new(move || {
                let data = data.clone();
                let mut buffer = [0u8; 64];
                Box::new(move || {
                    let mut context = MdCtx::new().expect("a context");
                    context.digest_sign_init(None, &self.ed25519).expect("digest_sign_init");
                    context.digest_sign(&data, Some(&mut buffer)).expect("a signature");
                })
            }),
            Work::Hmac => Box::new(move || {
                let data = data.clone();
                let key = PKey::hmac(&[7; 32]).expect("a key");
                let mut buffer = [0u8; 32];
                Box::new(move || {
                    let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a context");
                    signer.sign_oneshot(&mut buffer, &data).expect("a MAC");
                })
            }),
            Work::Gcm(size) => Box::new(move || {
                let data = data.clone();
                let mut context = CipherCtx::new().expect("a context");
                let cipher = Cipher::fetch(None, "AES-256-GCM", None).expect("AES-GCM");
                context.encrypt_init(Some(&cipher), Some(&[7; 32]), Some(&[0; 12])).expect("a key");
                let (mut buffer, mut tag, mut iv) = (vec![0; size + 16], [0; 16], 0u64);
                Box::new(move || {
                    iv += 1;
                    let nonce = [&[0; 4], &iv.to_be_bytes()[..]].concat();
                    context.encrypt_init(None, None, Some(&nonce)).expect("an IV");
                    let count = context.cipher_update(&data, Some(&mut buffer)).expect("a ciphertext");
                    context.cipher_final(&mut buffer[count..]).expect("its end");
                    context.tag(&mut tag).expect("its tag");
                })
            }),
            Work::CbcInParts => Box::new(move || {
                let data = data.clone();
                let mut context = CipherCtx::new().expect("a context");
                let cipher = Cipher::fetch(None, "AES-256-CBC", None).expect("AES-CBC");
                let mut buffer = vec![0; data.len() + 32];
                Box::new(move || {
                    context.encrypt_init(Some(&cipher), Some(&[7; 32]), Some(&[0; 16])).expect("a key");
                    context.set_padding(false);
                    for _ in 0..PARTS {
                        context.cipher_update(&data, Some(&mut buffer)).expect("a part");
                    }
                    context.cipher_final(&mut buffer).expect("the end");
                })
            }),
            _ => return None,
        })
    }
}
