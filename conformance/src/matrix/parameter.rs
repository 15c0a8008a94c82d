//! Parameters by shape: one that the mechanism takes, and some that it does not.

use claviger_protocol::flags::kdf;
use claviger_protocol::mechanism::{Cipher, Hash, MechanismRow, Recipe, Sp800108};
use claviger_protocol::params::Shape;
use claviger_protocol::{AttributeType as A, KeyType, MechanismType as M};

use super::keys::Keys;
use super::{Outcome, Use};
use crate::mechanism::Mechanism;
use crate::structure::{self, Pointing, Structure};

/// Plain IVs and data: bytes that are different everywhere.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 151 + i / 256 + 7) as u8).collect()
}

/// Length of a cipher's block in bytes.
pub fn block(cipher: Cipher) -> usize {
    match cipher {
        Cipher::Des | Cipher::Des3 => 8,
        Cipher::Aes | Cipher::Aria | Cipher::Sm4 => 16,
        Cipher::ChaCha20 => 64,
    }
}

/// `CKM_*` of a hash that RSA signs with, and its `CKG_MGF1_*`.
fn rsa_hash(hash: Hash) -> (M, u64) {
    match hash {
        Hash::Sha1 => (M::SHA_1, 1),
        Hash::Sha224 => (M::SHA224, 5),
        Hash::Sha256 => (M::SHA256, 2),
        Hash::Sha384 => (M::SHA384, 3),
        Hash::Sha512 => (M::SHA512, 4),
        Hash::Sha3_224 => (M::SHA3_224, 6),
        Hash::Sha3_256 => (M::SHA3_256, 7),
        Hash::Sha3_384 => (M::SHA3_384, 8),
        Hash::Sha3_512 => (M::SHA3_512, 9),
        other => panic!("RSA signs with no {other:?}"),
    }
}

