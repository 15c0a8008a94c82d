//! Sealing: what an engine is given instead of plaintext.
//!
//! Every record is AES-256-GCM (NIST SP 800-38D), bound to its store, tree and key by the additional data,
//! so that a record moved to another place, or changed, does not open.
//!
//! ```text
//! metadata   header | nonce[12] | ciphertext | tag[16]            under the store key
//! material   header | nonce[12] | wrapped data key[32] | tag[16]  under the key of the epoch in the header
//!                   | nonce[12] | ciphertext | tag[16]            under the data key
//! header     magic[2] | schema u8 | codec u8 | epoch u32, big endian
//! ```
//!
//! Material has a random data key per record, and the epoch stands in the additional data of the wrapped
//! key alone. So records move to a new epoch by wrapping their data keys again, and dropping an old epoch's
//! key makes everything still wrapped under it unreadable for good.
//!
//! Nonces are random, which SP 800-38D (8.3) allows for 2^32 uses of a key. Data keys are used once and
//! epoch keys once per material; the store key once per metadata write, so the count of commits is what the
//! limit is about. The header's epoch is 0 in metadata and leaves room to replace the store key.

use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::rand::{rand_bytes, rand_priv_bytes};
use zeroize::Zeroizing;

use super::engine::RecordKey;
use super::error::{Error, Result};
use super::keyring::Keyring;
use super::records::is_material;
use super::schema::SCHEMA;

/// Length of every symmetric key of the store, in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// A symmetric key; wiped when dropped.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 8;
const WRAPPED_KEY_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// Most bytes that sealing adds.
pub(super) const SEAL_BYTES: usize = HEADER_BYTES + WRAPPED_KEY_BYTES + NONCE_BYTES + TAG_BYTES;

const METADATA: [u8; 2] = *b"Cm";
const MATERIAL: [u8; 2] = *b"Ck";

/// How the plaintext is encoded: by `claviger_protocol::codec`, or not at all.
const CODEC_PROTOCOL: u8 = 1;
const CODEC_RAW: u8 = 0;

/// Metadata is under the one store key there has been so far.
const NO_EPOCH: u32 = 0;

/// The clear start of a sealed record; authenticated with it.
#[derive(Clone, Copy)]
struct Header {
    magic: [u8; 2],
    schema: u8,
    codec: u8,
    epoch: u32,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [m0, m1] = self.magic;
        let [e0, e1, e2, e3] = self.epoch.to_be_bytes();
        [m0, m1, self.schema, self.codec, e0, e1, e2, e3]
    }

    /// The header at the start of `sealed`, and what follows it.
    fn split(sealed: &[u8]) -> Option<(Self, &[u8])> {
        let (&[m0, m1, schema, codec, e0, e1, e2, e3], rest) = sealed.split_first_chunk::<HEADER_BYTES>()?;
        let epoch = u32::from_be_bytes([e0, e1, e2, e3]);
        Some((Self { magic: [m0, m1], schema, codec, epoch }, rest))
    }
}

/// Seals and opens records with the keys of a keyring.
pub struct Sealer {
    keyring: RwLock<Keyring>,
}

