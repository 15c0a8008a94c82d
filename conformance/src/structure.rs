//! Mechanism parameters that are C structures with pointers, field by field.

use claviger_protocol::MechanismType as M;

use crate::mechanism::Mechanism;

/// A structure under construction, and the buffers that it points to. Fields are added in the order of the
/// header; those here are `CK_ULONG`s and pointers, which leave no gaps, and bytes that say their own padding.
#[derive(Default)]
pub struct Structure {
    bytes: Vec<u8>,
    buffers: Vec<Box<[u8]>>,
}

/// A mechanism whose parameter points into buffers, which live as long.
pub struct Pointing {
    mechanism: Mechanism,
    _buffers: Vec<Box<[u8]>>,
}

impl std::ops::Deref for Pointing {
    type Target = Mechanism;

    fn deref(&self) -> &Mechanism {
        &self.mechanism
    }
}

impl From<Mechanism> for Pointing {
    fn from(mechanism: Mechanism) -> Self {
        Pointing { mechanism, _buffers: Vec::new() }
    }
}

impl Structure {
    /// Without fields.
    pub fn new() -> Structure {
        Structure::default()
    }

    /// A `CK_ULONG`.
    pub fn ulong(mut self, value: u64) -> Structure {
        self.bytes.extend(value.to_ne_bytes());
        self
    }

    /// Bytes in the structure itself.
    pub fn inline(mut self, bytes: &[u8]) -> Structure {
        self.bytes.extend(bytes);
        self
    }

    /// A pointer to a copy of `data`; NULL for none.
    pub fn pointer(mut self, data: &[u8]) -> Structure {
        let buffer: Box<[u8]> = data.into();
        let address = if data.is_empty() { 0 } else { buffer.as_ptr().expose_provenance() };
        self.buffers.push(buffer);
        self.ulong(address as u64)
    }

    /// A pointer and then the length.
    pub fn data(self, data: &[u8]) -> Structure {
        self.pointer(data).ulong(data.len() as u64)
    }

    /// A length and then the pointer.
    pub fn length_first(self, data: &[u8]) -> Structure {
        self.ulong(data.len() as u64).pointer(data)
    }

    /// A pointer to an array of `elements`, and before it their number.
    pub fn array(self, elements: Vec<Structure>) -> Structure {
        let count = elements.len() as u64;
        let mut whole = self.ulong(count);
        let mut bytes = Vec::new();
        for element in elements {
            bytes.extend(element.bytes);
            whole.buffers.extend(element.buffers);
        }
        whole.pointer(&bytes)
    }

    /// A pointer to another structure.
    pub fn structure(self, inner: Structure) -> Structure {
        let mut whole = self.pointer(&inner.bytes);
        whole.buffers.extend(inner.buffers);
        whole
    }

    /// A pointer to another structure and then its length.
    pub fn sized(self, inner: Structure) -> Structure {
        let length = inner.bytes.len() as u64;
        self.structure(inner).ulong(length)
    }

    /// The mechanism with this parameter.
    pub fn of(self, r#type: M) -> Pointing {
        Pointing { mechanism: Mechanism::bytes(r#type, &self.bytes), _buffers: self.buffers }
    }
}

/// `CK_CCM_PARAMS`; lengths in bytes.
pub fn ccm(r#type: M, data_len: usize, nonce: &[u8], aad: &[u8], mac_len: usize) -> Pointing {
    Structure::new().ulong(data_len as u64).data(nonce).data(aad).ulong(mac_len as u64).of(r#type)
}

/// `CK_GCM_PARAMS`.
pub fn gcm(r#type: M, iv: &[u8], aad: &[u8], tag_bits: usize) -> Pointing {
    Structure::new().data(iv).ulong(iv.len() as u64 * 8).data(aad).ulong(tag_bits as u64).of(r#type)
}

/// `CK_SALSA20_CHACHA20_POLY1305_PARAMS`.
pub fn chacha20_poly1305(nonce: &[u8], aad: &[u8]) -> Pointing {
    Structure::new().data(nonce).data(aad).of(M::CHACHA20_POLY1305)
}

/// `CK_ECDH1_DERIVE_PARAMS`.
pub fn ecdh(kdf: u64, shared_data: &[u8], public_data: &[u8]) -> Pointing {
    Structure::new().ulong(kdf).length_first(shared_data).length_first(public_data).of(M::ECDH1_DERIVE)
}

/// `CK_HKDF_PARAMS` of both steps; without salt `CKF_HKDF_SALT_NULL`.
pub fn hkdf(r#type: M, prf: M, salt: &[u8], info: &[u8]) -> Pointing {
    let salt_type = if salt.is_empty() { 1 } else { 2 };
    Structure::new()
        .inline(&[1, 1, 0, 0, 0, 0, 0, 0])
        .ulong(prf.0)
        .ulong(salt_type)
        .data(salt)
        .ulong(0)
        .data(info)
        .of(r#type)
}

/// `CK_RSA_PKCS_OAEP_PARAMS` without a label.
pub fn oaep(hash: M, mgf: u64) -> Structure {
    // CKZ_DATA_SPECIFIED
    Structure::new().ulong(hash.0).ulong(mgf).ulong(1).ulong(0).ulong(0)
}

/// `CK_RSA_AES_KEY_WRAP_PARAMS`.
pub fn rsa_aes_key_wrap(aes_key_bits: u64, oaep: Structure) -> Pointing {
    Structure::new().ulong(aes_key_bits).structure(oaep).of(M::RSA_AES_KEY_WRAP)
}

/// One `CK_PRF_DATA_PARAM`: its type and its value.
pub fn prf_data(r#type: u64, value: &[u8]) -> Structure {
    Structure::new().ulong(r#type).data(value)
}

/// `CK_SP800_108_COUNTER_FORMAT`, most significant byte first.
pub fn counter_format(bits: u64) -> Vec<u8> {
    [0u64.to_ne_bytes(), bits.to_ne_bytes()].concat()
}

/// `CK_PKCS5_PBKD2_PARAMS2`; `prf` is a `CKP_PKCS5_PBKD2_*`.
pub fn pbkdf2(prf: u64, salt: &[u8], iterations: u64, password: &[u8]) -> Pointing {
    // CKZ_SALT_SPECIFIED
    Structure::new()
        .ulong(1)
        .data(salt)
        .ulong(iterations)
        .ulong(prf)
        .data(&[])
        .data(password)
        .of(M::PKCS5_PBKD2)
}
