//! MACs that are the last block of a CBC encryption: the `CKM_*_MAC` of block ciphers (FIPS 113, zero padding), and
//! AES-XCBC-MAC (RFC 3566).

use claviger_protocol::mechanism::{Cipher, Mode};
use openssl::cipher_ctx::CipherCtx;
use zeroize::Zeroizing;

use super::algorithm::{self, CipherKey};
use crate::error::{Error, Result};

/// Length of the longest block in bytes.
const LONGEST: usize = 16;

/// A MAC being computed.
pub struct CbcMac {
    context: CipherCtx,
    /// Length of a block in bytes.
    block: usize,
    /// The last data, up to one block, which the end changes.
    held: Zeroizing<Vec<u8>>,
    /// AES-XCBC-MAC: what the last block is changed by when it is whole, and when it is padded.
    keys: Option<[Zeroizing<Vec<u8>>; 2]>,
}

impl CbcMac {
    /// The MAC of FIPS 113 with a cipher. `KeySizeRange`.
    pub fn new(cipher: Cipher, key: &[u8]) -> Result<CbcMac> {
        let evp = algorithm::cipher(cipher, Mode::Cbc, key.len())?;
        let block = evp.block_size();
        let mut context = CipherCtx::new()?;
        let key = CipherKey::new(cipher, key);
        context.encrypt_init(Some(evp), Some(&key), Some(&[0; LONGEST][..block]))?;
        context.set_padding(false);
        Ok(CbcMac { context, block, held: Zeroizing::new(Vec::with_capacity(LONGEST)), keys: None })
    }

    /// AES-XCBC-MAC. `KeySizeRange` for keys that are not of 128 bits.
    pub fn xcbc(key: &[u8]) -> Result<CbcMac> {
        if key.len() != LONGEST {
            return Err(Error::KeySizeRange);
        }
        // RFC 3566, 4: three keys from one.
        let derived = |constant: u8| -> Result<Zeroizing<Vec<u8>>> {
            let ecb = algorithm::cipher(Cipher::Aes, Mode::Ecb, key.len())?;
            let mut context = CipherCtx::new()?;
            context.encrypt_init(Some(ecb), Some(key), None)?;
            context.set_padding(false);
            let mut block = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
            context.cipher_update_vec(&[constant; LONGEST], &mut block)?;
            Ok(block)
        };
        let mut mac = CbcMac::new(Cipher::Aes, &derived(1)?)?;
        mac.keys = Some([derived(2)?, derived(3)?]);
        Ok(mac)
    }

    /// Takes more data.
    pub fn update(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            if self.held.len() == self.block {
                self.encrypt()?;
            }
            // Whole blocks with more behind them need not be held.
            let whole = (data.len() - 1) / self.block * self.block;
            if self.held.is_empty() && whole > 0 {
                let mut output = Zeroizing::new(Vec::with_capacity(whole + LONGEST));
                self.context.cipher_update_vec(&data[..whole], &mut output)?;
                data = &data[whole..];
            }
            let taken = data.len().min(self.block - self.held.len());
            self.held.extend_from_slice(&data[..taken]);
            data = &data[taken..];
        }
        Ok(())
    }

    /// The last block, whole.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let whole = self.held.len() == self.block;
        if let (false, Some(_)) = (whole, &self.keys) {
            self.held.push(0x80);
        }
        self.held.resize(self.block, 0);
        if let Some(keys) = &self.keys {
            for (byte, key) in self.held.iter_mut().zip(keys[usize::from(!whole)].iter()) {
                *byte ^= key;
            }
        }
        self.encrypt()
    }

    fn encrypt(&mut self) -> Result<Vec<u8>> {
        let mut output = Vec::with_capacity(2 * LONGEST);
        self.context.cipher_update_vec(&self.held, &mut output)?;
        self.held.clear();
        Ok(output)
    }
}
