//! The mechanisms that the key service uses, and those that it has and PKCS#11 has not.

use claviger_protocol::mechanism::{self, Cipher as BlockCipher, Hash, MechanismRow, Mode, Profiles, Recipe};
use claviger_protocol::params::Shape;
use claviger_protocol::{KeyType, MechanismType};

use crate::error::{Error, Result};

/// The row of a mechanism of PKCS#11.
pub(super) fn row(r#type: MechanismType) -> Result<&'static MechanismRow> {
    mechanism::mechanism(r#type).ok_or(Error::MechanismInvalid)
}

/// Mechanisms of the key service alone: PKCS#11 has none of SM4 and SM3.
pub(super) static SM4_GCM: MechanismRow = sm4(1, Mode::Gcm, Shape::Gcm);
pub(super) static SM4_CBC: MechanismRow = sm4(2, Mode::Cbc, Shape::Bytes);
pub(super) static SM4_CTR: MechanismRow = sm4(3, Mode::Ctr, Shape::Ctr);
pub(super) static SM3_HMAC: MechanismRow = MechanismRow {
    r#type: MechanismType(KEY_SERVICE_MECHANISM | 4),
    recipe: Recipe::Hmac { hash: Hash::Sm3, general: false },
    key_types: &[KeyType::SM3_HMAC],
    key_sizes: (32, 32),
    flags: 0,
    params: Shape::None,
    profiles: Profiles(0),
};
/// No mechanism of a token has such a number.
const KEY_SERVICE_MECHANISM: u64 = 0xc34c_ff00;
pub(super) const NO_MECHANISM: MechanismType = MechanismType(KEY_SERVICE_MECHANISM);

const fn sm4(number: u64, mode: Mode, params: Shape) -> MechanismRow {
    MechanismRow {
        r#type: MechanismType(KEY_SERVICE_MECHANISM | number),
        recipe: Recipe::Cipher(BlockCipher::Sm4, mode),
        key_types: &[KeyType::SM4],
        key_sizes: (16, 16),
        flags: 0,
        params,
        profiles: Profiles(0),
    }
}
