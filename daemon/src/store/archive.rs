//! The archive: a stream of entries that is sealed for whoever has its passphrase, its recipient's private key, or,
//! when it was made with both, both of them.
//!
//! ```text
//! file       header | chunks
//! header     magic[8] | schema u8 | length u32 | created u64 (ms since 1970) | store id[16] | revision u64
//!            | number of factors u8 | factors
//! factor     kind u8 | length u16 | kind 1: cost and salt, see `passphrase.rs`
//!                                 | kind 2: SHA-256 of the SubjectPublicKeyInfo | share under RSA-OAEP (SHA-256)
//!                                 | kind 3: SHA-256 of the SubjectPublicKeyInfo | ephemeral SubjectPublicKeyInfo
//! chunk      last u8 | length u32 | nonce[12] | ciphertext | tag[16]
//! content    entries | 0 u8 | number of entries u64
//! entry      tree u8 | length u16 | key | length u32 | value, integers big endian
//! ```
//!
//! Each factor gives a share of 32 bytes: what argon2id makes of the passphrase, the random bytes that RSA-OAEP
//! wraps, or what HKDF-SHA256 makes of the ECDH secret (RFC 7748, SP 800-56A) of an ephemeral key and the
//! recipient's. HKDF-SHA256 of all shares is the key.
//!
//! A chunk is AES-256-GCM under that key, with the header, its index and its `last` as additional data, so that
//! chunks cannot be left out, moved or cut off: the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár,
//! 2015).

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use openssl::derive::Deriver;
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};
use openssl::rsa::Padding;
use openssl::sha::sha256;
use zeroize::Zeroizing;

use super::engine::{RecordKey, Tree};
use super::error::{Error, Result};
use super::passphrase::{recall, stretch_new};
use super::root_key::hkdf_sha256;
use super::seal::{Key, decrypt, encrypt, random_key};
use super::tally::take;

const MAGIC: &[u8; 8] = b"CLVBCKUP";
const SCHEMA: u8 = 1;
const CHUNK_BYTES: usize = 64 * 1024;
const SEAL_BYTES: usize = 12 + 16;
/// Longest header: two factors, one with a ciphertext of RSA-16384.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Longest value of an entry. What the store holds is shorter by far.
const MAX_VALUE_BYTES: usize = 64 * 1024 * 1024;

const PASSPHRASE: u8 = 1;
const RSA: u8 = 2;
const ECDH: u8 = 3;

/// What an archive is sealed for. Give one of the two, or both to need both.
#[derive(Default)]
pub struct SealedFor {
    /// A passphrase.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
    /// The recipient's public key: RSA from 2048 bits, P-256, P-384, P-521, X25519 or X448.
    pub recipient: Option<PKey<Public>>,
}

/// What opens an archive.
#[derive(Default)]
pub struct OpenedWith {
    /// The passphrase.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
    /// The recipient's private key.
    pub recipient: Option<PKey<Private>>,
}

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// The store it was made of.
    pub store_id: [u8; 16],
    /// That store's revision.
    pub revision: u64,
}

/// A public key from a PEM file.
///
/// # Errors
/// The end of a sentence about the file.
pub fn recipient(pem: &[u8]) -> std::result::Result<PKey<Public>, &'static str> {
    let key = PKey::public_key_from_pem(pem)
        .or_else(|_| openssl::x509::X509::from_pem(pem).and_then(|certificate| certificate.public_key()))
        .map_err(|_| "holds no public key or certificate in PEM")?;
    match key.id() {
        Id::RSA if key.bits() >= 2048 => Ok(key),
        Id::RSA => Err("holds an RSA key that is too short: 2048 bits are the least"),
        Id::EC | Id::X25519 | Id::X448 => Ok(key),
        _ => Err("holds a key that nothing can be sealed for: give RSA, EC, X25519 or X448"),
    }
}

/// A private key from a PEM file without a passphrase of its own.
///
/// # Errors
/// The end of a sentence about the file.
pub fn recipient_private(pem: &[u8]) -> std::result::Result<PKey<Private>, &'static str> {
    // Without a callback OpenSSL would ask on the terminal.
    PKey::private_key_from_pem_callback(pem, |_| Ok(0))
        .map_err(|_| "holds no private key in PEM without a passphrase")
}

