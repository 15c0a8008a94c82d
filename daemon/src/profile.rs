//! What a token profile demands beyond the standard. Every function that makes, changes or uses keys asks here, so
//! that the rules of `strict` stand in one place; the mechanisms of a profile are in table 3.
//!
//! The attacks that the rules answer: a key that wraps and decrypts gives away what it wrapped (Clulow, CHES 2003);
//! so does one whose usage is switched in between, or that comes back in another role; a wrapping key that the
//! attacker knows gives away all it wraps; a weak one, or one that wraps under a repeated nonce, gives away more
//! than it should; a derived value that can be computed in another way is no secret. Delaune, Kremer and Steel
//! (JCS 2010) and Bortolozzo et al. (CCS 2010) have them all.

use claviger_protocol::AttributeType as A;
use claviger_protocol::mechanism::{self, MechanismRow, Mode, Profiles, Recipe};
use claviger_protocol::object::{KeyType, ObjectClass};
use claviger_protocol::params::Params;
use claviger_protocol::template::{FlatAttribute, FlatValue, Value};

use crate::attributes::Attributes;
use crate::error::{Error, Result};
use crate::kms::record::Profile;
use crate::template::{Built, Origin};

/// The usage flags, each with its bit in [`HELD`]. Numbers in the store.
const ROLES: [(A, u64); 11] = [
    (A::ENCRYPT, 1 << 0),
    (A::DECRYPT, 1 << 1),
    (A::SIGN, 1 << 2),
    (A::SIGN_RECOVER, 1 << 3),
    (A::VERIFY, 1 << 4),
    (A::VERIFY_RECOVER, 1 << 5),
    (A::WRAP, 1 << 6),
    (A::UNWRAP, 1 << 7),
    (A::DERIVE, 1 << 8),
    (A::ENCAPSULATE, 1 << 9),
    (A::DECAPSULATE, 1 << 10),
];

/// Roles that a key had and no longer has, as bits of [`ROLES`]. Kept with the attributes, and since table 4 has no
/// row of it, neither shown to nor taken from anybody.
const HELD: A = A(A::VENDOR_DEFINED.0 | 0x636c_0001);

const ENCRYPT: u64 = 1 << 0;
const DECRYPT: u64 = 1 << 1;
const SIGN: u64 = 1 << 2 | 1 << 3;
const VERIFY: u64 = 1 << 4 | 1 << 5;
const WRAP: u64 = 1 << 6;
const UNWRAP: u64 = 1 << 7;
const DERIVE: u64 = 1 << 8;
const ENCAPSULATE: u64 = 1 << 9;
const DECAPSULATE: u64 = 1 << 10;

/// A pair of sets of roles that one key may never both have had in `strict`, and the keys that this holds for.
struct Conflict {
    one: u64,
    other: u64,
    applies: fn(ObjectClass, Option<KeyType>) -> bool,
}

const CONFLICTS: &[Conflict] = &[
    // What protects keys does nothing else.
    Conflict {
        one: WRAP | UNWRAP,
        other: ENCRYPT | DECRYPT | SIGN | VERIFY | DERIVE | ENCAPSULATE | DECAPSULATE,
        applies: |_, _| true,
    },
    // A signature of RSA is a decryption.
    Conflict {
        one: SIGN,
        other: DECRYPT,
        applies: |class, key_type| class == ObjectClass::PRIVATE_KEY && key_type == Some(KeyType::RSA),
    },
    // What is derived with a cipher or a MAC can be computed with the same cipher or MAC.
    Conflict {
        one: DERIVE,
        other: ENCRYPT | DECRYPT | SIGN | VERIFY,
        applies: |class, _| class == ObjectClass::SECRET_KEY,
    },
];

/// Shortest key that is derived from one that may not be read, and shortest key that is digested, in bits: what
/// is shorter can be found by trying, and the next longer one after it.
pub const MIN_BITS: u64 = 128;

impl Profile {
    /// Its bit in table 3.
    pub fn bit(self) -> Profiles {
        match self {
            Profile::Standard => Profiles::STANDARD,
            Profile::Strict => Profiles::STRICT,
            Profile::Legacy => Profiles::LEGACY,
        }
    }

    fn is_strict(self) -> bool {
        self == Profile::Strict
    }
}

