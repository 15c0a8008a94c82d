//! Table 2: every C_* that crosses the wire, as the request's fields and the reply's type.
//!
//! A call is one row here, one handler in the daemon's `calls/`, one body in the module's `abi/`, one test.
//! [`for_each_call`](crate::for_each_call) hands the table to whoever needs all rows (the daemon's dispatcher).

use bincode::{BorrowDecode, Decode, Encode};

use crate::attribute_type::AttributeType;
use crate::bytes::Bytes;
use crate::mechanism_type::MechanismType;
use crate::params::Mechanism;
use crate::template::{AttributeReply, Template};

/// A request type: its number on the wire and the reply it gets.
pub trait Call: Encode + Decode<()> {
    /// Number on the wire; fixed for ever.
    const NUMBER: u16;
    /// The function's name without `C_`.
    const NAME: &'static str;
    /// What comes back with `CKR_OK`.
    type Reply: Encode + Decode<()>;
}

/// How much output the caller has room for, in bytes; `None` is a size query (a NULL buffer).
pub type Room = Option<u64>;

/// The answer of a call that fills a caller's buffer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Output {
    /// The output itself; it fits.
    Data(Bytes),
    /// Answer to a size query: this many bytes suffice.
    Length(u64),
    /// `CKR_BUFFER_TOO_SMALL`: this many bytes are needed.
    TooSmall(u64),
    /// The output fits and stands at the beginning of the connection's memory, so many bytes; to a request whose data
    /// came [that way](crate::frame::IN_MEMORY) alone.
    Placed(u64),
}

/// [`Output`] where it stands in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorrowDecode)]
pub enum OutputRef<'reply> {
    /// [`Output::Data`].
    Data(&'reply [u8]),
    /// [`Output::Length`].
    Length(u64),
    /// [`Output::TooSmall`].
    TooSmall(u64),
    /// [`Output::Placed`].
    Placed(u64),
}

impl<'output> From<&'output Output> for OutputRef<'output> {
    fn from(output: &'output Output) -> Self {
        match output {
            Output::Data(data) => OutputRef::Data(data),
            Output::Length(length) => OutputRef::Length(*length),
            Output::TooSmall(length) => OutputRef::TooSmall(*length),
            Output::Placed(length) => OutputRef::Placed(*length),
        }
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $number:literal $name:ident { $($field:ident: $type:ty),* $(,)? } -> $reply:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Encode, Decode)]
            #[allow(missing_docs, reason = "the fields are the function's arguments, named as in the standard")]
            pub struct $name { $(pub $field: $type,)* }

            impl Call for $name {
                const NUMBER: u16 = $number;
                const NAME: &'static str = stringify!($name);
                type Reply = $reply;
            }
        )*

        /// Every call's number and name.
        pub const CALLS: &[(u16, &str)] = &[$(($number, stringify!($name)),)*];

        /// Invokes a macro with the names of all calls: `callback!(GetSlotList GetSlotInfo ...)`.
        #[macro_export]
        macro_rules! for_each_call {
            ($callback:ident) => { $callback! { $($name)* } };
        }
    };
}

