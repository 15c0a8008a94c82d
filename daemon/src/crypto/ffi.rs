//! What the `openssl` crate lacks, wrapped so that nothing outside this file is unsafe.
//!
//! * keys as named parts (`EVP_PKEY_fromdata`, `EVP_PKEY_get_params`) and their checks
//! * MACs (`EVP_MAC`), and digests with parameters (`EVP_DigestInit_ex2`)
//! * the SHA-1, SHA-2, MD5 and RIPEMD-160 states, which can be saved: OpenSSL 3 has no call that saves an `EVP_MD_CTX`
//! * small setters

use std::ffi::{CStr, c_int, c_uchar, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::md::MdRef;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Params, Private, Public};
use openssl::pkey_ctx::PkeyCtxRef;
use openssl_sys as sys;
use zeroize::{Zeroize, Zeroizing};

use crate::process::SecureHeap;

type Result<T> = std::result::Result<T, ErrorStack>;

/// `OSSL_PARAM_UNSIGNED_INTEGER`
const UNSIGNED_INTEGER: c_uint = 2;
/// `OSSL_PARAM_UTF8_STRING`
const UTF8_STRING: c_uint = 4;
/// `OSSL_PARAM_OCTET_STRING`
const OCTET_STRING: c_uint = 5;
/// `OSSL_PARAM_UNMODIFIED`
const UNMODIFIED: usize = usize::MAX;

/// Largest part of a key, in bytes: an SLH-DSA or ML-DSA value, or a number of 16384 bits, fit in.
const MAX_PART: usize = 8192;

