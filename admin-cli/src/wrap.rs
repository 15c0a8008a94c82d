//! Wrapping key material for an import job: RSA-OAEP alone, or RSA-OAEP of a fresh AES key and AES-KWP under it
//! (RFC 5649), the form of `CKM_RSA_AES_KEY_WRAP`.

use claviger_protocol::Bytes;
use openssl::cipher::Cipher;
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use openssl::error::ErrorStack;
use openssl::md::{Md, MdRef};
use openssl::pkey::{Id, PKey, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use zeroize::Zeroizing;

use claviger_protocol::admin::Code;

use crate::error::{Error, Result};

/// An import method.
pub struct Method {
    /// As import jobs name it.
    name: &'static str,
    /// Bits of the modulus.
    bits: u32,
    /// Hash of OAEP and of its mask generation function.
    hash: fn() -> &'static MdRef,
    /// An AES-256 key stands between.
    aes: bool,
}

const METHODS: &[Method] = &[
    Method { name: "RSA_OAEP_3072_SHA1_AES_256", bits: 3072, hash: Md::sha1, aes: true },
    Method { name: "RSA_OAEP_4096_SHA1_AES_256", bits: 4096, hash: Md::sha1, aes: true },
    Method { name: "RSA_OAEP_3072_SHA256_AES_256", bits: 3072, hash: Md::sha256, aes: true },
    Method { name: "RSA_OAEP_4096_SHA256_AES_256", bits: 4096, hash: Md::sha256, aes: true },
    Method { name: "RSA_OAEP_3072_SHA256", bits: 3072, hash: Md::sha256, aes: false },
    Method { name: "RSA_OAEP_4096_SHA256", bits: 4096, hash: Md::sha256, aes: false },
];

/// Bytes of the AES key between.
const AES_KEY_BYTES: usize = 32;
/// What AES-KWP adds at most: its integrity value and the padding to whole blocks (RFC 5649, 3 and 4.1).
const KWP_ROOM_BYTES: usize = 8 + 7;

impl Method {
    /// The method that a job names.
    ///
    /// # Errors
    /// `Unimplemented` for one that this program does not know.
    pub fn from_name(name: &str) -> Result<&'static Self> {
        METHODS.iter().find(|method| method.name == name).ok_or_else(|| {
            Error::code(
                Code::Unimplemented,
                format!("this program cannot wrap for the import method {name}: wrap elsewhere, pass --wrapped-key-file"),
            )
        })
    }

    /// Wraps material under the job's public key, in PEM.
    ///
    /// # Errors
    /// The public key is none or of another size than the method's, or the material is too long for it.
    pub fn wrap(&self, public_key_pem: &[u8], material: &[u8]) -> Result<Bytes> {
        let public_key = self.public_key(public_key_pem)?;
        if material.is_empty() {
            return Err(Error::usage("the target key file is empty"));
        }
        let room = self.room();
        if !self.aes && material.len() > room {
            return Err(Error::usage(format!(
                "the key has {} bytes but {} wraps at most {room}: use an import job with an -aes-256 method",
                material.len(),
                self.name
            )));
        }
        let wrapped = if self.aes {
            self.wrap_through_aes(&public_key, material)
        } else {
            self.oaep(&public_key, material)
        };
        wrapped
            .map(Bytes::from)
            .map_err(|error| Error::code(Code::Internal, format!("cannot wrap the key: {error}")))
    }

    fn public_key(&self, pem: &[u8]) -> Result<PKey<Public>> {
        let key = PKey::public_key_from_pem(pem)
            .map_err(|_| Error::usage("the import job's public key is no public key in PEM"))?;
        if key.id() != Id::RSA || key.bits() != self.bits {
            return Err(Error::usage(format!(
                "the public key is no RSA key of {} bits, as {} needs",
                self.bits, self.name
            )));
        }
        Ok(key)
    }

    /// The longest message of OAEP, in bytes (RFC 8017, 7.1.1).
    fn room(&self) -> usize {
        (self.bits / 8) as usize - 2 * (self.hash)().size() - 2
    }

    fn oaep(&self, public_key: &PKey<Public>, message: &[u8]) -> std::result::Result<Vec<u8>, ErrorStack> {
        let mut context = PkeyCtx::new(public_key)?;
        context.encrypt_init()?;
        context.set_rsa_padding(Padding::PKCS1_OAEP)?;
        context.set_rsa_oaep_md((self.hash)())?;
        context.set_rsa_mgf1_md((self.hash)())?;
        let mut wrapped = Vec::new();
        context.encrypt_to_vec(message, &mut wrapped)?;
        Ok(wrapped)
    }

    fn wrap_through_aes(
        &self,
        public_key: &PKey<Public>,
        material: &[u8],
    ) -> std::result::Result<Vec<u8>, ErrorStack> {
        let mut key = Zeroizing::new([0; AES_KEY_BYTES]);
        openssl::rand::rand_priv_bytes(&mut *key)?;
        let mut wrapped = self.oaep(public_key, &*key)?;
        wrapped.extend(key_wrap_with_padding(&*key, material)?);
        Ok(wrapped)
    }
}

