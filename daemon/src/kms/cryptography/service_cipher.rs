//! `CKM_KMS_ENVELOPE`: the key service's own encryption for applications that come through PKCS#11. What one door
//! encrypts the other one decrypts.

use std::sync::Arc;

use claviger_protocol::Bytes;
use claviger_protocol::params::Params;
use zeroize::Zeroizing;

use super::{Caller, ENVELOPE_BYTES, Header, MAX_SOFTWARE_BYTES, check_size, leb128, open, seal};
use crate::audit::Principal;
use crate::catalog::{KeyCell, VersionCell};
use crate::crypto::cipher::Transform;
use crate::crypto::{Direction, Key};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::kms::time::Time;
use crate::kms::usage::Use;
use crate::server::Peer;

/// A version, and how an application encrypts or decrypts with it.
pub struct ServiceCipher {
    daemon: Arc<Daemon>,
    key: Arc<KeyCell>,
    version: Arc<VersionCell>,
    live: Arc<Key>,
    direction: Direction,
    aad: Bytes,
    peer: Peer,
}

impl ServiceCipher {
    /// With the additional data of the mechanism's parameter, which may be none. The caller has admitted the version,
    /// and seen that its purpose is `ENCRYPT_DECRYPT`.
    ///
    /// # Errors
    /// `MechanismParamInvalid` for more additional data than its protection level takes.
    pub fn new(
        daemon: &Arc<Daemon>,
        version: &Arc<VersionCell>,
        live: Arc<Key>,
        direction: Direction,
        params: &Params,
        peer: Peer,
    ) -> Result<ServiceCipher> {
        let key = daemon.catalog.key(&version.key).ok_or(Error::KeyHandleInvalid)?;
        let aad = match params {
            Params::None => Bytes::default(),
            Params::Bytes(aad) => aad.clone(),
            _ => return Err(Error::MechanismParamInvalid),
        };
        check_size(&key, 0, aad.len()).map_err(|_| Error::MechanismParamInvalid)?;
        Ok(ServiceCipher {
            daemon: daemon.clone(),
            key,
            version: version.clone(),
            live,
            direction,
            aad,
            peer,
        })
    }

    /// Bytes of a ciphertext beyond those of its plaintext.
    fn overhead(&self) -> usize {
        let mut number = Vec::new();
        leb128(self.version.number, &mut number);
        ENVELOPE_BYTES + number.len()
    }

    fn run(&self, input: &[u8]) -> Result<Bytes> {
        if self.direction == Direction::Encrypt {
            check_size(&self.key, input.len(), self.aad.len()).map_err(|_| Error::DataLenRange)?;
            return Ok(seal(&self.key, &self.version, &self.live, input, &self.aad)?.into());
        }
        let header = Header::read(input)
            .filter(|header| header.key == self.key.uid)
            .ok_or(Error::EncryptedDataInvalid)?;
        // Every version of the key opens what it made, whichever of them the handle shows.
        let (version, live) = match header.version == self.version.number {
            true => (self.version.clone(), self.live.clone()),
            false => {
                let version = self.key.version(header.version).ok_or(Error::EncryptedDataInvalid)?;
                let caller = Caller { uid: self.peer.uid, now: Time::now() };
                let live = self.daemon.admit(&self.key, &version, &caller, Use::Decrypt, false);
                let live = live.inspect_err(|error| {
                    if let Error::VersionScheduled { version } = error {
                        self.daemon.scheduled_use(version, &Principal::Peer(self.peer), "P11.C_Decrypt");
                    }
                });
                (version, Arc::new(live?))
            }
        };
        let opened = open(&self.key, &version, &live, &header, &self.aad);
        opened.map_err(|error| match error {
            Error::InvalidArgument { .. } => Error::EncryptedDataInvalid,
            error => error,
        })
    }
}

/// A [`ServiceCipher`] at work, and what it has taken.
pub struct ServiceTransform {
    cipher: Arc<ServiceCipher>,
    held: Zeroizing<Vec<u8>>,
}

impl ServiceTransform {
    /// Starts.
    pub fn new(cipher: Arc<ServiceCipher>) -> ServiceTransform {
        ServiceTransform { cipher, held: Zeroizing::default() }
    }

    /// Most bytes of the whole input.
    fn most(&self) -> usize {
        match self.cipher.direction {
            Direction::Encrypt => MAX_SOFTWARE_BYTES,
            // The number of a version has at most five bytes.
            Direction::Decrypt => MAX_SOFTWARE_BYTES + ENVELOPE_BYTES + 5,
        }
    }
}

impl Transform for ServiceTransform {
    fn update_length(&self, _input: usize) -> usize {
        0
    }

    fn finish_length(&self) -> usize {
        self.one_shot_length(self.held.len())
    }

    fn one_shot_length(&self, input: usize) -> usize {
        match self.cipher.direction {
            Direction::Encrypt => input + self.cipher.overhead(),
            Direction::Decrypt => input.saturating_sub(ENVELOPE_BYTES + 1),
        }
    }

    fn check_length(&self, input: usize) -> Result<()> {
        if input > self.most() { Err(self.cipher.direction.length_error()) } else { Ok(()) }
    }

    fn check_part(&self, input: usize) -> Result<()> {
        self.check_length(self.held.len().saturating_add(input))
    }

    fn update(&mut self, input: &[u8], _output: &mut Vec<u8>) -> Result<()> {
        self.check_part(input.len())?;
        if self.held.capacity() == 0 {
            // It never grows: that would leave its old memory unwiped.
            self.held = Zeroizing::new(Vec::with_capacity(self.most()));
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    fn finish(self: Box<Self>, output: &mut Vec<u8>) -> Result<()> {
        output.extend_from_slice(&Zeroizing::new(self.cipher.run(&self.held)?.into_vec()));
        Ok(())
    }

    fn one_shot(self: Box<Self>, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        output.extend_from_slice(&Zeroizing::new(self.cipher.run(input)?.into_vec()));
        Ok(())
    }
}