impl Sealer {
    /// A sealer with these keys.
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring: RwLock::new(keyring) }
    }

    /// The keys, for as long as the result lives.
    pub(super) fn keyring(&self) -> RwLockReadGuard<'_, Keyring> {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other keys in the place of the present ones.
    pub(super) fn replace_keyring(&self, keyring: Keyring) {
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = keyring;
    }

    /// Seals metadata for `place`.
    ///
    /// # Errors
    /// [`Error::Crypto`] when OpenSSL fails.
    pub fn seal(&self, place: &RecordKey, plaintext: &[u8]) -> Result<Vec<u8>> {
        let header = Header { magic: METADATA, schema: SCHEMA, codec: CODEC_PROTOCOL, epoch: NO_EPOCH };
        let mut sealed = header.to_bytes().to_vec();
        let keyring = self.keyring();
        encrypt(&keyring.store_key, &additional_data(&keyring, place, header), plaintext, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens the metadata of `place`.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] for anything but what [`Sealer::seal`] made for this place of this store;
    /// [`Error::UnknownForm`] when it is authentic and of a newer form.
    pub fn open(&self, place: &RecordKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.open_metadata(place, sealed).map(|(_, plaintext)| plaintext)
    }

    fn open_metadata(&self, place: &RecordKey, sealed: &[u8]) -> Result<(u8, Zeroizing<Vec<u8>>)> {
        let not_authentic = || Error::NotAuthentic { place: place.clone() };
        let (header, body) = Header::split(sealed).ok_or_else(not_authentic)?;
        if header.magic != METADATA {
            return Err(not_authentic());
        }
        let keyring = self.keyring();
        let plaintext = decrypt(&keyring.store_key, &additional_data(&keyring, place, header), body)
            .ok_or_else(not_authentic)?;
        known(place, header, CODEC_PROTOCOL)?;
        Ok((header.schema, plaintext))
    }

    /// Seals material for `place`: under a new data key, wrapped under the current epoch's key.
    ///
    /// # Errors
    /// [`Error::Crypto`] when OpenSSL fails.
    pub fn seal_material(&self, place: &RecordKey, material: &[u8]) -> Result<Vec<u8>> {
        let keyring = self.keyring();
        let (epoch, epoch_key) = keyring.current_epoch();
        let header = Header { magic: MATERIAL, schema: SCHEMA, codec: CODEC_RAW, epoch };
        let data_key = random_key()?;
        let mut sealed = header.to_bytes().to_vec();
        encrypt(epoch_key, &additional_data(&keyring, place, header), &*data_key, &mut sealed)?;
        let aad = additional_data(&keyring, place, without_epoch(header));
        encrypt(&data_key, &aad, material, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens the material of `place`.
    ///
    /// # Errors
    /// [`Error::UnknownEpoch`] when the keyring no longer has, or never had, the key of its epoch; else as
    /// [`Sealer::open`].
    pub fn open_material(&self, place: &RecordKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.open_envelope(place, sealed).map(|(_, material)| material)
    }

    fn open_envelope(&self, place: &RecordKey, sealed: &[u8]) -> Result<(u8, Zeroizing<Vec<u8>>)> {
        let keyring = self.keyring();
        let (header, data_key, body) = unwrap_data_key(&keyring, place, sealed)?;
        let aad = additional_data(&keyring, place, without_epoch(header));
        let material =
            decrypt(&data_key, &aad, body).ok_or_else(|| Error::NotAuthentic { place: place.clone() })?;
        known(place, header, CODEC_RAW)?;
        Ok((header.schema, material))
    }

    /// Opens the record of `place`, whichever way records there are sealed, and tells its schema.
    ///
    /// # Errors
    /// As [`Sealer::open`] and [`Sealer::open_material`].
    pub(super) fn open_any(&self, place: &RecordKey, sealed: &[u8]) -> Result<(u8, Zeroizing<Vec<u8>>)> {
        if is_material(place) { self.open_envelope(place, sealed) } else { self.open_metadata(place, sealed) }
    }

    /// The material of `place` with its data key wrapped under the current epoch; `None` when it is already.
    ///
    /// # Errors
    /// As [`Sealer::open_material`]; the body is not opened.
    pub(super) fn rewrap(&self, place: &RecordKey, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        let keyring = self.keyring();
        let (header, data_key, body) = unwrap_data_key(&keyring, place, sealed)?;
        let (epoch, epoch_key) = keyring.current_epoch();
        if header.epoch == epoch {
            return Ok(None);
        }
        let header = Header { epoch, ..header };
        let mut rewrapped = header.to_bytes().to_vec();
        encrypt(epoch_key, &additional_data(&keyring, place, header), &*data_key, &mut rewrapped)?;
        rewrapped.extend_from_slice(body);
        Ok(Some(rewrapped))
    }
}

/// Header, data key and sealed body of the material of `place`.
fn unwrap_data_key<'a>(
    keyring: &Keyring,
    place: &RecordKey,
    sealed: &'a [u8],
) -> Result<(Header, Key, &'a [u8])> {
    let not_authentic = || Error::NotAuthentic { place: place.clone() };
    let (header, rest) = Header::split(sealed).ok_or_else(not_authentic)?;
    if header.magic != MATERIAL {
        return Err(not_authentic());
    }
    let (wrapped, body) = rest.split_at_checked(WRAPPED_KEY_BYTES).ok_or_else(not_authentic)?;
    let epoch_key = keyring
        .epoch(header.epoch)
        .ok_or_else(|| Error::UnknownEpoch { place: place.clone(), epoch: header.epoch })?;
    let data_key =
        decrypt(epoch_key, &additional_data(keyring, place, header), wrapped).ok_or_else(not_authentic)?;
    let data_key = data_key.first_chunk::<KEY_BYTES>().ok_or_else(not_authentic)?;
    Ok((header, Zeroizing::new(*data_key), body))
}

/// Store, place and header in one string of bytes. Only the key varies in length, so it is unambiguous.
fn additional_data(keyring: &Keyring, place: &RecordKey, header: Header) -> Vec<u8> {
    [keyring.store_id.as_slice(), &place.to_bytes(), &header.to_bytes()].concat()
}

/// The header that binds a body, which stays as it is when its data key moves to another epoch.
fn without_epoch(header: Header) -> Header {
    Header { epoch: NO_EPOCH, ..header }
}

/// Whether this program knows the form; asked after authentication, so the answer is the writer's.
fn known(place: &RecordKey, header: Header, codec: u8) -> Result<()> {
    if (1..=SCHEMA).contains(&header.schema) && header.codec == codec {
        return Ok(());
    }
    Err(Error::UnknownForm { place: place.clone(), schema: header.schema, codec: header.codec })
}

/// A new random key.
pub(super) fn random_key() -> Result<Key> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rand_priv_bytes(&mut *key)?;
    Ok(key)
}