calls! {
    // Chapter 5.4 general purpose (C_Initialize is the hello, C_GetInfo needs no daemon).
    /// `C_Finalize`: ends the application, on all its connections.
    1 Finalize {} -> ();

    // Chapter 5.5 slot and token management.
    /// `C_GetSlotList`.
    10 GetSlotList { token_present: bool } -> Vec<u64>;
    /// `C_GetSlotInfo`.
    11 GetSlotInfo { slot: u64 } -> SlotInfo;
    /// `C_GetTokenInfo`.
    12 GetTokenInfo { slot: u64 } -> TokenInfo;
    /// `C_WaitForSlotEvent`.
    13 WaitForSlotEvent { block: bool } -> u64;
    /// `C_GetMechanismList`.
    14 GetMechanismList { slot: u64 } -> Vec<MechanismType>;
    /// `C_GetMechanismInfo`.
    15 GetMechanismInfo { slot: u64, mechanism: MechanismType } -> MechanismInfo;
    /// `C_InitToken`.
    16 InitToken { slot: u64, pin: Option<Bytes>, label: [u8; 32] } -> ();
    /// `C_InitPIN`.
    17 InitPin { session: u64, pin: Option<Bytes> } -> ();
    /// `C_SetPIN`.
    18 SetPin { session: u64, old_pin: Option<Bytes>, new_pin: Option<Bytes> } -> ();

    // Chapter 5.6 session management.
    /// `C_OpenSession`.
    30 OpenSession { slot: u64, flags: u64 } -> u64;
    /// `C_CloseSession`.
    31 CloseSession { session: u64 } -> ();
    /// `C_CloseAllSessions`.
    32 CloseAllSessions { slot: u64 } -> ();
    /// `C_GetSessionInfo`.
    33 GetSessionInfo { session: u64 } -> SessionInfo;
    /// `C_SessionCancel`.
    34 SessionCancel { session: u64, flags: u64 } -> ();
    /// `C_GetOperationState`.
    35 GetOperationState { session: u64, room: Room } -> Output;
    /// `C_SetOperationState`.
    36 SetOperationState { session: u64, state: Bytes, encryption_key: u64, authentication_key: u64 } -> ();
    /// `C_Login`.
    37 Login { session: u64, user_type: u64, pin: Option<Bytes> } -> ();
    /// `C_LoginUser`.
    38 LoginUser { session: u64, user_type: u64, pin: Option<Bytes>, username: Bytes } -> ();
    /// `C_Logout`.
    39 Logout { session: u64 } -> ();
    /// `C_GetSessionValidationFlags`.
    40 GetSessionValidationFlags { session: u64, r#type: u64 } -> u64;

    // Chapter 5.7 object management.
    /// `C_CreateObject`.
    50 CreateObject { session: u64, template: Template } -> u64;
    /// `C_CopyObject`.
    51 CopyObject { session: u64, object: u64, template: Template } -> u64;
    /// `C_DestroyObject`.
    52 DestroyObject { session: u64, object: u64 } -> ();
    /// `C_GetObjectSize`, in bytes.
    53 GetObjectSize { session: u64, object: u64 } -> u64;
    /// `C_GetAttributeValue`: one answer per type asked, in the same order. The module sizes and writes them.
    54 GetAttributeValue { session: u64, object: u64, types: Vec<AttributeType> } -> Vec<AttributeReply>;
    /// `C_SetAttributeValue`.
    55 SetAttributeValue { session: u64, object: u64, template: Template } -> ();
    /// `C_FindObjectsInit`.
    56 FindObjectsInit { session: u64, template: Template } -> ();
    /// `C_FindObjects`.
    57 FindObjects { session: u64, max: u64 } -> Vec<u64>;
    /// `C_FindObjectsFinal`.
    58 FindObjectsFinal { session: u64 } -> ();

    // Chapter 5.8 encryption. An Init without a mechanism cancels (PKCS#11 3.0, section 5.8.1).
    /// `C_EncryptInit`.
    70 EncryptInit { session: u64, mechanism: Option<Mechanism>, key: u64 } -> ();
    /// `C_Encrypt`.
    71 Encrypt { session: u64, data: Bytes, room: Room } -> Output;
    /// `C_EncryptUpdate`.
    72 EncryptUpdate { session: u64, part: Bytes, room: Room } -> Output;
    /// `C_EncryptFinal`.
    73 EncryptFinal { session: u64, room: Room } -> Output;

    // Chapter 5.10 decryption.
    /// `C_DecryptInit`.
    80 DecryptInit { session: u64, mechanism: Option<Mechanism>, key: u64 } -> ();
    /// `C_Decrypt`.
    81 Decrypt { session: u64, encrypted_data: Bytes, room: Room } -> Output;
    /// `C_DecryptUpdate`.
    82 DecryptUpdate { session: u64, encrypted_part: Bytes, room: Room } -> Output;
    /// `C_DecryptFinal`.
    83 DecryptFinal { session: u64, room: Room } -> Output;

    // Chapter 5.12 message digesting.
    /// `C_DigestInit`.
    90 DigestInit { session: u64, mechanism: Option<Mechanism> } -> ();
    /// `C_Digest`.
    91 Digest { session: u64, data: Bytes, room: Room } -> Output;
    /// `C_DigestUpdate`.
    92 DigestUpdate { session: u64, part: Bytes } -> ();
    /// `C_DigestKey`.
    93 DigestKey { session: u64, key: u64 } -> ();
    /// `C_DigestFinal`.
    94 DigestFinal { session: u64, room: Room } -> Output;

    // Chapter 5.13 signing and MACing.
    /// `C_SignInit`.
    100 SignInit { session: u64, mechanism: Option<Mechanism>, key: u64 } -> ();
    /// `C_Sign`.
    101 Sign { session: u64, data: Bytes, room: Room } -> Output;
    /// `C_SignUpdate`.
    102 SignUpdate { session: u64, part: Bytes } -> ();
    /// `C_SignFinal`.
    103 SignFinal { session: u64, room: Room } -> Output;
    /// `C_SignRecoverInit`.
    104 SignRecoverInit { session: u64, mechanism: Option<Mechanism>, key: u64 } -> ();
    /// `C_SignRecover`.
    105 SignRecover { session: u64, data: Bytes, room: Room } -> Output;

    // Chapter 5.15 verifying signatures and MACs.
    /// `C_VerifyInit`.
    110 VerifyInit { session: u64, mechanism: Option<Mechanism>, key: u64 } -> ();
    /// `C_Verify`.
    111 Verify { session: u64, data: Bytes, signature: Bytes } -> ();
    /// `C_VerifyUpdate`.
    112 VerifyUpdate { session: u64, part: Bytes } -> ();
    /// `C_VerifyFinal`.
    113 VerifyFinal { session: u64, signature: Bytes } -> ();
    /// `C_VerifyRecoverInit`.
    114 VerifyRecoverInit { session: u64, mechanism: Option<Mechanism>, key: u64 } -> ();
    /// `C_VerifyRecover`.
    115 VerifyRecover { session: u64, signature: Bytes, room: Room } -> Output;

    // Chapter 5.17 dual-function cryptographic functions.
    /// `C_DigestEncryptUpdate`.
    120 DigestEncryptUpdate { session: u64, part: Bytes, room: Room } -> Output;
    /// `C_DecryptDigestUpdate`.
    121 DecryptDigestUpdate { session: u64, encrypted_part: Bytes, room: Room } -> Output;
    /// `C_SignEncryptUpdate`.
    122 SignEncryptUpdate { session: u64, part: Bytes, room: Room } -> Output;
    /// `C_DecryptVerifyUpdate`.
    123 DecryptVerifyUpdate { session: u64, encrypted_part: Bytes, room: Room } -> Output;

    // Chapter 5.18 key management.
    /// `C_GenerateKey`.
    130 GenerateKey { session: u64, mechanism: Mechanism, template: Template } -> u64;
    /// `C_GenerateKeyPair`: the handles of the public and the private key.
    131 GenerateKeyPair { session: u64, mechanism: Mechanism, public_key_template: Template, private_key_template: Template } -> (u64, u64);
    /// `C_WrapKey`.
    132 WrapKey { session: u64, mechanism: Mechanism, wrapping_key: u64, key: u64, room: Room } -> Output;
    /// `C_UnwrapKey`.
    133 UnwrapKey { session: u64, mechanism: Mechanism, unwrapping_key: u64, wrapped_key: Bytes, template: Template } -> u64;
    /// `C_DeriveKey`.
    134 DeriveKey { session: u64, mechanism: Mechanism, base_key: u64, template: Template } -> Derived;

    // Chapter 5.19 random number generation.
    /// `C_SeedRandom`.
    140 SeedRandom { session: u64, seed: Bytes } -> ();
    /// `C_GenerateRandom`.
    141 GenerateRandom { session: u64, length: u64 } -> Bytes;

    // Two or three functions in one exchange, for a module that already knows that the Init will be admitted.
    // They leave the session as the functions would one after the other.
    /// `C_EncryptInit` and `C_Encrypt`.
    200 EncryptOnce { session: u64, mechanism: Mechanism, key: u64, data: Bytes, room: Room } -> Output;
    /// `C_DecryptInit` and `C_Decrypt`.
    201 DecryptOnce { session: u64, mechanism: Mechanism, key: u64, encrypted_data: Bytes, room: Room } -> Output;
    /// `C_DigestInit` and `C_Digest`.
    202 DigestOnce { session: u64, mechanism: Mechanism, data: Bytes, room: Room } -> Output;
    /// `C_SignInit` and `C_Sign`.
    203 SignOnce { session: u64, mechanism: Mechanism, key: u64, data: Bytes, room: Room } -> Output;
    /// `C_VerifyInit` and `C_Verify`.
    204 VerifyOnce { session: u64, mechanism: Mechanism, key: u64, data: Bytes, signature: Bytes } -> ();
    /// `C_FindObjectsInit` and `C_FindObjects`; with the last object also `C_FindObjectsFinal`.
    205 FindFirst { session: u64, template: Template, max: u64 } -> Found;

    // How data of more than a frame travels; `operation` is `CKF_*` as in `C_SessionCancel`.
    /// What is to come in Update calls: `length` bytes, of a one-shot call (with its Final) or a part. Data means that it
    /// may come, a length or too little room that it may not.
    206 Announce { session: u64, operation: u64, length: u64, one_shot: bool, room: Room } -> Output;
    /// The output of a Final that answered with its length though there was room, from an offset on.
    207 Rest { session: u64, operation: u64, offset: u64 } -> Output;

    /// Asks leave to share so many bytes of memory, a multiple of 4096, and ends what was shared before. With leave, the
    /// next request is [`Attach`].
    208 Share { bytes: u64 } -> ();
    /// Shares the memory whose descriptor comes with this request (`SCM_RIGHTS`): a memfd of exactly that size, sealed
    /// against shrinking and growing and open to further seals.
    209 Attach {} -> ();

    // Over a restart of the daemon.
    /// A ticket that brings the application's sessions and logins back when the daemon has been started anew, behind the
    /// number of the application's state that it is of (u64, little endian; of two the higher holds); the number alone
    /// when there is none to be had. `session` is one of the application's, or 0.
    210 GetResumption { session: u64 } -> Bytes;
    /// Goes on with what the ticket tells of, in an application that has no session yet.
    211 Resume { ticket: Bytes } -> ();
    /// `C_OpenSession`: the session's handle, and the ticket that [`GetResumption`] would give then.
    212 OpenResumable { slot: u64, flags: u64 } -> (u64, Bytes);
    /// `C_CloseSession`: the ticket that [`GetResumption`] would give then.
    213 CloseResumable { session: u64 } -> Bytes;

    // How short frames travel.
    /// As [`Attach`], for memory of [`MAILBOX_BYTES`](crate::mailbox::MAILBOX_BYTES) that becomes the connection's
    /// [mailbox](crate::mailbox), from the next request on and until the connection ends.
    214 AttachMailbox {} -> ();
}

/// A call with data of a caller, which may be long and then [travels in memory](crate::frame::IN_MEMORY).
pub trait Bulk: Call {
    /// The data.
    fn data(&mut self) -> &mut Bytes;
}

macro_rules! bulk {
    ($($name:ident.$field:ident)*) => {
        $(impl Bulk for $name {
            fn data(&mut self) -> &mut Bytes {
                &mut self.$field
            }
        })*

        /// The numbers of all [`Bulk`] calls.
        pub const BULK: &[u16] = &[$($name::NUMBER),*];
    };
}

bulk! {
    Encrypt.data EncryptUpdate.part EncryptOnce.data
    Decrypt.encrypted_data DecryptUpdate.encrypted_part DecryptOnce.encrypted_data
    Digest.data DigestUpdate.part DigestOnce.data
    Sign.data SignUpdate.part SignOnce.data
    Verify.data VerifyUpdate.part VerifyOnce.data
}

/// The first objects that a search finds, with what applications ask next.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Found {
    /// Handles, in the order of `C_FindObjects`, each with some of its attributes.
    pub objects: Vec<(u64, Template)>,
    /// There are more, and the search goes on.
    pub more: bool,
}