/// Writes an archive.
pub(super) struct Writer<W> {
    output: W,
    /// For messages.
    path: PathBuf,
    key: Key,
    header: Vec<u8>,
    index: u64,
    chunk: Zeroizing<Vec<u8>>,
    entries: u64,
}

impl<W: Write> Writer<W> {
    /// Begins an archive with its header.
    pub fn begin(output: W, path: &Path, about: &About, sealed_for: &SealedFor) -> Result<Self> {
        let mut body = Vec::new();
        body.extend_from_slice(&about.created.to_be_bytes());
        body.extend_from_slice(&about.store_id);
        body.extend_from_slice(&about.revision.to_be_bytes());
        let mut factors = Vec::new();
        let mut shares = Zeroizing::new(Vec::with_capacity(2 * 32));
        if let Some(passphrase) = &sealed_for.passphrase {
            let (share, recipe) = stretch_new(passphrase)?;
            shares.extend_from_slice(&*share);
            factors.push((PASSPHRASE, recipe));
        }
        if let Some(recipient) = &sealed_for.recipient {
            let (kind, share, data) = share_for(recipient)?;
            shares.extend_from_slice(&*share);
            factors.push((kind, data));
        }
        if factors.is_empty() {
            return Err(Error::Archive {
                path: path.to_owned(),
                what: "needs a passphrase or a recipient to be sealed for",
            });
        }
        body.push(factors.len() as u8);
        for (kind, data) in factors {
            body.push(kind);
            body.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
            body.extend_from_slice(&data);
        }
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let header = [MAGIC.as_slice(), &[SCHEMA], &length, &body].concat();
        let key = joined(&shares)?;
        let mut writer =
            Self { output, path: path.to_owned(), key, header, index: 0, chunk: empty(), entries: 0 };
        let written = writer.output.write_all(&writer.header);
        written.map_err(|error| Error::io("write", &writer.path, error))?;
        Ok(writer)
    }