/// Completes and judges a new object; `demanded` is the template that the unwrapping or base key brings.
///
/// # Errors
/// `TemplateInconsistent` for what the profile does not let one key be.
pub fn judge_new(
    profile: Profile,
    built: &mut Built,
    origin: Origin,
    silent_on_usage: bool,
    demanded: &[FlatAttribute],
) -> Result<()> {
    let class = built.class()?;
    if !profile.is_strict() || !is_key(class) {
        return Ok(());
    }
    let attributes = &mut built.attributes;
    if silent_on_usage && roles(attributes) & (SIGN | VERIFY) != 0 && class != ObjectClass::SECRET_KEY {
        // One natural role.
        for r#type in [A::ENCRYPT, A::DECRYPT, A::DERIVE] {
            if attributes.is_true(r#type) {
                attributes.set(r#type, Value::Bool(false));
            }
        }
    }
    check_roles(attributes)?;
    if class == ObjectClass::PUBLIC_KEY {
        return Ok(());
    }
    let extractable = attributes.is_true(A::EXTRACTABLE);
    // It could come back in another role.
    if extractable && roles(attributes) & (WRAP | UNWRAP) != 0 {
        return Err(Error::TemplateInconsistent);
    }
    if origin == Origin::Unwrap {
        let allowed = demanded.iter().any(|a| a.r#type == A::EXTRACTABLE && a.value == FlatValue::Bool(true));
        if !attributes.is_true(A::SENSITIVE) || extractable && !allowed {
            return Err(Error::TemplateInconsistent);
        }
    }
    if extractable && origin != Origin::Create && built.given.value(A::WRAP_WITH_TRUSTED).is_none() {
        attributes.set(A::WRAP_WITH_TRUSTED, Value::Bool(true));
    }
    Ok(())
}

/// Judges the halves of a pair together: the roles of the public key are undone by the private one.
///
/// # Errors
/// `TemplateInconsistent`.
pub fn judge_pair(profile: Profile, public: &Attributes, private: &Attributes) -> Result<()> {
    let (public, private) = (roles(public), roles(private));
    let undone = public & WRAP != 0 && private & DECRYPT != 0;
    let forged = public & ENCRYPT != 0 && private & UNWRAP != 0;
    if profile.is_strict() && (undone || forged) { Err(Error::TemplateInconsistent) } else { Ok(()) }
}

/// Judges a change or a copy, and notes the roles that were given up.
///
/// # Errors
/// `AttributeReadOnly` for a role that is added, `TemplateInconsistent` for one that goes with no other.
pub fn judge_change(profile: Profile, before: &Attributes, after: &mut Attributes) -> Result<()> {
    let (had, has) = (roles_ever(before), roles(after));
    if profile.is_strict() && after.class().is_some_and(is_key) && has & !roles(before) != 0 {
        return Err(Error::AttributeReadOnly);
    }
    if had & !has != 0 {
        after.set(HELD, Value::Ulong(had & !has));
    }
    Ok(())
}

/// Judges a use of a key, by the usage flag it needs: also keys that are older than the rules obey them.
///
/// # Errors
/// `KeyFunctionNotPermitted`.
pub fn judge_use(profile: Profile, attributes: &Attributes, usage: A) -> Result<()> {
    if !profile.is_strict() {
        return Ok(());
    }
    // What the flag conflicts with decides; other conflicts are not this use's.
    let used = ROLES.iter().filter(|(flag, _)| *flag == usage).fold(0, |bits, (_, bit)| bits | bit);
    let (class, key_type) = (attributes.class().unwrap_or(ObjectClass::DATA), attributes.key_type());
    let ever = roles_ever(attributes);
    let conflicts = CONFLICTS.iter().filter(|conflict| (conflict.applies)(class, key_type)).any(|conflict| {
        used & conflict.one != 0 && ever & conflict.other != 0
            || used & conflict.other != 0 && ever & conflict.one != 0
    });
    if conflicts { Err(Error::KeyFunctionNotPermitted) } else { Ok(()) }
}

/// True for a mechanism that one key may not encrypt with for ever: with random nonces, two of them are the same
/// too soon (NIST SP 800-38D, 8.3). A caller who repeats a nonce cannot be stopped.
pub fn limits_encryptions(profile: Profile, row: &MechanismRow) -> bool {
    profile.is_strict() && matches!(row.recipe, Recipe::Cipher(_, Mode::Gcm))
}

/// A key and what is known of it.
pub struct Subject<'a> {
    /// Its attributes.
    pub attributes: &'a Attributes,
    /// Its size in bits.
    pub bits: u64,
}

