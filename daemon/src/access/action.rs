//! Actions: what a policy allows or denies. The names are those of the audit log; Google's names of permissions mean
//! the same.

use claviger_protocol::admin::VERBS;

/// Prefix that actions have in policy documents.
const PREFIX: &str = "kms:";
/// Prefix that Google's permissions may have.
const GOOGLE_PREFIX: &str = "cloudkms.";

/// The use of an import job, apart from its creation.
pub const USE_IMPORT_JOB: &str = "UseImportJob";
/// Setting PINs, whatever they were.
pub const RESET_TOKEN_PIN: &str = "ResetTokenPin";
/// Seeing that a key ring exists: its name in lists, its token in a slot.
pub const SEE_RING: &str = "ListKeyRings";
/// Seeing that a key exists: its name in lists, its objects in the token.
pub const SEE_KEY: &str = "DescribeKey";

/// Actions that use keys: nobody has them without a grant.
pub const CRYPTOGRAPHY: &[&str] = &[
    "Encrypt",
    "Decrypt",
    "RawEncrypt",
    "RawDecrypt",
    "ReEncrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateAndExportDataKey",
    "AsymmetricSign",
    "AsymmetricVerify",
    "AsymmetricEncrypt",
    "AsymmetricDecrypt",
    "GenerateMac",
    "VerifyMac",
    "Encapsulate",
    "Decapsulate",
    "P11.C_WrapKey",
    "P11.C_UnwrapKey",
    "P11.C_DeriveKey",
];

/// Actions that everybody has who is not denied them: they tell nothing of what is kept.
pub const OPEN: &[&str] = &["GetRegions", "ListAlgorithms", "GenerateRandom"];

/// Actions that change who may do what. An administrator is never denied these, so that a policy that locks
/// everybody out can be put right.
pub const POLICY: &[&str] = &["GetKeyPolicy", "SetKeyPolicy", "TestPermissions"];

/// Actions that no row of table 5 names.
const FURTHER: &[&str] = &[
    USE_IMPORT_JOB,
    "ReimportKeyMaterial",
    "ListAliasesByKeyId",
    "P11.C_Login",
    "P11.C_InitToken",
    "P11.C_InitPIN",
    "P11.C_SetPIN",
];

/// Google's permissions, each as the actions it means.
const GOOGLE: &[(&str, &[&str])] = &[
    ("keyRings.create", &["CreateKeyRing"]),
    ("keyRings.get", &["ListKeyRings"]),
    ("keyRings.list", &["ListKeyRings"]),
    ("keyRings.getIamPolicy", &["GetKeyPolicy"]),
    ("keyRings.setIamPolicy", &["SetKeyPolicy"]),
    ("cryptoKeys.create", &["CreateKey"]),
    ("cryptoKeys.get", &["DescribeKey"]),
    ("cryptoKeys.list", &["ListKey"]),
    (
        "cryptoKeys.update",
        &["UpdateKey", "UpdateKeyPrimaryVersion", "EnableKeyRotation", "DisableKeyRotation"],
    ),
    ("cryptoKeys.getIamPolicy", &["GetKeyPolicy"]),
    ("cryptoKeys.setIamPolicy", &["SetKeyPolicy"]),
    (
        "cryptoKeyVersions.create",
        &["CreateKeyVersion", "RotateKey", "ImportKeyMaterial", "ReimportKeyMaterial"],
    ),
    ("cryptoKeyVersions.get", &["DescribeKeyVersion"]),
    ("cryptoKeyVersions.list", &["ListKeyVersions"]),
    ("cryptoKeyVersions.update", &["EnableKeyVersion", "DisableKeyVersion", "EnableKey", "DisableKey"]),
    ("cryptoKeyVersions.destroy", &["ScheduleKeyDeletion"]),
    ("cryptoKeyVersions.restore", &["CancelKeyDeletion"]),
    ("cryptoKeyVersions.useToEncrypt", &["Encrypt", "RawEncrypt", "GenerateDataKey"]),
    ("cryptoKeyVersions.useToDecrypt", &["Decrypt", "RawDecrypt", "AsymmetricDecrypt"]),
    ("cryptoKeyVersions.useToSign", &["AsymmetricSign", "GenerateMac"]),
    ("cryptoKeyVersions.useToVerify", &["AsymmetricVerify", "VerifyMac"]),
    ("cryptoKeyVersions.useToDecapsulate", &["Decapsulate"]),
    ("cryptoKeyVersions.viewPublicKey", &["GetPublicKey"]),
    ("importJobs.create", &["CreateImportJob"]),
    ("importJobs.get", &["GetImportJob"]),
    ("importJobs.list", &["ListImportJobs"]),
    ("importJobs.useToImport", &[USE_IMPORT_JOB]),
    ("importJobs.getIamPolicy", &["GetKeyPolicy"]),
    ("importJobs.setIamPolicy", &["SetKeyPolicy"]),
    ("locations.get", &["GetRegions"]),
    ("locations.list", &["GetRegions"]),
    ("locations.generateRandomBytes", &["GenerateRandom"]),
];