/// A right parameter. `peer` is type and number of the other party's key in an agreement, `data_len` how much data
/// CCM is told of.
pub fn right(keys: &Keys, row: &MechanismRow, peer: (KeyType, usize), data_len: usize) -> Outcome<Pointing> {
    let r#type = row.r#type;
    let iv = pattern(16);
    let other = |attribute| {
        keys.of(peer.0, Use::Derive, peer.1).and_then(|(public, _)| keys.attribute(public, attribute))
    };
    let iteration = |bits| structure::prf_data(1, &structure::counter_format(bits));
    let label = || structure::prf_data(4, b"label");
    let prf = || Structure::new().ulong(M::SHA256_HMAC.0);
    Ok(match row.params {
        Shape::None | Shape::OptionalBytes | Shape::Eddsa | Shape::SignContext => {
            Mechanism::new(r#type).into()
        }
        Shape::Bytes => match row.recipe {
            Recipe::Dh => Mechanism::bytes(r#type, &other(A::VALUE)?).into(),
            Recipe::Cipher(cipher, _) => Mechanism::bytes(r#type, &iv[..block(cipher)]).into(),
            other => panic!("the matrix has no bytes for {other:?}"),
        },
        Shape::Ulong => {
            let number = match row.recipe {
                Recipe::DigestSha512T | Recipe::HashKeySha512T | Recipe::HmacSha512T => 256,
                Recipe::Hmac { .. } | Recipe::Cmac { .. } | Recipe::CbcMac { .. } => 5,
                Recipe::Concatenate(_) => keys.of(KeyType::GENERIC_SECRET, Use::Derive, 7)?.0,
                Recipe::Extract => 3,
                other => panic!("the matrix has no number for {other:?}"),
            };
            Mechanism::ulong(r#type, number).into()
        }
        Shape::Data => {
            // Short enough that the base key is in what is derived.
            let length = if matches!(row.recipe, Recipe::Concatenate(_)) { 8 } else { 32 };
            Structure::new().data(&pattern(length)).of(r#type)
        }
        Shape::Pss => {
            let hash = match row.recipe {
                Recipe::RsaPss(Some(hash)) => hash,
                _ => Hash::Sha256,
            };
            let (hash, mgf) = rsa_hash(hash);
            Mechanism::pss(r#type, hash, mgf, 20).into()
        }
        Shape::Oaep => Mechanism::oaep(M::SHA256, 2, 1, b"label").into(),
        Shape::Ctr => Mechanism::ctr(64, [7; 16]).into(),
        // GMAC authenticates the data, and nothing besides.
        Shape::Gcm if row.recipe == Recipe::Gmac => structure::gcm(r#type, &iv[..12], b"", 128),
        Shape::Gcm => structure::gcm(r#type, &iv[..12], b"more", 128),
        Shape::Ccm => structure::ccm(r#type, data_len, &iv[..12], b"more", 16),
        Shape::ChaCha20 => {
            Structure::new().pointer(&[1, 0, 0, 0]).ulong(32).pointer(&iv[..12]).ulong(96).of(r#type)
        }
        Shape::ChaCha20Poly1305 => structure::chacha20_poly1305(&iv[..12], b"more"),
        Shape::Ecdh => {
            let point = other(A::EC_POINT)?;
            Structure::new().ulong(kdf::NULL).length_first(b"").length_first(&point).of(r#type)
        }
        Shape::EcdhAesKeyWrap => {
            Structure::new().ulong(256).ulong(kdf::SHA256_KDF).length_first(b"shared").of(r#type)
        }
        Shape::RsaAesKeyWrap => structure::rsa_aes_key_wrap(256, structure::oaep(M::SHA256, 2)),
        Shape::Hkdf => structure::hkdf(r#type, M::SHA256, b"salt", b"info"),
        // CKP_PKCS5_PBKD2_HMAC_SHA256
        Shape::Pbkdf2 => structure::pbkdf2(4, b"salt", 1000, b"password"),
        Shape::Sp800108 => {
            let counter = match row.recipe {
                Recipe::Sp800108(Sp800108::DoublePipeline) => structure::prf_data(1, b""),
                _ => iteration(32),
            };
            prf().array(vec![counter, label()]).ulong(0).ulong(0).of(r#type)
        }
        Shape::Sp800108Feedback => {
            let parts = vec![structure::prf_data(1, b""), label()];
            prf().array(parts).length_first(&pattern(32)).ulong(0).ulong(0).of(r#type)
        }
        Shape::CbcEncryptData(length) => {
            Structure::new().inline(&iv[..usize::from(length)]).data(&pattern(32)).of(r#type)
        }
        Shape::X942Dh => {
            let value = other(A::VALUE)?;
            Structure::new().ulong(kdf::NULL).length_first(b"").length_first(&value).of(r#type)
        }
        // CKH_HEDGE_PREFERRED
        Shape::HashSignContext => Structure::new().ulong(0).data(b"context").ulong(M::SHA256.0).of(r#type),
    })
}

/// Parameters that are wrong, and what is wrong with them.
pub fn wrong(row: &MechanismRow) -> Vec<(&'static str, Mechanism)> {
    let r#type = row.r#type;
    // No structure has five bytes, and no IV.
    let odd = ("a parameter of 5 bytes", Mechanism::bytes(r#type, &[1; 5]));
    let none = ("no parameter", Mechanism::new(r#type));
    let number = |what, value| (what, Mechanism::ulong(r#type, value));
    match row.params {
        Shape::None | Shape::OptionalBytes | Shape::Eddsa | Shape::SignContext => vec![odd],
        Shape::Bytes if row.recipe == Recipe::Dh => {
            vec![none, ("a public value of 1", Mechanism::bytes(r#type, &[1]))]
        }
        Shape::Ulong => {
            let numbers = match row.recipe {
                Recipe::DigestSha512T | Recipe::HashKeySha512T | Recipe::HmacSha512T => {
                    vec![number("0 bits", 0), number("512 bits", 512)]
                }
                Recipe::Hmac { .. } | Recipe::Cmac { .. } | Recipe::CbcMac { .. } => {
                    vec![number("a MAC of 0 bytes", 0), number("a MAC of 65 bytes", 65)]
                }
                Recipe::Extract => vec![number("a bit behind the end", 1 << 20)],
                _ => Vec::new(),
            };
            [vec![none, odd], numbers].concat()
        }
        Shape::Bytes
        | Shape::Data
        | Shape::Pss
        | Shape::Oaep
        | Shape::Ctr
        | Shape::Gcm
        | Shape::Ccm
        | Shape::ChaCha20
        | Shape::ChaCha20Poly1305
        | Shape::Ecdh
        | Shape::EcdhAesKeyWrap
        | Shape::RsaAesKeyWrap
        | Shape::Hkdf
        | Shape::Pbkdf2
        | Shape::Sp800108
        | Shape::Sp800108Feedback
        | Shape::CbcEncryptData(_)
        | Shape::X942Dh
        | Shape::HashSignContext => vec![none, odd],
    }
}