/// One named value handed to OpenSSL.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// An unsigned integer, most significant byte first.
    Number(&'a [u8]),
    /// Bytes.
    Octets(&'a [u8]),
    /// A name.
    Text(&'a CStr),
}

/// An `OSSL_PARAM` array with the memory it points to.
struct Parts {
    array: Vec<sys::OSSL_PARAM>,
    _memory: Vec<Zeroizing<Vec<u8>>>,
}

impl Parts {
    fn new(parts: &[(&'static CStr, Part)]) -> Parts {
        let mut array = Vec::with_capacity(parts.len() + 1);
        let mut memory = Vec::with_capacity(parts.len());
        for (name, part) in parts {
            let (data_type, mut bytes) = match part {
                Part::Number(number) => (UNSIGNED_INTEGER, Zeroizing::new(number.to_vec())),
                Part::Octets(octets) => (OCTET_STRING, Zeroizing::new(octets.to_vec())),
                Part::Text(text) => (UTF8_STRING, Zeroizing::new(text.to_bytes_with_nul().to_vec())),
            };
            if data_type == UNSIGNED_INTEGER {
                if bytes.is_empty() {
                    bytes.push(0);
                }
                if cfg!(target_endian = "little") {
                    bytes.reverse();
                }
            }
            let data_size = bytes.len() - usize::from(data_type == UTF8_STRING);
            array.push(sys::OSSL_PARAM {
                key: name.as_ptr(),
                data_type,
                data: bytes.as_mut_ptr().cast(),
                data_size,
                return_size: UNMODIFIED,
            });
            memory.push(bytes);
        }
        array.push(end());
        Parts { array, _memory: memory }
    }
}

fn end() -> sys::OSSL_PARAM {
    sys::OSSL_PARAM { key: ptr::null(), data_type: 0, data: ptr::null_mut(), data_size: 0, return_size: 0 }
}

fn check(code: c_int) -> Result<()> {
    if code > 0 { Ok(()) } else { Err(ErrorStack::get()) }
}

fn non_null<T>(pointer: *mut T) -> Result<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(ErrorStack::get)
}

/// A private key, with its public half, from its parts.
pub fn private_key(algorithm: &CStr, parts: &[(&'static CStr, Part)]) -> Result<PKey<Private>> {
    key_from_parts(algorithm, sys::EVP_PKEY_KEYPAIR, parts)
}

/// A public key from its parts.
pub fn public_key(algorithm: &CStr, parts: &[(&'static CStr, Part)]) -> Result<PKey<Public>> {
    key_from_parts(algorithm, sys::EVP_PKEY_PUBLIC_KEY, parts)
}

/// Prime, order and base of a new group (FIPS 186-4, A.1.1.2 and A.2.3), sizes in bits.
pub fn field_group(prime_bits: u32, order_bits: u32) -> Result<[Vec<u8>; 3]> {
    openssl::init();
    let (prime, order) = (prime_bits.to_be_bytes(), order_bits.to_be_bytes());
    let parts = Parts::new(&[(c"pbits", Part::Number(&prime)), (c"qbits", Part::Number(&order))]);
    // SAFETY: the name is a C string.
    let context =
        non_null(unsafe { sys::EVP_PKEY_CTX_new_from_name(ptr::null_mut(), c"DSA".as_ptr(), ptr::null()) })?;
    let mut group = ptr::null_mut();
    // SAFETY: the context is live, the array has an end marker and outlives the call, which copies from it.
    let result = unsafe {
        check(sys::EVP_PKEY_paramgen_init(context.as_ptr()))
            .and_then(|()| check(sys::EVP_PKEY_CTX_set_params(context.as_ptr(), parts.array.as_ptr())))
            .and_then(|()| check(sys::EVP_PKEY_paramgen(context.as_ptr(), &mut group)))
    };
    // SAFETY: the context is ours and not used afterwards.
    unsafe { sys::EVP_PKEY_CTX_free(context.as_ptr()) };
    result?;
    let group = non_null(group)?;
    // SAFETY: EVP_PKEY_paramgen gave us this reference to parameters without a key.
    let group: PKey<Params> = unsafe { PKey::from_ptr(group.as_ptr()) };
    let number = |name| number(&group, name).map(|number| number.to_vec()).ok_or_else(ErrorStack::get);
    Ok([number(c"p")?, number(c"q")?, number(c"g")?])
}

/// A new key pair over the parameters (a group) that the parts give.
pub fn pair_over(algorithm: &CStr, parts: &[(&'static CStr, Part)]) -> Result<PKey<Private>> {
    let group: PKey<Params> = key_from_parts(algorithm, sys::EVP_PKEY_KEY_PARAMETERS, parts)?;
    // SAFETY: the group is live; the context takes its own reference to it.
    let context = non_null(unsafe { sys::EVP_PKEY_CTX_new(group.as_ptr(), ptr::null_mut()) })?;
    let mut key = ptr::null_mut();
    // SAFETY: the context is live.
    let result = unsafe {
        check(sys::EVP_PKEY_keygen_init(context.as_ptr()))
            .and_then(|()| check(sys::EVP_PKEY_keygen(context.as_ptr(), &mut key)))
    };
    // SAFETY: the context is ours and not used afterwards.
    unsafe { sys::EVP_PKEY_CTX_free(context.as_ptr()) };
    result?;
    let key = non_null(key)?;
    // SAFETY: EVP_PKEY_keygen gave us this reference to a key with both halves.
    Ok(unsafe { PKey::from_ptr(key.as_ptr()) })
}

/// A new key pair of an algorithm whose name says all parameters.
pub fn new_pair(algorithm: &CStr) -> Result<PKey<Private>> {
    openssl::init();
    // SAFETY: the name is a C string.
    let context = non_null(unsafe {
        sys::EVP_PKEY_CTX_new_from_name(ptr::null_mut(), algorithm.as_ptr(), ptr::null())
    })?;
    let mut key = ptr::null_mut();
    // SAFETY: the context is live.
    let result = unsafe {
        check(sys::EVP_PKEY_keygen_init(context.as_ptr()))
            .and_then(|()| check(sys::EVP_PKEY_keygen(context.as_ptr(), &mut key)))
    };
    // SAFETY: the context is ours and not used afterwards.
    unsafe { sys::EVP_PKEY_CTX_free(context.as_ptr()) };
    result?;
    let key = non_null(key)?;
    // SAFETY: EVP_PKEY_keygen gave us this reference to a key with both halves.
    Ok(unsafe { PKey::from_ptr(key.as_ptr()) })
}

/// True for a key of the algorithm of this name.
pub fn is_a<T>(key: &PKeyRef<T>, algorithm: &CStr) -> bool {
    // SAFETY: the key is live, the name is a C string.
    unsafe { sys::EVP_PKEY_is_a(key.as_ptr(), algorithm.as_ptr()) == 1 }
}

fn key_from_parts<T>(algorithm: &CStr, selection: c_int, parts: &[(&'static CStr, Part)]) -> Result<PKey<T>> {
    openssl::init();
    let mut parts = Parts::new(parts);
    // SAFETY: the name is a C string; the context is freed on every path below.
    let context = non_null(unsafe {
        sys::EVP_PKEY_CTX_new_from_name(ptr::null_mut(), algorithm.as_ptr(), ptr::null())
    })?;
    let mut key = ptr::null_mut();
    // SAFETY: the context is live, `parts` ends with an end marker and outlives the call, which copies from it.
    let result = unsafe {
        check(sys::EVP_PKEY_fromdata_init(context.as_ptr())).and_then(|()| {
            check(sys::EVP_PKEY_fromdata(context.as_ptr(), &mut key, selection, parts.array.as_mut_ptr()))
        })
    };
    // SAFETY: the context came from EVP_PKEY_CTX_new_from_name and is not used afterwards.
    unsafe { sys::EVP_PKEY_CTX_free(context.as_ptr()) };
    result?;
    let key = non_null(key)?;
    // SAFETY: EVP_PKEY_fromdata gave us this reference, and `selection` says which halves the key has.
    Ok(unsafe { PKey::from_ptr(key.as_ptr()) })
}

/// The unsigned integer of this name, most significant byte first and without leading zeros; `None` if the key
/// has no such part.
pub fn number<T>(key: &PKeyRef<T>, name: &CStr) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = part(key, name, UNSIGNED_INTEGER)?;
    if cfg!(target_endian = "little") {
        bytes.reverse();
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(Zeroizing::new(bytes[zeros..].to_vec()))
}

/// The bytes of this name; `None` if the key has no such part.
pub fn octets<T>(key: &PKeyRef<T>, name: &CStr) -> Option<Zeroizing<Vec<u8>>> {
    part(key, name, OCTET_STRING)
}

/// The text of this name; `None` if the key has no such part.
pub fn text<T>(key: &PKeyRef<T>, name: &CStr) -> Option<String> {
    String::from_utf8(part(key, name, UTF8_STRING)?.to_vec()).ok()
}

fn part<T>(key: &PKeyRef<T>, name: &CStr, data_type: c_uint) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0u8; MAX_PART]);
    let mut params = [
        sys::OSSL_PARAM {
            key: name.as_ptr(),
            data_type,
            data: buffer.as_mut_ptr().cast(),
            data_size: buffer.len(),
            return_size: UNMODIFIED,
        },
        end(),
    ];
    // SAFETY: the key is live; the array has an end marker; data and data_size describe `buffer`.
    let code = unsafe { sys::EVP_PKEY_get_params(key.as_ptr(), params.as_mut_ptr()) };
    let size = params[0].return_size;
    if code <= 0 || size == UNMODIFIED || size > buffer.len() {
        // Absence is an answer here: leave nothing on OpenSSL's error queue.
        drop(ErrorStack::get());
        return None;
    }
    buffer.truncate(size);
    Some(buffer)
}

/// True when the two halves of a pair are well-formed and belong together (`EVP_PKEY_check`).
pub fn pair_is_valid(key: &PKeyRef<Private>) -> bool {
    key_is_valid(key, sys::EVP_PKEY_check)
}

/// True when a public key is well-formed: a point on its curve, a plausible modulus (`EVP_PKEY_public_check`).
pub fn public_is_valid<T: HasPublic>(key: &PKeyRef<T>) -> bool {
    key_is_valid(key, sys::EVP_PKEY_public_check)
}

fn key_is_valid<T>(
    key: &PKeyRef<T>,
    function: unsafe extern "C" fn(*mut sys::EVP_PKEY_CTX) -> c_int,
) -> bool {
    let Ok(context) = openssl::pkey_ctx::PkeyCtx::new(key) else { return false };
    // SAFETY: the context is live for the call.
    let valid = unsafe { function(context.as_ptr()) } == 1;
    drop(ErrorStack::get());
    valid
}

/// Sets a parameter of a signature operation that takes a name, such as the EdDSA instance.
pub fn set_text<T>(context: &mut PkeyCtxRef<T>, name: &'static CStr, value: &CStr) -> Result<()> {
    let parts = Parts::new(&[(name, Part::Text(value))]);
    // SAFETY: the context is live, the array has an end marker and outlives the call, which copies from it.
    check(unsafe { sys::EVP_PKEY_CTX_set_params(context.as_ptr(), parts.array.as_ptr()) })
}

/// Sets a parameter of a signature operation that takes a small number.
pub fn set_number<T>(context: &mut PkeyCtxRef<T>, name: &'static CStr, value: u8) -> Result<()> {
    let parts = Parts::new(&[(name, Part::Number(&[value]))]);
    // SAFETY: the context is live, the array has an end marker and outlives the call, which copies from it.
    check(unsafe { sys::EVP_PKEY_CTX_set_params(context.as_ptr(), parts.array.as_ptr()) })
}

/// As [`set_text`], for bytes.
pub fn set_octets<T>(context: &mut PkeyCtxRef<T>, name: &'static CStr, value: &[u8]) -> Result<()> {
    let parts = Parts::new(&[(name, Part::Octets(value))]);
    // SAFETY: the context is live, the array has an end marker and outlives the call, which copies from it.
    check(unsafe { sys::EVP_PKEY_CTX_set_params(context.as_ptr(), parts.array.as_ptr()) })
}

/// The shared secret in a ciphertext of a key encapsulation.
pub fn decapsulate(key: &PKeyRef<Private>, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let context = openssl::pkey_ctx::PkeyCtx::new(key)?;
    let mut length = 0;
    // SAFETY: the context is live.
    check(unsafe { sys::EVP_PKEY_decapsulate_init(context.as_ptr(), ptr::null()) })?;
    // SAFETY: as above; without an output the call only tells the length.
    check(unsafe {
        sys::EVP_PKEY_decapsulate(
            context.as_ptr(),
            ptr::null_mut(),
            &mut length,
            ciphertext.as_ptr(),
            ciphertext.len(),
        )
    })?;
    let mut secret = Zeroizing::new(vec![0; length]);
    // SAFETY: pointers and lengths describe `secret` and `ciphertext`.
    check(unsafe {
        sys::EVP_PKEY_decapsulate(
            context.as_ptr(),
            secret.as_mut_ptr(),
            &mut length,
            ciphertext.as_ptr(),
            ciphertext.len(),
        )
    })?;
    secret.truncate(length);
    Ok(secret)
}

unsafe extern "C" {
    // crypto.h; openssl-sys lacks it.
    fn CRYPTO_secure_malloc_init(size: usize, minsize: usize) -> c_int;
    fn CRYPTO_secure_used() -> usize;
}

/// Size of the memory set apart for private keys, in bytes; 0 for none.
static SECURE_HEAP_BYTES: AtomicUsize = AtomicUsize::new(0);

/// True when so much of the memory set apart for private keys is used that a key may not have found room: OpenSSL's
/// decoders do not say why they fail.
pub fn secure_heap_is_full() -> bool {
    let bytes = SECURE_HEAP_BYTES.load(Ordering::Acquire);
    if bytes == 0 {
        return false;
    }
    // SAFETY: reads a counter under OpenSSL's own lock, which is there since the memory is.
    let used = unsafe { CRYPTO_secure_used() };
    used > bytes / 8 * 7
}

/// Sets memory apart for private keys: guarded, not dumped, locked if the system lets it be
/// (`CRYPTO_secure_malloc_init`). Comes before the first key.
pub fn secure_heap(bytes: usize) -> SecureHeap {
    /// Smallest piece: a private key on a curve of 256 bits.
    const SMALLEST: usize = 32;
    if !bytes.is_power_of_two() {
        return SecureHeap::Refused;
    }
    openssl::init();
    // SAFETY: takes two numbers, both powers of two; nobody else initialises it at the same time.
    let made = match unsafe { CRYPTO_secure_malloc_init(bytes, SMALLEST) } {
        1 => SecureHeap::Locked,
        2 => SecureHeap::Unlocked,
        _ => return SecureHeap::Refused,
    };
    SECURE_HEAP_BYTES.store(bytes, Ordering::Release);
    made
}

/// Mixes bytes into the random generator, counting on no entropy in them.
pub fn add_seed(seed: &[u8]) {
    openssl::init();
    for chunk in seed.chunks(1 << 20) {
        // SAFETY: pointer and length describe `chunk`, whose length fits in an int.
        unsafe { sys::RAND_add(chunk.as_ptr().cast(), chunk.len() as c_int, 0.0) };
    }
}

/// A MAC being computed (`EVP_MAC_CTX`).
pub struct Mac(NonNull<sys::EVP_MAC_CTX>);

// SAFETY: an EVP_MAC_CTX is bound to no thread, and `&Mac` only allows copying it, which does not change it.
unsafe impl Send for Mac {}
// SAFETY: as above.
unsafe impl Sync for Mac {}

impl Mac {
    /// A MAC of this name with these parameters set and no key yet.
    pub fn new(algorithm: &CStr, parts: &[(&'static CStr, Part)]) -> Result<Mac> {
        openssl::init();
        let parts = Parts::new(parts);
        // SAFETY: the name is a C string.
        let mac = non_null(unsafe { sys::EVP_MAC_fetch(ptr::null_mut(), algorithm.as_ptr(), ptr::null()) })?;
        // SAFETY: `mac` is live; the context takes its own reference to it.
        let context = unsafe { sys::EVP_MAC_CTX_new(mac.as_ptr()) };
        // SAFETY: our reference to `mac` is not used afterwards.
        unsafe { sys::EVP_MAC_free(mac.as_ptr()) };
        let mac = Mac(non_null(context)?);
        // SAFETY: the context is live, the array has an end marker and outlives the call, which copies from it.
        check(unsafe { sys::EVP_MAC_CTX_set_params(mac.0.as_ptr(), parts.array.as_ptr()) })?;
        Ok(mac)
    }

    /// A copy in the same state.
    pub fn try_clone(&self) -> Result<Mac> {
        // SAFETY: the context is live; a new one is returned.
        Ok(Mac(non_null(unsafe { sys::EVP_MAC_CTX_dup(self.0.as_ptr()) })?))
    }

    /// Sets a parameter, before the key.
    pub fn set(&mut self, name: &'static CStr, part: Part) -> Result<()> {
        let parts = Parts::new(&[(name, part)]);
        // SAFETY: the context is live, the array has an end marker and outlives the call, which copies from it.
        check(unsafe { sys::EVP_MAC_CTX_set_params(self.0.as_ptr(), parts.array.as_ptr()) })
    }

    /// Starts with this key.
    pub fn start(&mut self, key: &[u8]) -> Result<()> {
        // SAFETY: the context is live; pointer and length describe `key`; no parameters are given.
        check(unsafe { sys::EVP_MAC_init(self.0.as_ptr(), key.as_ptr(), key.len(), ptr::null()) })
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        // SAFETY: the context is live; pointer and length describe `data`.
        check(unsafe { sys::EVP_MAC_update(self.0.as_ptr(), data.as_ptr(), data.len()) })
    }

    /// Writes the MAC to `output` and returns its length in bytes.
    pub fn finish(self, output: &mut [u8]) -> Result<usize> {
        let mut length = 0;
        // SAFETY: the context is live; pointer and size describe `output`.
        check(unsafe {
            sys::EVP_MAC_final(self.0.as_ptr(), output.as_mut_ptr(), &mut length, output.len())
        })?;
        Ok(length)
    }
}

impl Drop for Mac {
    fn drop(&mut self) {
        // SAFETY: we own the context and nobody uses it afterwards.
        unsafe { sys::EVP_MAC_CTX_free(self.0.as_ptr()) };
    }
}

unsafe extern "C" {
    fn EVP_DigestInit_ex2(
        context: *mut sys::EVP_MD_CTX,
        md: *const sys::EVP_MD,
        params: *const sys::OSSL_PARAM,
    ) -> c_int;
}

/// A digest being computed (`EVP_MD_CTX`).
pub struct Digest {
    context: NonNull<sys::EVP_MD_CTX>,
    /// Length of the output in bytes.
    length: usize,
    extendable: bool,
}

// SAFETY: an EVP_MD_CTX is bound to no thread, and `&Digest` only allows copying it, which does not change it.
unsafe impl Send for Digest {}
// SAFETY: as above.
unsafe impl Sync for Digest {}

impl Digest {
    /// A digest of `length` bytes, which `size` asks of a hash that comes in several sizes.
    pub fn new(md: &MdRef, size: Option<usize>, length: usize) -> Result<Digest> {
        let size = size.map(|size| size.to_be_bytes());
        let parts: Vec<_> = size.iter().map(|size| (c"size", Part::Number(&size[4..]))).collect();
        Digest::start(md, &Parts::new(&parts), length, false)
    }

    /// `length` bytes of a hash with any length of output.
    pub fn extendable(md: &MdRef, length: usize) -> Result<Digest> {
        Digest::start(md, &Parts::new(&[]), length, true)
    }

    fn start(md: &MdRef, parts: &Parts, length: usize, extendable: bool) -> Result<Digest> {
        // SAFETY: a new context is returned.
        let context = non_null(unsafe { sys::EVP_MD_CTX_new() })?;
        let digest = Digest { context, length, extendable };
        // SAFETY: context and hash are live; the array has an end marker and outlives the call.
        check(unsafe { EVP_DigestInit_ex2(context.as_ptr(), md.as_ptr(), parts.array.as_ptr()) })?;
        Ok(digest)
    }

    /// A copy in the same state.
    pub fn try_clone(&self) -> Result<Digest> {
        // SAFETY: a new context is returned.
        let context = non_null(unsafe { sys::EVP_MD_CTX_new() })?;
        let copy = Digest { context, length: self.length, extendable: self.extendable };
        // SAFETY: both contexts are live.
        check(unsafe { sys::EVP_MD_CTX_copy_ex(context.as_ptr(), self.context.as_ptr()) })?;
        Ok(copy)
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        // SAFETY: the context is live; pointer and length describe `data`.
        check(unsafe { sys::EVP_DigestUpdate(self.context.as_ptr(), data.as_ptr().cast(), data.len()) })
    }

    /// Writes the digest to the front of `output`, which is at least as long.
    pub fn finish(self, output: &mut [u8]) -> Result<()> {
        if output.len() < self.length {
            return Err(ErrorStack::get());
        }
        if self.extendable {
            // SAFETY: the context is live; the output is as long as is asked for.
            return check(unsafe {
                sys::EVP_DigestFinalXOF(self.context.as_ptr(), output.as_mut_ptr(), self.length)
            });
        }
        let mut whole = Zeroizing::new([0u8; 64]);
        let mut length = 0;
        // SAFETY: the context is live; no digest of a fixed length is longer than 64 bytes (EVP_MAX_MD_SIZE).
        check(unsafe { sys::EVP_DigestFinal_ex(self.context.as_ptr(), whole.as_mut_ptr(), &mut length) })?;
        if length as usize != self.length {
            return Err(ErrorStack::get());
        }
        output[..self.length].copy_from_slice(&whole[..self.length]);
        Ok(())
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        // SAFETY: we own the context and nobody uses it afterwards.
        unsafe { sys::EVP_MD_CTX_free(self.context.as_ptr()) };
    }
}

macro_rules! sha_state {
    (
        $(#[$doc:meta])* $state:ident,
        word $word:ty, chain $chain:literal, block $block:literal, $(length $length:ident)?,
        $init:ident, $update:ident, $finish:ident
    ) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone)]
        pub struct $state {
            chain: [$word; $chain],
            bits_low: $word,
            bits_high: $word,
            block: [$word; 16],
            used: c_uint,
            $($length: c_uint,)?
        }

        unsafe extern "C" {
            fn $init(state: *mut $state) -> c_int;
            fn $update(state: *mut $state, data: *const c_void, length: usize) -> c_int;
            fn $finish(digest: *mut c_uchar, state: *mut $state) -> c_int;
        }

        impl $state {
            /// The state before any data.
            pub fn new() -> Result<Self> {
                let mut state = Self {
                    chain: [0; $chain],
                    bits_low: 0,
                    bits_high: 0,
                    block: [0; 16],
                    used: 0,
                    $($length: 0,)?
                };
                // SAFETY: the structure has the layout of <openssl/sha.h> and is ours alone.
                check(unsafe { $init(&mut state) })?;
                Ok(state)
            }

            /// Takes more data.
            pub fn update(&mut self, data: &[u8]) -> Result<()> {
                // SAFETY: as in `new`; pointer and length describe `data`.
                check(unsafe { $update(self, data.as_ptr().cast(), data.len()) })
            }

            /// Writes the digest to the front of `digest`, which must hold the longest one of this state.
            pub fn finish(mut self, digest: &mut [u8; 64]) -> Result<()> {
                // SAFETY: as in `new`; no digest is longer than 64 bytes.
                check(unsafe { $finish(digest.as_mut_ptr(), &mut self) })
            }

            /// The chaining value.
            #[allow(dead_code, reason = "of SHA-512 alone")]
            pub fn chain(&self) -> [$word; $chain] {
                self.chain
            }

            /// Starts from another chaining value.
            #[allow(dead_code, reason = "of SHA-512 alone")]
            pub fn set_chain(&mut self, chain: [$word; $chain]) {
                self.chain = chain;
            }

            /// The state as bytes: chaining value, length in bits, rest of the data.
            pub fn save(&self) -> Vec<u8> {
                let mut saved = Vec::with_capacity(256);
                for word in self.chain.iter().chain([&self.bits_high, &self.bits_low]) {
                    saved.extend_from_slice(&word.to_be_bytes());
                }
                let rest = self.block.iter().flat_map(|word| word.to_ne_bytes());
                saved.extend(rest.take(self.used as usize));
                saved
            }

            /// The state of these bytes; `None` if they are no saved state.
            pub fn restore(saved: &[u8]) -> Option<Self> {
                const WORD: usize = size_of::<$word>();
                let mut state = Self::new().ok()?;
                let (head, rest) = saved.split_at_checked(($chain + 2) * WORD)?;
                let mut words = head.chunks_exact(WORD).map(|word| {
                    <$word>::from_be_bytes(word.try_into().unwrap_or_default())
                });
                for word in &mut state.chain {
                    *word = words.next()?;
                }
                state.bits_high = words.next()?;
                state.bits_low = words.next()?;
                let used = (state.bits_low / 8) as usize % $block;
                if rest.len() != used || state.bits_low % 8 != 0 {
                    return None;
                }
                let mut block = Zeroizing::new([0u8; $block]);
                block[..used].copy_from_slice(rest);
                for (word, bytes) in state.block.iter_mut().zip(block.chunks_exact(WORD)) {
                    *word = <$word>::from_ne_bytes(bytes.try_into().unwrap_or_default());
                }
                state.used = used as c_uint;
                Some(state)
            }
        }

        impl Drop for $state {
            fn drop(&mut self) {
                // The data may have been a key (C_DigestKey).
                self.chain.zeroize();
                self.block.zeroize();
            }
        }
    };
}

sha_state! {
    /// `SHA_CTX`
    Sha1, word u32, chain 5, block 64, , SHA1_Init, SHA1_Update, SHA1_Final
}
sha_state! {
    /// `SHA256_CTX` as SHA-224 uses it.
    Sha224, word u32, chain 8, block 64, length md_len, SHA224_Init, SHA224_Update, SHA224_Final
}
sha_state! {
    /// `SHA256_CTX`
    Sha256, word u32, chain 8, block 64, length md_len, SHA256_Init, SHA256_Update, SHA256_Final
}
sha_state! {
    /// `SHA512_CTX` as SHA-384 uses it.
    Sha384, word u64, chain 8, block 128, length md_len, SHA384_Init, SHA384_Update, SHA384_Final
}
sha_state! {
    /// `SHA512_CTX`
    Sha512, word u64, chain 8, block 128, length md_len, SHA512_Init, SHA512_Update, SHA512_Final
}

sha_state! {
    /// `MD5_CTX`
    Md5, word u32, chain 4, block 64, , MD5_Init, MD5_Update, MD5_Final
}
sha_state! {
    /// `RIPEMD160_CTX`
    Ripemd160, word u32, chain 5, block 64, , RIPEMD160_Init, RIPEMD160_Update, RIPEMD160_Final
}

// The structures above must not be smaller than OpenSSL's.
const _: () = assert!(size_of::<Sha1>() == size_of::<sys::SHA_CTX>());
const _: () = assert!(size_of::<Sha256>() == size_of::<sys::SHA256_CTX>());
const _: () = assert!(size_of::<Sha512>() == size_of::<sys::SHA512_CTX>());
