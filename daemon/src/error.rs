//! What can go wrong, one variant per fact.
//!
//! Each fact is declared once with its return value (all that travels on the PKCS#11 socket), its code on the
//! admin socket, its log level and one sentence for the person. There is no catch-all arm: a new fact states all.

use claviger_protocol::Rv;
use claviger_protocol::admin::Code;
use tracing::Level;

/// The result of anything a caller asked for.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! errors {
    ($($(#[$meta:meta])* $name:ident $({ $($field:ident: $type:ty),* })? => $rv:ident, $code:ident, $level:ident;)*) => {
        /// A fact that stops a call or verb.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[allow(missing_docs, reason = "each variant's sentence is its documentation")]
        pub enum Error {
            $($(#[$meta])* $name $({ $($field: $type),* })?,)*
        }

        impl Error {
            /// The return value of the C_* call.
            pub fn rv(&self) -> Rv {
                match self { $(Error::$name $({ $($field: _),* })? => Rv::$rv,)* }
            }

            /// The code on the admin socket.
            pub fn code(&self) -> Code {
                match self { $(Error::$name $({ $($field: _),* })? => Code::$code,)* }
            }

            /// How loud the log says it.
            pub fn level(&self) -> Level {
                match self { $(Error::$name $({ $($field: _),* })? => Level::$level,)* }
            }

            /// A machine-readable reason: the fact's own name.
            pub fn reason(&self) -> &'static str {
                match self { $(Error::$name $({ $($field: _),* })? => stringify!($name),)* }
            }
        }
    };
}

errors! {
    // Arguments
    #[error("an argument is missing or contradicts another")]
    ArgumentsBad => ARGUMENTS_BAD, InvalidArgument, DEBUG;
    #[error("{message}")]
    InvalidArgument { message: String } => ARGUMENTS_BAD, InvalidArgument, DEBUG;
    #[error("this function is not offered")]
    FunctionNotSupported => FUNCTION_NOT_SUPPORTED, Unimplemented, DEBUG;
    #[error("{what} is not offered")]
    Unimplemented { what: String } => FUNCTION_NOT_SUPPORTED, Unimplemented, DEBUG;

    // Slots and tokens
    #[error("no such slot")]
    SlotIdInvalid => SLOT_ID_INVALID, NotFound, DEBUG;
    #[error("the token in this slot is not initialised")]
    TokenNotInitialized => TOKEN_NOT_RECOGNIZED, FailedPrecondition, DEBUG;
    #[error("the project of the token is disabled")]
    TokenShut => TOKEN_NOT_PRESENT, FailedPrecondition, INFO;
    #[error("the token is write-protected")]
    TokenWriteProtected => TOKEN_WRITE_PROTECTED, FailedPrecondition, DEBUG;
    #[error("there is no token in this slot")]
    TokenNotPresent => TOKEN_NOT_PRESENT, Unavailable, DEBUG;
    #[error("the daemon is sealed; open it with: claviger unseal")]
    Sealed => TOKEN_NOT_PRESENT, Unavailable, INFO;
    #[error("no slot event has happened")]
    NoEvent => NO_EVENT, NotFound, TRACE;
    #[error("the application has ended")]
    Finalized => CRYPTOKI_NOT_INITIALIZED, Unavailable, DEBUG;

    // Sessions
    #[error("no such session")]
    SessionHandleInvalid => SESSION_HANDLE_INVALID, NotFound, DEBUG;
    #[error("the application has as many sessions as it may")]
    SessionCount => SESSION_COUNT, ResourceExhausted, WARN;
    #[error("only serial sessions exist")]
    SessionParallelNotSupported => SESSION_PARALLEL_NOT_SUPPORTED, InvalidArgument, DEBUG;
    #[error("asynchronous sessions are not offered")]
    SessionAsyncNotSupported => SESSION_ASYNC_NOT_SUPPORTED, InvalidArgument, DEBUG;
    #[error("the session is read-only")]
    SessionReadOnly => SESSION_READ_ONLY, FailedPrecondition, DEBUG;
    #[error("a session is open")]
    SessionExists => SESSION_EXISTS, FailedPrecondition, DEBUG;
    #[error("a read-only session is open")]
    SessionReadOnlyExists => SESSION_READ_ONLY_EXISTS, FailedPrecondition, DEBUG;
    #[error("the security officer is logged in, so only read-write sessions open")]
    SessionReadWriteSoExists => SESSION_READ_WRITE_SO_EXISTS, FailedPrecondition, DEBUG;

    // Login and PINs
    #[error("nobody is logged in")]
    UserNotLoggedIn => USER_NOT_LOGGED_IN, Unauthenticated, DEBUG;
    #[error("the user is already logged in")]
    UserAlreadyLoggedIn => USER_ALREADY_LOGGED_IN, FailedPrecondition, DEBUG;
    #[error("another user is logged in")]
    UserAnotherAlreadyLoggedIn => USER_ANOTHER_ALREADY_LOGGED_IN, FailedPrecondition, DEBUG;
    #[error("no such user type")]
    UserTypeInvalid => USER_TYPE_INVALID, InvalidArgument, DEBUG;
    #[error("the user PIN is not set")]
    UserPinNotInitialized => USER_PIN_NOT_INITIALIZED, FailedPrecondition, DEBUG;
    #[error("the PIN is wrong")]
    PinIncorrect => PIN_INCORRECT, Unauthenticated, WARN;
    #[error("the PIN is locked after too many wrong ones")]
    PinLocked => PIN_LOCKED, Unauthenticated, WARN;
    #[error("the PIN has {length} bytes; it must have {min} to {max}")]
    PinLenRange { length: usize, min: usize, max: usize } => PIN_LEN_RANGE, InvalidArgument, DEBUG;
    #[error("the PIN is one that everybody tries first; choose another")]
    PinWeak => PIN_INVALID, InvalidArgument, DEBUG;
    #[error("the PIN has bytes that are not allowed")]
    PinInvalid => PIN_INVALID, InvalidArgument, DEBUG;

    // Objects and templates
    #[error("no such object")]
    ObjectHandleInvalid => OBJECT_HANDLE_INVALID, NotFound, DEBUG;
    #[error("no such attribute on this object")]
    AttributeTypeInvalid => ATTRIBUTE_TYPE_INVALID, InvalidArgument, DEBUG;
    #[error("the value does not fit the attribute")]
    AttributeValueInvalid => ATTRIBUTE_VALUE_INVALID, InvalidArgument, DEBUG;
    #[error("the attribute cannot be set here")]
    AttributeReadOnly => ATTRIBUTE_READ_ONLY, FailedPrecondition, DEBUG;
    #[error("the attribute is not revealed")]
    AttributeSensitive => ATTRIBUTE_SENSITIVE, PermissionDenied, DEBUG;
    #[error("an attribute that must be given is missing")]
    TemplateIncomplete => TEMPLATE_INCOMPLETE, InvalidArgument, DEBUG;
    #[error("the attributes contradict each other")]
    TemplateInconsistent => TEMPLATE_INCONSISTENT, InvalidArgument, DEBUG;
    #[error("the object or its token forbids this")]
    ActionProhibited => ACTION_PROHIBITED, FailedPrecondition, DEBUG;
    #[error("the curve is not offered")]
    CurveNotSupported => CURVE_NOT_SUPPORTED, InvalidArgument, DEBUG;
    #[error("the parameters are no valid domain parameters")]
    DomainParamsInvalid => DOMAIN_PARAMS_INVALID, InvalidArgument, DEBUG;
    #[error("no room for another object")]
    DeviceMemory => DEVICE_MEMORY, ResourceExhausted, WARN;

    // Keys
    #[error("no such key")]
    KeyHandleInvalid => KEY_HANDLE_INVALID, NotFound, DEBUG;
    #[error("no such wrapping key")]
    WrappingKeyHandleInvalid => WRAPPING_KEY_HANDLE_INVALID, NotFound, DEBUG;
    #[error("no such unwrapping key")]
    UnwrappingKeyHandleInvalid => UNWRAPPING_KEY_HANDLE_INVALID, NotFound, DEBUG;
    #[error("the key's type does not fit the mechanism")]
    KeyTypeInconsistent => KEY_TYPE_INCONSISTENT, InvalidArgument, DEBUG;
    #[error("the wrapping key's type does not fit the mechanism")]
    WrappingKeyTypeInconsistent => WRAPPING_KEY_TYPE_INCONSISTENT, InvalidArgument, DEBUG;
    #[error("the unwrapping key's type does not fit the mechanism")]
    UnwrappingKeyTypeInconsistent => UNWRAPPING_KEY_TYPE_INCONSISTENT, InvalidArgument, DEBUG;
    #[error("the key's size does not fit the mechanism")]
    KeySizeRange => KEY_SIZE_RANGE, InvalidArgument, DEBUG;
    #[error("the wrapping key's size does not fit the mechanism")]
    WrappingKeySizeRange => WRAPPING_KEY_SIZE_RANGE, InvalidArgument, DEBUG;
    #[error("the unwrapping key's size does not fit the mechanism")]
    UnwrappingKeySizeRange => UNWRAPPING_KEY_SIZE_RANGE, InvalidArgument, DEBUG;
    #[error("the key may not be used for this")]
    KeyFunctionNotPermitted => KEY_FUNCTION_NOT_PERMITTED, PermissionDenied, DEBUG;
    #[error("{version} is not enabled, current state is: {state}.")]
    VersionNotEnabled { version: String, state: &'static str } => KEY_FUNCTION_NOT_PERMITTED, FailedPrecondition, INFO;
    #[error("{version} is not enabled, current state is: DESTROY_SCHEDULED.")]
    VersionScheduled { version: String } => KEY_HANDLE_INVALID, FailedPrecondition, WARN;
    #[error("the key cannot be wrapped this way")]
    KeyNotWrappable => KEY_NOT_WRAPPABLE, FailedPrecondition, DEBUG;
    #[error("the key is unextractable")]
    KeyUnextractable => KEY_UNEXTRACTABLE, PermissionDenied, DEBUG;
    #[error("the key cannot be digested")]
    KeyIndigestible => KEY_INDIGESTIBLE, FailedPrecondition, DEBUG;
    #[error("the key that the saved state needs is missing")]
    KeyNeeded => KEY_NEEDED, InvalidArgument, DEBUG;
    #[error("the saved state needs no key")]
    KeyNotNeeded => KEY_NOT_NEEDED, InvalidArgument, DEBUG;
    #[error("the key is not the one that the saved state was made with")]
    KeyChanged => KEY_CHANGED, InvalidArgument, DEBUG;
    #[error("the public key is invalid")]
    PublicKeyInvalid => PUBLIC_KEY_INVALID, InvalidArgument, DEBUG;
    #[error("the wrapped key is invalid")]
    WrappedKeyInvalid => WRAPPED_KEY_INVALID, InvalidArgument, DEBUG;
    #[error("the wrapped key has a wrong length")]
    WrappedKeyLenRange => WRAPPED_KEY_LEN_RANGE, InvalidArgument, DEBUG;

    // Operations
    #[error("the mechanism is not offered here")]
    MechanismInvalid => MECHANISM_INVALID, InvalidArgument, DEBUG;
    #[error("the mechanism's parameter is wrong")]
    MechanismParamInvalid => MECHANISM_PARAM_INVALID, InvalidArgument, DEBUG;
    #[error("an operation is active")]
    OperationActive => OPERATION_ACTIVE, FailedPrecondition, DEBUG;
    #[error("no operation is active")]
    OperationNotInitialized => OPERATION_NOT_INITIALIZED, FailedPrecondition, DEBUG;
    #[error("the data is invalid")]
    DataInvalid => DATA_INVALID, InvalidArgument, DEBUG;
    #[error("the data has a wrong length")]
    DataLenRange => DATA_LEN_RANGE, InvalidArgument, DEBUG;
    #[error("the encrypted data is invalid")]
    EncryptedDataInvalid => ENCRYPTED_DATA_INVALID, InvalidArgument, DEBUG;
    #[error("the encrypted data has a wrong length")]
    EncryptedDataLenRange => ENCRYPTED_DATA_LEN_RANGE, InvalidArgument, DEBUG;
    #[error("the tag does not authenticate the data")]
    AeadDecryptFailed => AEAD_DECRYPT_FAILED, InvalidArgument, DEBUG;
    #[error("the signature is invalid")]
    SignatureInvalid => SIGNATURE_INVALID, InvalidArgument, DEBUG;
    #[error("the signature has a wrong length")]
    SignatureLenRange => SIGNATURE_LEN_RANGE, InvalidArgument, DEBUG;
    #[error("the operation's state cannot be saved")]
    StateUnsaveable => STATE_UNSAVEABLE, FailedPrecondition, DEBUG;
    #[error("the saved state is invalid")]
    SavedStateInvalid => SAVED_STATE_INVALID, InvalidArgument, DEBUG;
    #[error("the random generator takes no seed")]
    RandomSeedNotSupported => RANDOM_SEED_NOT_SUPPORTED, Unimplemented, DEBUG;

    // Key service
    #[error("{resource} does not exist")]
    NotFound { resource: String } => OBJECT_HANDLE_INVALID, NotFound, DEBUG;
    #[error("the project {project} is disabled: projects enable opens it again")]
    ProjectShut { project: String } => TOKEN_NOT_PRESENT, FailedPrecondition, INFO;
    #[error("{resource} belongs to {service}, which alone may do this")]
    Managed { resource: String, service: String } => ACTION_PROHIBITED, FailedPrecondition, INFO;
    #[error("{resource} already exists")]
    AlreadyExists { resource: String } => ATTRIBUTE_VALUE_INVALID, AlreadyExists, DEBUG;
    #[error("{resource} is protected from deletion: {reason}")]
    Protected { resource: String, reason: String } => ACTION_PROHIBITED, FailedPrecondition, INFO;
    #[error("{resource} is archived: it makes nothing new")]
    Archived { resource: String } => KEY_FUNCTION_NOT_PERMITTED, FailedPrecondition, INFO;
    #[error("{resource} is bound to {bindings}: unbind it, or destroy it with force-bound")]
    Bound { resource: String, bindings: String } => ACTION_PROHIBITED, FailedPrecondition, INFO;
    #[error("{message}")]
    FailedPrecondition { message: String } => ACTION_PROHIBITED, FailedPrecondition, DEBUG;
    #[error("{resource} has value {state} in field {field}.")]
    WrongState { resource: String, field: &'static str, state: &'static str } => KEY_FUNCTION_NOT_PERMITTED, FailedPrecondition, DEBUG;
    #[error("{version} was not imported: {reason}")]
    ImportRefused { version: String, reason: &'static str } => WRAPPED_KEY_INVALID, InvalidArgument, INFO;
    #[error("{principal} may not {action} on {resource}")]
    PermissionDenied { principal: String, action: String, resource: String } => ACTION_PROHIBITED, PermissionDenied, WARN;
    #[error("the etag given is not the resource's: it has changed since it was read")]
    Aborted => FUNCTION_FAILED, Aborted, DEBUG;

    // Inside the daemon
    #[error("the store cannot take the change: {detail}")]
    StoreRefused { detail: String } => DEVICE_ERROR, Internal, ERROR;
    #[error("too many {what}; try again later")]
    TooMany { what: &'static str } => DEVICE_MEMORY, ResourceExhausted, WARN;
    #[error("the memory for private keys is full: secure_heap_bytes in the configuration sets more apart")]
    SecureHeapFull => DEVICE_MEMORY, ResourceExhausted, ERROR;
    #[error("there is no space left in the store")]
    StoreFull => DEVICE_MEMORY, ResourceExhausted, ERROR;
    #[error("something failed inside the daemon; its log says what")]
    Internal { detail: String } => GENERAL_ERROR, Internal, ERROR;
}

impl From<openssl::error::ErrorStack> for Error {
    fn from(stack: openssl::error::ErrorStack) -> Self {
        // crypto.h, cryptoerr.h: ERR_LIB_CRYPTO, CRYPTO_R_SECURE_MALLOC_FAILURE.
        const SECURE_MALLOC_FAILURE: (i32, i32) = (15, 111);
        let is_full = |error: &openssl::error::Error| {
            (error.library_code(), error.reason_code()) == SECURE_MALLOC_FAILURE
        };
        match stack.errors().iter().any(is_full) {
            true => Error::SecureHeapFull,
            false => Error::Internal { detail: format!("OpenSSL: {stack}") },
        }
    }
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        match error {
            crate::store::Error::NoSpace { .. } => Error::StoreFull,
            error => Error::StoreRefused { detail: error.to_string() },
        }
    }
}