/// The cipher, looked up once: OpenSSL takes as long for that as for a record.
fn aes_256_gcm() -> std::result::Result<&'static CipherRef, ErrorStack> {
    static FETCHED: OnceLock<Cipher> = OnceLock::new();
    if let Some(cipher) = FETCHED.get() {
        return Ok(cipher);
    }
    let fetched = Cipher::fetch(None, "AES-256-GCM", None)?;
    Ok(FETCHED.get_or_init(|| fetched))
}

/// Appends nonce, ciphertext and tag to `output`.
pub(super) fn encrypt(
    key: &[u8; KEY_BYTES],
    aad: &[u8],
    plaintext: &[u8],
    output: &mut Vec<u8>,
) -> Result<()> {
    let mut nonce = [0; NONCE_BYTES];
    rand_bytes(&mut nonce)?;
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(aes_256_gcm()?), Some(key), Some(&nonce))?;
    context.cipher_update(aad, None)?;
    output.extend_from_slice(&nonce);
    context.cipher_update_vec(plaintext, output)?;
    context.cipher_final_vec(output)?;
    let mut tag = [0; TAG_BYTES];
    context.tag(&mut tag)?;
    output.extend_from_slice(&tag);
    Ok(())
}

/// The reverse of [`encrypt`]; `None` when `sealed` is not authentic.
pub(super) fn decrypt(key: &[u8; KEY_BYTES], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
    let mut open = || -> std::result::Result<(), ErrorStack> {
        let mut context = CipherCtx::new()?;
        context.decrypt_init(Some(aes_256_gcm()?), Some(key), Some(nonce))?;
        context.cipher_update(aad, None)?;
        context.cipher_update(ciphertext, Some(&mut plaintext))?;
        context.set_tag(tag)?;
        context.cipher_final(&mut [])?;
        Ok(())
    };
    open().ok()?;
    Some(plaintext)
}