/// `CK_SLOT_INFO`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SlotInfo {
    /// At most 64 bytes of UTF-8; the module pads with blanks.
    pub description: String,
    /// At most 32 bytes of UTF-8.
    pub manufacturer: String,
    /// `CKF_TOKEN_PRESENT` and its like.
    pub flags: u64,
    /// Major and minor.
    pub hardware_version: (u8, u8),
    /// Major and minor.
    pub firmware_version: (u8, u8),
}

/// `CK_TOKEN_INFO`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TokenInfo {
    /// At most 32 bytes.
    pub label: Bytes,
    /// At most 32 bytes of UTF-8.
    pub manufacturer: String,
    /// At most 16 bytes of UTF-8.
    pub model: String,
    /// At most 16 bytes of UTF-8.
    pub serial_number: String,
    /// `CKF_TOKEN_INITIALIZED` and its like.
    pub flags: u64,
    /// Sessions one application may have open; 0 is "no limit worth naming" (`CK_EFFECTIVELY_INFINITE`).
    pub max_session_count: u64,
    /// Sessions this application has open.
    pub session_count: u64,
    /// As `max_session_count`, for read-write sessions.
    pub max_rw_session_count: u64,
    /// Read-write sessions this application has open.
    pub rw_session_count: u64,
    /// Longest PIN, in bytes.
    pub max_pin_len: u64,
    /// Shortest PIN, in bytes.
    pub min_pin_len: u64,
    /// Major and minor.
    pub hardware_version: (u8, u8),
    /// Major and minor.
    pub firmware_version: (u8, u8),
    /// `YYYYMMDDhhmmssxx` when `CKF_CLOCK_ON_TOKEN` is set.
    pub utc_time: [u8; 16],
}