/// Judges `wrapping` over `target`.
///
/// # Errors
/// `KeyFunctionNotPermitted` for a wrapping key that somebody else may know, `KeyNotWrappable` for a key that wraps
/// itself, `WrappingKeySizeRange` for a wrapping key that is weaker than what it protects.
pub fn judge_wrap(
    profile: Profile,
    wrapping: &Subject<'_>,
    params: &Params,
    target: &Subject<'_>,
) -> Result<()> {
    if !profile.is_strict() {
        return Ok(());
    }
    if !wrapping.attributes.is_true(A::TRUSTED) && !is_of_the_token(wrapping.attributes) {
        return Err(Error::KeyFunctionNotPermitted);
    }
    if roles_ever(target.attributes) & (WRAP | UNWRAP) != 0 {
        return Err(Error::KeyNotWrappable);
    }
    let inner = match params {
        Params::RsaAesKeyWrap { aes_key_bits, .. } | Params::EcdhAesKeyWrap { aes_key_bits, .. } => {
            *aes_key_bits
        }
        _ => u64::MAX,
    };
    if strength(wrapping).min(inner) < strength(target) {
        return Err(Error::WrappingKeySizeRange);
    }
    Ok(())
}

/// True when `C_DigestKey` may take the key: one that can be read, and is too long to be guessed.
pub fn may_digest(profile: Profile, key: &Subject<'_>) -> bool {
    let readable = !key.attributes.is_true(A::SENSITIVE) && key.attributes.is_true(A::EXTRACTABLE);
    let long = key.bits >= MIN_BITS;
    if profile.is_strict() { readable && long } else { readable || long }
}