/// Seals bytes that lie outside of the store, bound to their purpose.
///
/// # Errors
/// [`Error::Crypto`] when OpenSSL fails.
pub(crate) fn seal_bytes(key: &[u8; KEY_BYTES], purpose: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let mut sealed = Vec::new();
    encrypt(key, purpose, plaintext, &mut sealed)?;
    Ok(sealed)
}

/// The reverse of [`seal_bytes`]; `None` when `sealed` is not authentic.
pub(crate) fn open_bytes(key: &[u8; KEY_BYTES], purpose: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    decrypt(key, purpose, sealed)
}

#[cfg(test)]
mod tests {
    use super::super::engine::Tree;
    use super::*;

    fn place(tree: Tree, key: &[u8]) -> RecordKey {
        RecordKey::new(tree, key)
    }

    fn sealer() -> Sealer {
        Sealer::new(Keyring::random().unwrap())
    }

    fn not_authentic<T>(result: Result<T>) -> bool {
        matches!(result, Err(Error::NotAuthentic { .. }))
    }

    #[test]
    fn what_is_sealed_opens_at_its_place() {
        let sealer = sealer();
        let place = place(Tree::Material, b"k");
        for plaintext in [b"".as_slice(), b"x", &[7; 5000]] {
            let sealed = sealer.seal(&place, plaintext).unwrap();
            assert_eq!(sealer.open(&place, &sealed).unwrap().as_slice(), plaintext);
            let sealed = sealer.seal_material(&place, plaintext).unwrap();
            assert_eq!(sealed.len(), plaintext.len() + SEAL_BYTES);
            assert_eq!(sealer.open_material(&place, &sealed).unwrap().as_slice(), plaintext);
        }
    }

    #[test]
    fn no_seal_repeats_and_none_shows_the_plaintext() {
        let sealer = sealer();
        let place = place(Tree::Material, b"k");
        let secret = [0x5a; 32];
        let (one, two) = (sealer.seal(&place, &secret).unwrap(), sealer.seal(&place, &secret).unwrap());
        assert_ne!(one, two);
        let material = sealer.seal_material(&place, &secret).unwrap();
        for sealed in [one, two, material] {
            assert!(!sealed.windows(4).any(|window| window == [0x5a; 4]));
        }
    }

    #[test]
    fn a_record_moved_to_another_place_does_not_open() {
        let sealer = sealer();
        let home = place(Tree::Version, b"ab");
        let sealed = sealer.seal(&home, b"value").unwrap();
        let material = sealer.seal_material(&home, b"value").unwrap();
        for other in [place(Tree::Version, b"ac"), place(Tree::Object, b"ab"), place(Tree::Version, b"abc")] {
            assert!(not_authentic(sealer.open(&other, &sealed)));
            assert!(not_authentic(sealer.open_material(&other, &material)));
        }
    }