/// `CK_MECHANISM_INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct MechanismInfo {
    /// Smallest key, in the unit the standard gives the mechanism (bits or bytes).
    pub min_key_size: u64,
    /// Largest key, same unit.
    pub max_key_size: u64,
    /// `CKF_SIGN` and its like.
    pub flags: u64,
}

/// `CK_SESSION_INFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SessionInfo {
    /// Slot of the session.
    pub slot: u64,
    /// `CKS_RO_PUBLIC_SESSION` and its like.
    pub state: u64,
    /// `CKF_RW_SESSION`, `CKF_SERIAL_SESSION`.
    pub flags: u64,
    /// Always 0.
    pub device_error: u64,
}

/// What `C_DeriveKey` gives back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Derived {
    /// The derived key; 0 for mechanisms that return their keys in the parameter.
    pub key: u64,
    /// Further key handles, in the order of the mechanism's parameter (`CK_SSL3_KEY_MAT_OUT`, SP800-108).
    pub further_keys: Vec<u64>,
    /// Further data, in the order of the mechanism's parameter (IVs, the client version of a master key derive).
    pub data: Vec<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_read_where_it_stands() {
        for (output, wanted) in [
            (Output::Data(Bytes::from(b"data")), OutputRef::Data(b"data")),
            (Output::Length(7), OutputRef::Length(7)),
            (Output::TooSmall(8), OutputRef::TooSmall(8)),
            (Output::Placed(9), OutputRef::Placed(9)),
        ] {
            let encoded = crate::codec::encode(&output).unwrap();
            assert_eq!(crate::codec::decode_in_place::<OutputRef>(&encoded), Ok(wanted));
        }
        let lies = [0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(crate::codec::decode_in_place::<OutputRef>(&lies), Err(crate::codec::Malformed));
    }

    #[test]
    fn numbers_are_unique_and_rise() {
        assert!(CALLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