/// AES-256-KWP (RFC 5649).
fn key_wrap_with_padding(key: &[u8], material: &[u8]) -> std::result::Result<Vec<u8>, ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
    context.encrypt_init(Some(Cipher::aes_256_wrap_pad()), Some(key), None)?;
    let mut wrapped = vec![0; material.len() + KWP_ROOM_BYTES];
    // The update is the whole: OpenSSL's wrap modes are one-shot and their final adds nothing.
    let length = context.cipher_update(material, Some(&mut wrapped))?;
    wrapped.truncate(length);
    Ok(wrapped)
}

#[cfg(test)]
pub mod tests {
    use claviger_protocol::admin::IMPORT_METHODS;
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;

    use super::*;

    /// What the daemon does with a blob.
    pub fn unwrap(method: &Method, key: &PKey<Private>, blob: &[u8]) -> Vec<u8> {
        let (head, tail) = blob.split_at((method.bits / 8) as usize);
        let mut context = PkeyCtx::new(key).unwrap();
        context.decrypt_init().unwrap();
        context.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        context.set_rsa_oaep_md((method.hash)()).unwrap();
        context.set_rsa_mgf1_md((method.hash)()).unwrap();
        let mut message = Vec::new();
        context.decrypt_to_vec(head, &mut message).unwrap();
        if !method.aes {
            assert_eq!(tail, b"");
            return message;
        }
        assert_eq!(message.len(), AES_KEY_BYTES);
        let mut context = CipherCtx::new().unwrap();
        context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
        context.decrypt_init(Some(Cipher::aes_256_wrap_pad()), Some(&message), None).unwrap();
        let mut material = vec![0; tail.len() + 16];
        let length = context.cipher_update(tail, Some(&mut material)).unwrap();
        material.truncate(length);
        material
    }

    #[test]
    fn every_method_of_the_table_is_known() {
        for method in IMPORT_METHODS {
            let name = method.to_uppercase().replace('-', "_");
            assert_eq!(Method::from_name(&name).unwrap().name, name);
        }
        assert_eq!(METHODS.len(), IMPORT_METHODS.len());
        assert_eq!(Method::from_name("HPKE").err().unwrap().exit, 3);
    }

    #[test]
    fn what_is_wrapped_unwraps_at_every_length() {
        for bits in [3072, 4096] {
            let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
            let pem = key.public_key_to_pem().unwrap();
            for method in METHODS.iter().filter(|method| method.bits == bits) {
                for length in [1, 7, 8, 9, 16, 32, 121, method.room()] {
                    let material = vec![0xa5; length];
                    let blob = method.wrap(&pem, &material).unwrap();
                    let tail = if method.aes { 8 + length.next_multiple_of(8) } else { 0 };
                    assert_eq!(blob.len(), bits as usize / 8 + tail, "{} {length}", method.name);
                    assert_eq!(unwrap(method, &key, &blob), material, "{} {length}", method.name);
                }
                let long = vec![1; method.room() + 1];
                assert_eq!(method.wrap(&pem, &long).is_ok(), method.aes);
                let other = if bits == 3072 { "RSA_OAEP_4096_SHA256" } else { "RSA_OAEP_3072_SHA256" };
                assert_eq!(Method::from_name(other).unwrap().wrap(&pem, b"k").unwrap_err().exit, 2);
            }
        }
    }

    #[test]
    fn direct_methods_have_the_room_of_rfc_8017() {
        assert_eq!(Method::from_name("RSA_OAEP_3072_SHA256").unwrap().room(), 318);
        assert_eq!(Method::from_name("RSA_OAEP_4096_SHA256").unwrap().room(), 446);
    }

    #[test]
    fn two_wraps_of_one_key_share_nothing() {
        let key = PKey::from_rsa(Rsa::generate(3072).unwrap()).unwrap();
        let pem = key.public_key_to_pem().unwrap();
        let method = Method::from_name("RSA_OAEP_3072_SHA256_AES_256").unwrap();
        let [one, two] = [(); 2].map(|()| method.wrap(&pem, &[7; 32]).unwrap());
        assert_ne!(one[..384], two[..384]);
        assert_ne!(one[384..], two[384..]);
    }
}
