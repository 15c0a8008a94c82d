//! Hashes, MACs and signatures that hold the log together.

use bincode::{Decode, Encode};
use claviger_protocol::audit::{CHECKPOINT, MAC_DIGITS, checkpoint_message};
use openssl::pkey::{Id, PKey, Private};
use openssl::sha::sha256;
use openssl::sign::{Signer, Verifier};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::hmac_sha256::{HmacSha256, MAC_BYTES};
use crate::error::Result;

/// Records that one MAC key serves.
pub const EPOCH_RECORDS: u64 = 1024;
/// What the next MAC key is made with.
const EVOLVE: &[u8] = b"claviger audit evolve";

/// A hash.
pub type Hash = [u8; 32];

/// What the log needs from the store: its name and its keys. Wiped when dropped.
#[derive(Clone, Encode, Decode, Zeroize, ZeroizeOnDrop)]
pub struct Keys {
    /// Names the log in its checkpoints.
    pub log: [u8; 16],
    /// Ed25519 seed that signs checkpoints.
    signing: [u8; 32],
    /// Seals the head.
    pub(super) head: [u8; 32],
}

impl Keys {
    /// New ones.
    ///
    /// # Errors
    /// When no random bytes are to be had.
    pub fn random() -> Result<Keys> {
        let (mut log, mut signing, mut head) = ([0; 16], [0; 32], [0; 32]);
        crate::crypto::random::fill(&mut log)?;
        openssl::rand::rand_priv_bytes(&mut signing)?;
        openssl::rand::rand_priv_bytes(&mut head)?;
        Ok(Keys { log, signing, head })
    }

    /// The log's name, in hexadecimal.
    pub fn log_name(&self) -> String {
        hex(&self.log)
    }

    fn private(&self) -> Result<PKey<Private>> {
        Ok(PKey::private_key_from_raw_bytes(&self.signing, Id::ED25519)?)
    }

    /// The key that checks checkpoints, in PEM.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn public_pem(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.private()?.public_key_to_pem()?).into_owned())
    }

    /// The signature of a checkpoint, in base64.
    pub(super) fn sign(&self, checkpoint: &Checkpoint<'_>) -> Result<String> {
        let key = self.private()?;
        let signature = Signer::new_without_digest(&key)?.sign_oneshot_to_vec(&checkpoint.message())?;
        Ok(openssl::base64::encode_block(&signature))
    }

    /// True when a checkpoint's signature is this log's.
    pub(super) fn signed(&self, checkpoint: &Checkpoint<'_>, signature: &str) -> Result<bool> {
        let raw = self.private()?.raw_public_key()?;
        let key = PKey::public_key_from_raw_bytes(&raw, Id::ED25519)?;
        let Ok(signature) = openssl::base64::decode_block(signature) else { return Ok(false) };
        Ok(Verifier::new_without_digest(&key)?
            .verify_oneshot(&signature, &checkpoint.message())
            .unwrap_or(false))
    }
}

/// What a checkpoint signs.
pub(super) struct Checkpoint<'a> {
    pub log: &'a str,
    pub sequence: u64,
    pub previous_hash: &'a str,
    pub event_time: &'a str,
    pub unlogged: u64,
}

impl Checkpoint<'_> {
    fn message(&self) -> Vec<u8> {
        checkpoint_message(self.log, self.sequence, self.previous_hash, self.event_time, self.unlogged)
    }
}

/// True for the operation of a checkpoint.
pub(super) fn is_checkpoint(operation: &str) -> bool {
    operation == CHECKPOINT
}

/// The key of the MACs, which goes from epoch to epoch and not back. Wiped when dropped.
#[derive(Clone, Encode, Decode, Zeroize, ZeroizeOnDrop)]
pub struct MacKey {
    /// Records of this number and the next 1023 have their MAC from it.
    pub epoch: u64,
    key: [u8; 32],
}

impl MacKey {
    /// A new one for the epoch of a record.
    pub fn random(sequence: u64) -> Result<MacKey> {
        let mut key = [0; 32];
        openssl::rand::rand_priv_bytes(&mut key)?;
        Ok(MacKey { epoch: sequence / EPOCH_RECORDS, key })
    }

    /// Goes on to the epoch of a record; the old key is gone after that. True when it was another.
    pub fn advance(&mut self, sequence: u64) -> bool {
        let wanted = sequence / EPOCH_RECORDS;
        let moves = self.epoch < wanted;
        while self.epoch < wanted {
            let mut next = self.mac(EVOLVE);
            self.key.zeroize();
            self.key.copy_from_slice(&next);
            next.zeroize();
            self.epoch += 1;
        }
        moves
    }

    /// The MAC of a record with this hash, in hexadecimal.
    pub fn of(&self, hash: &Hash) -> String {
        let mut mac = hex(&self.mac(hash));
        mac.truncate(MAC_DIGITS);
        mac
    }

    fn mac(&self, data: &[u8]) -> [u8; MAC_BYTES] {
        HmacSha256::new(&self.key).mac(&[data])
    }
}

/// Hash of a line's text.
pub(super) fn hash(text: &str) -> Hash {
    sha256(text.as_bytes())
}

/// In hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
