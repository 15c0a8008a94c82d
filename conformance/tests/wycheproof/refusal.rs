//! Who refused a vector, and whether what it said tells the caller what is wrong.

use claviger_protocol::Rv;

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// By the token.
    Token {
        /// The C_* function, without `C_`.
        function: &'static str,
        /// Its return value.
        rv: Rv,
    },
    /// By the caller, because the vector's encoding has no counterpart in PKCS#11: the reason.
    Caller(&'static str),
    /// C_Decrypt gave another message than the vector's: what implicit rejection does with bad PKCS #1 padding
    /// (draft-irtf-cfrg-rsa-guidance), so that padding errors cannot be told from other messages.
    AnotherMessage,
}

/// What an operation gave: its output, or the refusal.
pub type Answer = Result<Vec<u8>, Refusal>;

/// The return values that name a fault in the input, by function. Anything else, such as a bad handle or
/// `CKR_DEVICE_ERROR`, would be a fault of this test or of the daemon that happened to look like a refusal.
const PROPER: &[(&str, &[Rv])] = &[
    (
        "CreateObject",
        &[Rv::ATTRIBUTE_VALUE_INVALID, Rv::TEMPLATE_INCONSISTENT, Rv::PUBLIC_KEY_INVALID, Rv::KEY_SIZE_RANGE],
    ),
    ("EncryptInit", &[Rv::MECHANISM_PARAM_INVALID, Rv::KEY_SIZE_RANGE]),
    ("Encrypt", &[Rv::DATA_LEN_RANGE, Rv::DATA_INVALID]),
    ("DecryptInit", &[Rv::MECHANISM_PARAM_INVALID, Rv::KEY_SIZE_RANGE]),
    ("Decrypt", &[Rv::ENCRYPTED_DATA_INVALID, Rv::ENCRYPTED_DATA_LEN_RANGE, Rv::AEAD_DECRYPT_FAILED]),
    ("SignInit", &[Rv::MECHANISM_PARAM_INVALID, Rv::KEY_SIZE_RANGE]),
    ("VerifyInit", &[Rv::MECHANISM_PARAM_INVALID, Rv::KEY_SIZE_RANGE]),
    ("Verify", &[Rv::SIGNATURE_INVALID, Rv::SIGNATURE_LEN_RANGE]),
    ("WrapKey", &[Rv::KEY_SIZE_RANGE, Rv::KEY_NOT_WRAPPABLE]),
    ("UnwrapKey", &[Rv::WRAPPED_KEY_INVALID, Rv::WRAPPED_KEY_LEN_RANGE]),
    (
        "DeriveKey",
        &[
            Rv::MECHANISM_PARAM_INVALID,
            Rv::PUBLIC_KEY_INVALID,
            Rv::KEY_SIZE_RANGE,
            Rv::TEMPLATE_INCONSISTENT,
            Rv::ATTRIBUTE_VALUE_INVALID,
        ],
    ),
    ("GenerateKey", &[Rv::MECHANISM_PARAM_INVALID, Rv::KEY_SIZE_RANGE, Rv::ATTRIBUTE_VALUE_INVALID]),
];

impl Refusal {
    /// True when it names a fault in the input.
    pub fn is_proper(&self) -> bool {
        match self {
            Refusal::Token { function, rv } => {
                PROPER.iter().any(|(name, values)| name == function && values.contains(rv))
            }
            Refusal::Caller(_) | Refusal::AnotherMessage => true,
        }
    }

    /// True for this return value of a token.
    pub fn is(&self, value: Rv) -> bool {
        matches!(self, Refusal::Token { rv, .. } if *rv == value)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Token { function, rv } => write!(f, "C_{function} {rv}"),
            Refusal::Caller(reason) => write!(f, "before the token ({reason})"),
            Refusal::AnotherMessage => f.write_str("C_Decrypt another message"),
        }
    }
}