    /// Adds an entry.
    pub fn entry(&mut self, place: &RecordKey, value: &[u8]) -> Result<()> {
        self.entries += 1;
        let mut head = vec![place.tree as u8];
        head.extend_from_slice(&u16::try_from(place.key.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend_from_slice(&place.key);
        head.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.push(&head)?;
        self.push(value)
    }

    /// Ends the archive; gives its output and the number of its entries.
    pub fn end(mut self) -> Result<(W, u64)> {
        self.push(&[0])?;
        self.push(&self.entries.to_be_bytes())?;
        self.end_chunk(true)?;
        self.output.flush().map_err(|error| Error::io("write", &self.path, error))?;
        Ok((self.output, self.entries))
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK_BYTES {
                self.end_chunk(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn end_chunk(&mut self, last: bool) -> Result<()> {
        let mut sealed = Vec::with_capacity(self.chunk.len() + SEAL_BYTES);
        encrypt(&self.key, &chunk_aad(&self.header, self.index, last), &self.chunk, &mut sealed)?;
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_be_bytes();
        let chunk = [&[u8::from(last)], length.as_slice(), &sealed].concat();
        self.output.write_all(&chunk).map_err(|error| Error::io("write", &self.path, error))?;
        self.index += 1;
        self.chunk = empty();
        Ok(())
    }
}

/// Reads an archive.
pub(super) struct Reader<R> {
    input: R,
    path: PathBuf,
    key: Key,
    header: Vec<u8>,
    about: About,
    index: u64,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Archive`] for another file, and for what it is not opened with.
    pub fn begin(mut input: R, path: &Path, opened_with: &OpenedWith) -> Result<Self> {
        let wrong = |what| Error::Archive { path: path.to_owned(), what };
        let no_archive = || wrong("is no backup or export of a store");
        let mut clear = [0; MAGIC.len() + 1 + 4];
        input.read_exact(&mut clear).map_err(|_| no_archive())?;
        let length = match clear.strip_prefix(MAGIC) {
            Some([SCHEMA, a, b, c, d]) => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
            Some(_) => return Err(wrong("was written by a newer version")),
            None => return Err(no_archive()),
        };
        if length > MAX_HEADER_BYTES {
            return Err(wrong("is damaged"));
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body).map_err(|_| wrong("is cut off"))?;
        let (about, factors) = parse(&body).ok_or_else(|| wrong("is damaged"))?;
        let mut shares = Zeroizing::new(Vec::with_capacity(2 * 32));
        for (kind, data) in factors {
            let share = match kind {
                PASSPHRASE => {
                    let passphrase = opened_with.passphrase.as_ref();
                    let passphrase = passphrase.ok_or_else(|| wrong("needs its passphrase"))?;
                    recall(passphrase, data)?
                }
                RSA | ECDH => {
                    let key = opened_with.recipient.as_ref();
                    let key = key.ok_or_else(|| wrong("needs the private key of its recipient"))?;
                    let Some((id, data)) = data.split_first_chunk::<32>() else {
                        return Err(wrong("is damaged"));
                    };
                    if sha256(&key.public_key_to_der()?) != *id {
                        return Err(wrong("is sealed for the key of another recipient"));
                    }
                    share_of(key, kind, data)
                }
                _ => return Err(wrong("is sealed in a way of a newer version")),
            };
            shares.extend_from_slice(&*share.ok_or_else(|| wrong("is damaged"))?);
        }
        let key = joined(&shares)?;
        let header = [clear.as_slice(), &body].concat();
        let path = path.to_owned();
        Ok(Self { input, path, key, header, about, index: 0, chunk: empty(), at: 0, ended: false })
    }

    /// What the header says; authentic once the first entry has been read.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Passes every entry to `each`, in their order, and tells how many there were.
    ///
    /// # Errors
    /// [`Error::Archive`] for anything but a whole archive; what `each` gives.
    pub fn for_each(
        mut self,
        mut each: impl FnMut(RecordKey, Zeroizing<Vec<u8>>) -> Result<()>,
    ) -> Result<u64> {
        let mut entries = 0;
        loop {
            let [tree] = self.array()?;
            if tree == 0 {
                break;
            }
            let tree =
                Tree::from_number(tree).ok_or_else(|| self.wrong("has a record of a newer version"))?;
            let length = u16::from_be_bytes(self.array()?);
            let key = self.take(length.into())?.to_vec();
            let length = u32::from_be_bytes(self.array()?) as usize;
            if length > MAX_VALUE_BYTES {
                return Err(self.wrong("is damaged"));
            }
            let value = self.take(length)?;
            entries += 1;
            each(RecordKey::new(tree, key), value)?;
        }
        let expected = u64::from_be_bytes(self.array()?);
        if expected != entries || !self.is_at_end()? {
            return Err(self.wrong("does not hold what its end says"));
        }
        Ok(entries)
    }

    fn wrong(&self, what: &'static str) -> Error {
        Error::Archive { path: self.path.clone(), what }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&taken);
        Ok(array)
    }

    fn take(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>> {
        // Of the final size at once: growing would leave copies of secrets behind.
        let mut taken = Zeroizing::new(Vec::with_capacity(length));
        while taken.len() < length {
            if self.at == self.chunk.len() {
                self.next_chunk()?;
            }
            let available = &self.chunk[self.at..];
            let now = available.len().min(length - taken.len());
            taken.extend_from_slice(&available[..now]);
            self.at += now;
        }
        Ok(taken)
    }

    fn next_chunk(&mut self) -> Result<()> {
        if self.ended {
            return Err(self.wrong("is cut off"));
        }
        let cut = |error: io::Error, path: &Path| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Archive { path: path.to_owned(), what: "is cut off" },
            _ => Error::io("read", path, error),
        };
        let mut head = [0; 5];
        self.input.read_exact(&mut head).map_err(|error| cut(error, &self.path))?;
        let [last, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if last > 1 || length > CHUNK_BYTES + SEAL_BYTES || length <= SEAL_BYTES {
            return Err(self.wrong("is damaged"));
        }
        let mut sealed = vec![0; length];
        self.input.read_exact(&mut sealed).map_err(|error| cut(error, &self.path))?;
        let aad = chunk_aad(&self.header, self.index, last == 1);
        let failure = match self.index {
            0 => "does not open: the passphrase is wrong, or it is damaged",
            _ => "is damaged",
        };
        self.chunk = decrypt(&self.key, &aad, &sealed).ok_or_else(|| self.wrong(failure))?;
        (self.at, self.ended) = (0, last == 1);
        self.index += 1;
        Ok(())
    }

    fn is_at_end(&mut self) -> Result<bool> {
        let more = self.input.read(&mut [0]).map_err(|error| Error::io("read", &self.path, error))?;
        Ok(self.ended && self.at == self.chunk.len() && more == 0)
    }
}

fn empty() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(CHUNK_BYTES))
}

fn chunk_aad(header: &[u8], index: u64, last: bool) -> Vec<u8> {
    [header, &index.to_be_bytes(), &[u8::from(last)]].concat()
}

type Factor<'a> = (u8, &'a [u8]);

fn parse(mut rest: &[u8]) -> Option<(About, Vec<Factor<'_>>)> {
    let created = u64::from_be_bytes(take(&mut rest)?);
    let store_id = take(&mut rest)?;
    let revision = u64::from_be_bytes(take(&mut rest)?);
    let [count] = take(&mut rest)?;
    let mut factors = Vec::new();
    for _ in 0..count {
        let [kind] = take(&mut rest)?;
        let length = u16::from_be_bytes(take(&mut rest)?);
        let (data, after) = rest.split_at_checked(length.into())?;
        factors.push((kind, data));
        rest = after;
    }
    // Nobody may be let in without a factor.
    (rest.is_empty() && !factors.is_empty()).then_some((About { created, store_id, revision }, factors))
}

/// The key of all shares.
fn joined(shares: &[u8]) -> Result<Key> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf_sha256(shares, &[], b"claviger v1 archive", &mut *key)?;
    Ok(key)
}

/// A new share for a recipient: kind of the factor, share, and what the factor holds.
fn share_for(recipient: &PKeyRef<Public>) -> Result<(u8, Key, Vec<u8>)> {
    let id = sha256(&recipient.public_key_to_der()?);
    if recipient.id() == Id::RSA {
        let share = random_key()?;
        let mut encrypter = Encrypter::new(recipient)?;
        encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
        encrypter.set_rsa_oaep_md(MessageDigest::sha256())?;
        let mut wrapped = vec![0; encrypter.encrypt_len(&*share)?];
        let length = encrypter.encrypt(&*share, &mut wrapped)?;
        wrapped.truncate(length);
        return Ok((RSA, share, [id.as_slice(), &wrapped].concat()));
    }
    let ephemeral = match recipient.id() {
        Id::X25519 => PKey::generate_x25519()?,
        Id::X448 => PKey::generate_x448()?,
        _ => {
            let key = recipient.ec_key()?;
            PKey::from_ec_key(openssl::ec::EcKey::generate(key.group())?)?
        }
    };
    let public = ephemeral.public_key_to_der()?;
    let share = agreed(&ephemeral, recipient, &public, &id)?;
    Ok((ECDH, share, [id.as_slice(), &public].concat()))
}

/// The share that a factor holds for `key`; `None` when it is not for this kind of key or damaged.
fn share_of(key: &PKeyRef<Private>, kind: u8, data: &[u8]) -> Option<Key> {
    if kind == RSA {
        let mut decrypter = Decrypter::new(key).ok()?;
        decrypter.set_rsa_padding(Padding::PKCS1_OAEP).ok()?;
        decrypter.set_rsa_oaep_md(MessageDigest::sha256()).ok()?;
        let mut share = Zeroizing::new(vec![0; decrypter.decrypt_len(data).ok()?]);
        let length = decrypter.decrypt(data, &mut share).ok()?;
        let share = share.get(..length)?.first_chunk::<32>().filter(|_| length == 32)?;
        return Some(Zeroizing::new(*share));
    }
    let ephemeral = PKey::public_key_from_der(data).ok()?;
    let id = sha256(&key.public_key_to_der().ok()?);
    agreed(key, &ephemeral, data, &id).ok()
}

/// What both ends make of their key and the other's.
fn agreed(own: &PKeyRef<Private>, other: &PKeyRef<Public>, ephemeral: &[u8], id: &[u8]) -> Result<Key> {
    let mut deriver = Deriver::new(own)?;
    deriver.set_peer(other)?;
    let secret = Zeroizing::new(deriver.derive_to_vec()?);
    let mut share = Zeroizing::new([0; 32]);
    hkdf_sha256(&secret, &[], &[b"claviger v1 recipient", ephemeral, id].concat(), &mut *share)?;
    Ok(share)
}

#[cfg(test)]
#[path = "archive_fuzz.rs"]
mod tests;