/// True when the base key's `CKA_DERIVE_TEMPLATE` lets what is derived from it be what the base is not: readable,
/// or extractable.
pub fn derives_freely(base: &Attributes, r#type: A, protected: bool) -> bool {
    let free = FlatValue::Bool(!protected);
    base.template(A::DERIVE_TEMPLATE).iter().any(|wanted| wanted.r#type == r#type && wanted.value == free)
}

/// Judges a derivation of data, which anybody can read: what it gives may be the value of a key derived otherwise.
///
/// # Errors
/// `KeyFunctionNotPermitted`.
pub fn judge_data_derivation(profile: Profile, base: &Attributes) -> Result<()> {
    let hidden = base.is_true(A::SENSITIVE) && !derives_freely(base, A::SENSITIVE, true);
    if profile.is_strict() && hidden { Err(Error::KeyFunctionNotPermitted) } else { Ok(()) }
}

/// Judges the size of a derived key.
///
/// # Errors
/// `KeySizeRange` for one that may not be read and can be found by trying.
pub fn judge_derived_size(profile: Profile, key: &Subject<'_>) -> Result<()> {
    let too_short = key.attributes.is_true(A::SENSITIVE) && key.bits < MIN_BITS;
    if profile.is_strict() && too_short { Err(Error::KeySizeRange) } else { Ok(()) }
}

/// True for a key whose value came to be in the token and nobody else can have.
fn is_of_the_token(attributes: &Attributes) -> bool {
    let from_password = attributes
        .ulong(A::KEY_GEN_MECHANISM)
        .and_then(|number| mechanism::mechanism(claviger_protocol::MechanismType(number)))
        .is_some_and(|row: &MechanismRow| row.recipe == Recipe::Pbkdf2);
    let secret = attributes.class().is_some_and(|class| class != ObjectClass::PUBLIC_KEY);
    attributes.is_true(A::LOCAL) && secret && !from_password
}

/// Security strength in bits (NIST SP 800-57 part 1, revision 5, tables 2 and 4; FIPS 203 to 205).
fn strength(key: &Subject<'_>) -> u64 {
    let bits = key.bits;
    match key.attributes.key_type().unwrap_or(KeyType(u64::MAX)) {
        KeyType::RSA | KeyType::DSA | KeyType::DH | KeyType::X9_42_DH => match bits {
            15360.. => 256,
            7680.. => 192,
            3072.. => 128,
            2048.. => 112,
            1024.. => 80,
            _ => 0,
        },
        KeyType::EC | KeyType::EC_EDWARDS | KeyType::EC_MONTGOMERY | KeyType::SM2 => match bits {
            512.. => 256,
            384.. => 192,
            // Curve25519's field has 255 bits.
            255.. => 128,
            224.. => 112,
            160.. => 80,
            _ => 0,
        },
        KeyType::DES => 56,
        KeyType::DES2 => 80,
        KeyType::DES3 => 112,
        KeyType::AES_XTS => (bits / 2).min(256),
        KeyType::ML_KEM | KeyType::ML_DSA | KeyType::SLH_DSA => parameter_set_strength(key.attributes),
        _ => bits.min(256),
    }
}

/// By the number of the parameter set (PKCS#11 3.2, `CKP_*`).
fn parameter_set_strength(attributes: &Attributes) -> u64 {
    let set = attributes.ulong(A::PARAMETER_SET).unwrap_or(0);
    match attributes.key_type() {
        Some(KeyType::SLH_DSA) => match set {
            // SHA2 and SHAKE, small and fast, in turns.
            1..=4 => 128,
            5..=8 => 192,
            9..=12 => 256,
            _ => 0,
        },
        _ => match set {
            1 => 128,
            2 => 192,
            3 => 256,
            _ => 0,
        },
    }
}

fn check_roles(attributes: &Attributes) -> Result<()> {
    let (class, key_type) = (attributes.class().unwrap_or(ObjectClass::DATA), attributes.key_type());
    let has = roles(attributes);
    let both = |c: &Conflict| (c.applies)(class, key_type) && has & c.one != 0 && has & c.other != 0;
    if CONFLICTS.iter().any(both) { Err(Error::TemplateInconsistent) } else { Ok(()) }
}

fn is_key(class: ObjectClass) -> bool {
    matches!(class, ObjectClass::PUBLIC_KEY | ObjectClass::PRIVATE_KEY | ObjectClass::SECRET_KEY)
}

fn roles(attributes: &Attributes) -> u64 {
    ROLES.iter().filter(|(flag, _)| attributes.is_true(*flag)).fold(0, |bits, (_, bit)| bits | bit)
}

fn roles_ever(attributes: &Attributes) -> u64 {
    roles(attributes) | attributes.ulong(HELD).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(class: ObjectClass, key_type: KeyType, usage: &[A]) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.set(A::CLASS, Value::Ulong(class.0));
        attributes.set(A::KEY_TYPE, Value::Ulong(key_type.0));
        for flag in usage {
            attributes.set(*flag, Value::Bool(true));
        }
        attributes
    }

    #[test]
    fn roles_that_were_given_up_are_remembered_in_every_profile() {
        let before = key(ObjectClass::SECRET_KEY, KeyType::AES, &[A::WRAP]);
        let mut after = key(ObjectClass::SECRET_KEY, KeyType::AES, &[]);
        judge_change(Profile::Standard, &before, &mut after).unwrap();
        let mut again = after.clone();
        again.set(A::DECRYPT, Value::Bool(true));
        judge_change(Profile::Standard, &after, &mut again).unwrap();
        assert!(judge_use(Profile::Standard, &again, A::DECRYPT).is_ok());
        assert!(judge_use(Profile::Strict, &again, A::DECRYPT).is_err(), "it has wrapped");
        assert!(judge_use(Profile::Strict, &after, A::WRAP).is_ok());
    }

    #[test]
    fn strength_follows_sp_800_57() {
        for (key_type, bits, expected) in [
            (KeyType::AES, 128, 128),
            (KeyType::AES, 256, 256),
            (KeyType::GENERIC_SECRET, 512, 256),
            (KeyType::RSA, 2048, 112),
            (KeyType::RSA, 4096, 128),
            (KeyType::RSA, 15360, 256),
            (KeyType::EC, 256, 128),
            (KeyType::EC, 521, 256),
            (KeyType::EC_MONTGOMERY, 255, 128),
            (KeyType::DES3, 192, 112),
        ] {
            let attributes = key(ObjectClass::SECRET_KEY, key_type, &[]);
            assert_eq!(strength(&Subject { attributes: &attributes, bits }), expected, "{key_type} {bits}");
        }
    }

    #[test]
    fn every_usage_flag_of_table_4_is_a_role() {
        use claviger_protocol::attribute::{ATTRIBUTES, USAGE};
        for row in ATTRIBUTES.iter().filter(|row| row.rules.has(USAGE)) {
            assert!(ROLES.iter().any(|(flag, _)| *flag == row.r#type), "{}", row.r#type);
        }
        let bits: Vec<_> = ROLES.iter().map(|(_, bit)| *bit).collect();
        assert!(bits.iter().enumerate().all(|(i, bit)| *bit == 1 << i));
    }
}