    #[test]
    fn a_record_of_another_store_does_not_open() {
        let place = place(Tree::Version, b"ab");
        let one = sealer();
        let sealed = one.seal(&place, b"value").unwrap();
        assert!(not_authentic(sealer().open(&place, &sealed)));
        // The same keys under another identity.
        let mut keyring = one.keyring().clone();
        keyring.store_id = [9; 16];
        assert!(not_authentic(Sealer::new(keyring).open(&place, &sealed)));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealer = sealer();
        let place = place(Tree::Material, b"k");
        let sealed = sealer.seal(&place, b"value").unwrap();
        let material = sealer.seal_material(&place, b"value").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(not_authentic(sealer.open(&place, &changed)), "bit {bit}");
        }
        for bit in 0..material.len() * 8 {
            let mut changed = material.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            match sealer.open_material(&place, &changed) {
                Err(Error::NotAuthentic { .. }) => {}
                // Bytes 4 to 7 name the epoch.
                Err(Error::UnknownEpoch { .. }) if (4..8).contains(&(bit / 8)) => {}
                other => panic!("bit {bit}: {:?}", other.map(|_| "opened")),
            }
        }
        for length in 0..sealed.len() {
            assert!(not_authentic(sealer.open(&place, &sealed[..length])), "cut at {length}");
        }
        for length in 0..material.len() {
            let result = sealer.open_material(&place, &material[..length]);
            assert!(not_authentic(result), "cut at {length}");
        }
    }

    #[test]
    fn metadata_and_material_do_not_pass_for_each_other() {
        let sealer = sealer();
        let place = place(Tree::Material, b"k");
        let (sealed, material) =
            (sealer.seal(&place, &[1; 200]).unwrap(), sealer.seal_material(&place, &[1; 200]).unwrap());
        assert!(not_authentic(sealer.open(&place, &material)));
        assert!(not_authentic(sealer.open_material(&place, &sealed)));
    }

    #[test]
    fn material_of_a_dropped_epoch_is_gone() {
        let mut keyring = Keyring::random().unwrap();
        let place = place(Tree::Material, b"k");
        let sealed = Sealer::new(keyring.clone()).seal_material(&place, b"value").unwrap();
        let (old, _) = keyring.current_epoch();
        keyring.begin_epoch().unwrap();
        let both = Sealer::new(keyring.clone());
        assert_eq!(both.open_material(&place, &sealed).unwrap().as_slice(), b"value");
        keyring.drop_epochs_before_current();
        let result = Sealer::new(keyring).open_material(&place, &sealed);
        assert!(matches!(result, Err(Error::UnknownEpoch { epoch, .. }) if epoch == old));
    }

    #[test]
    fn rewrapped_material_opens_without_the_old_epoch() {
        let mut keyring = Keyring::random().unwrap();
        let place = place(Tree::Material, b"k");
        let sealed = Sealer::new(keyring.clone()).seal_material(&place, b"value").unwrap();
        keyring.begin_epoch().unwrap();
        let sealer = Sealer::new(keyring.clone());
        let rewrapped = sealer.rewrap(&place, &sealed).unwrap().unwrap();
        assert!(sealer.rewrap(&place, &rewrapped).unwrap().is_none());
        keyring.drop_epochs_before_current();
        let sealer = Sealer::new(keyring);
        assert_eq!(sealer.open_material(&place, &rewrapped).unwrap().as_slice(), b"value");
        assert!(matches!(sealer.rewrap(&place, &sealed), Err(Error::UnknownEpoch { .. })));
        assert!(not_authentic(sealer.rewrap(&RecordKey::new(Tree::Material, "l"), &rewrapped)));
    }

    #[test]
    fn a_newer_form_is_named_once_it_is_authentic() {
        let sealer = sealer();
        let place = place(Tree::Version, b"k");
        let header = Header { magic: METADATA, schema: 9, codec: CODEC_PROTOCOL, epoch: NO_EPOCH };
        let mut sealed = header.to_bytes().to_vec();
        let keyring = sealer.keyring();
        let aad = additional_data(&keyring, &place, header);
        encrypt(&keyring.store_key, &aad, b"value", &mut sealed).unwrap();
        assert!(matches!(sealer.open(&place, &sealed), Err(Error::UnknownForm { schema: 9, .. })));
    }

    #[test]
    fn gcm_test_vector() {
        // McGrew and Viega, "The Galois/Counter Mode of Operation", test case 14: zero key, nonce and block.
        let ciphertext =
            [0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18];
        let tag =
            [0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19];
        let sealed = [[0; NONCE_BYTES].as_slice(), &ciphertext, &tag].concat();
        assert_eq!(decrypt(&[0; KEY_BYTES], b"", &sealed).unwrap().as_slice(), [0; 16]);
    }
}