/// Every action, in no order; some come twice.
pub fn all() -> impl Iterator<Item = &'static str> {
    let verbs = VERBS.iter().map(|verb| verb.action);
    verbs.chain(CRYPTOGRAPHY.iter().chain(OPEN).chain(POLICY).chain(FURTHER).copied())
}

/// One action, or all that begin with something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Exactly this one.
    One(&'static str),
    /// All with this beginning.
    Beginning(String),
}

impl Pattern {
    /// Reads `kms:Encrypt`, `Encrypt`, `kms:List*`, `*` or one of Google's permissions.
    pub fn parse(text: &str) -> Option<Vec<Pattern>> {
        let name = text.strip_prefix(PREFIX).unwrap_or(text);
        if let Some(beginning) = name.strip_suffix('*') {
            let known = all().any(|action| action.starts_with(beginning));
            return known.then(|| vec![Pattern::Beginning(beginning.to_owned())]);
        }
        if let Some(action) = all().find(|action| *action == name) {
            return Some(vec![Pattern::One(action)]);
        }
        let google = name.strip_prefix(GOOGLE_PREFIX).unwrap_or(name);
        let (_, actions) = GOOGLE.iter().find(|(permission, _)| *permission == google)?;
        Some(actions.iter().map(|action| Pattern::One(action)).collect())
    }

    /// True when the action is one of these.
    pub fn matches(&self, action: &str) -> bool {
        match self {
            Pattern::One(one) => *one == action,
            Pattern::Beginning(beginning) => action.starts_with(beginning.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_by_our_names_and_by_google_s() {
        let one = |action| Some(vec![Pattern::One(action)]);
        assert_eq!(Pattern::parse("kms:Encrypt"), one("Encrypt"));
        assert_eq!(Pattern::parse("Encrypt"), one("Encrypt"));
        assert_eq!(Pattern::parse("cloudkms.importJobs.useToImport"), one("UseImportJob"));
        assert_eq!(Pattern::parse("importJobs.create"), one("CreateImportJob"));
        assert_eq!(Pattern::parse("cryptoKeyVersions.destroy"), one("ScheduleKeyDeletion"));
        assert_eq!(Pattern::parse("cryptoKeyVersions.restore"), one("CancelKeyDeletion"));
        let list = Pattern::parse("kms:List*").unwrap().remove(0);
        assert!(list.matches("ListKey") && list.matches("ListKeyRings") && !list.matches("CreateKey"));
        assert!(Pattern::parse("*").unwrap()[0].matches("AsymmetricSign"));
        for unknown in ["", "kms:", "encrypt", "kms:Encypt", "Lst*", "*Key", "cloudkms.keys.fly"] {
            assert_eq!(Pattern::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn google_s_permissions_mean_actions_that_there_are() {
        for (permission, actions) in GOOGLE {
            for action in *actions {
                assert!(all().any(|known| known == *action), "{permission}: {action}");
            }
        }
    }
}
