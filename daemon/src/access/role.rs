//! Built-in roles: ready-made sets of actions.

/// A built-in role.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    /// `kms.admin`.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Other names of the same.
    pub synonyms: &'static [&'static str],
    /// What it allows.
    pub actions: &'static [&'static str],
    /// Roles that it includes.
    pub includes: &'static [&'static str],
}

/// What users and signers see of a key.
const SEEING: [&str; 5] =
    ["DescribeKey", "DescribeKeyVersion", "ListKeyVersions", "ListAliasesByKeyId", "GetPublicKey"];

/// The roles.
pub const ROLES: &[Role] = &[
    Role {
        name: "kms.admin",
        about: "Manages keys; does no cryptography with them",
        synonyms: &["roles/cloudkms.admin", "roles/owner"],
        actions: &[
            "List*",
            "Describe*",
            "Create*",
            "Enable*",
            "Disable*",
            "Get*",
            "Set*",
            "Update*",
            "Delete*",
            "Cancel*",
            "TagResource",
            "UntagResource",
            "ImportKeyMaterial",
            "ReimportKeyMaterial",
            "ScheduleKeyDeletion",
            "RotateKey",
            "ArchiveKey",
            "BindCloudResource",
            "UnbindCloudResource",
            "TestPermissions",
        ],
        includes: &[],
    },
    Role {
        name: "kms.user",
        about: "Encrypts and decrypts, also data keys",
        synonyms: &["roles/cloudkms.cryptoKeyEncrypterDecrypter"],
        actions: &[
            "Encrypt",
            "Decrypt",
            "RawEncrypt",
            "RawDecrypt",
            "ReEncrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "GenerateAndExportDataKey",
            "AsymmetricEncrypt",
            "AsymmetricDecrypt",
            "Encapsulate",
            "Decapsulate",
            "TagResource",
            SEEING[0],
            SEEING[1],
            SEEING[2],
            SEEING[3],
            SEEING[4],
        ],
        includes: &[],
    },
    Role {
        name: "kms.signer",
        about: "Signs and verifies, also MACs",
        synonyms: &["roles/cloudkms.signerVerifier"],
        actions: &[
            "AsymmetricSign",
            "AsymmetricVerify",
            "GenerateMac",
            "VerifyMac",
            SEEING[0],
            SEEING[1],
            SEEING[2],
            SEEING[3],
            SEEING[4],
        ],
        includes: &[],
    },
    Role {
        name: "kms.crypto",
        about: "All cryptography: kms.user, kms.signer, and wrapping, unwrapping and deriving keys by PKCS#11",
        synonyms: &[],
        actions: &["P11.C_WrapKey", "P11.C_UnwrapKey", "P11.C_DeriveKey"],
        includes: &["kms.user", "kms.signer"],
    },
    Role {
        name: "kms.importer",
        about: "Creates import jobs and keys, and imports through the jobs",
        synonyms: &["roles/cloudkms.importer"],
        actions: &["CreateImportJob", "UseImportJob", "GetImportJob", "ListImportJobs", "CreateKey"],
        includes: &[],
    },
    Role {
        name: "kms.importOperator",
        about: "Imports through the job it is granted on, and can change nothing about it",
        synonyms: &[],
        actions: &["UseImportJob", "GetImportJob"],
        includes: &[],
    },
    Role {
        name: "kms.destroyer",
        about: "Schedules the destruction of versions and takes it back",
        synonyms: &[],
        actions: &["ScheduleKeyDeletion", "CancelKeyDeletion"],
        includes: &[],
    },
    Role {
        name: "kms.auditor",
        about: "Reads the audit log",
        synonyms: &[],
        actions: &["ReadAudit"],
        includes: &[],
    },
    Role {
        name: "kms.viewer",
        about: "Lists and describes; sees no policy",
        synonyms: &["roles/cloudkms.viewer", "roles/viewer"],
        actions: &[
            "List*",
            "Describe*",
            "GetImportJob",
            "GetKeyRotationStatus",
            "GetKeyUsage",
            "GetServiceStatus",
            "GetRegions",
        ],
        includes: &[],
    },
    Role {
        name: "kms.editor",
        about: "Creates and changes keys; destroys none and changes no policy",
        synonyms: &["roles/editor"],
        actions: &[
            "Create*",
            "Enable*",
            "Disable*",
            "Update*",
            "TagResource",
            "UntagResource",
            "RotateKey",
            "ImportKeyMaterial",
            "ReimportKeyMaterial",
        ],
        includes: &["kms.viewer"],
    },
];

impl Role {
    /// The role of this name or synonym; `kms.x`, `roles/kms.x` or Google's.
    pub fn find(name: &str) -> Option<&'static Role> {
        let ours = name.strip_prefix("roles/").unwrap_or(name);
        ROLES.iter().find(|role| role.name == ours || role.synonyms.contains(&name))
    }

    /// True when the role allows the action.
    pub fn allows(&self, action: &str) -> bool {
        let own = |text: &&str| match text.strip_suffix('*') {
            Some(beginning) => action.starts_with(beginning),
            None => action == *text,
        };
        self.actions.iter().any(own)
            || self.includes.iter().any(|name| Role::find(name).is_some_and(|role| role.allows(action)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::action::{self, CRYPTOGRAPHY, Pattern};

    #[test]
    fn every_action_of_a_role_is_known_and_every_included_role_exists() {
        for role in ROLES {
            for text in role.actions {
                // Table 5 may not have a verb for it yet.
                let planned = ["Encapsulate", "Set*", "Delete*", "Cancel*"];
                assert!(Pattern::parse(text).is_some() || planned.contains(text), "{}: {text}", role.name);
            }
            assert!(role.includes.iter().all(|name| Role::find(name).is_some()));
        }
    }

    #[test]
    fn an_admin_does_no_cryptography() {
        let admin = Role::find("roles/cloudkms.admin").unwrap();
        assert!(CRYPTOGRAPHY.iter().all(|action| !admin.allows(action)));
        for action in
            ["CreateKey", "GetPublicKey", "SetKeyPolicy", "ScheduleKeyDeletion", "CancelKeyDeletion"]
        {
            assert!(admin.allows(action), "{action}");
        }
        assert!(!admin.allows(action::USE_IMPORT_JOB));
    }

    #[test]
    fn a_user_and_a_signer_together_are_all_of_cryptography() {
        let crypto = Role::find("kms.crypto").unwrap();
        for action in CRYPTOGRAPHY {
            assert!(crypto.allows(action), "{action}");
        }
        let user = Role::find("roles/cloudkms.cryptoKeyEncrypterDecrypter").unwrap();
        assert!(user.allows("Encrypt") && !user.allows("AsymmetricSign") && !user.allows("CreateKey"));
        assert!(!crypto.allows("ScheduleKeyDeletion") && !crypto.allows("CreateKey"));
        assert_eq!(Role::find("roles/editor").unwrap().name, "kms.editor");
        assert_eq!(Role::find("roles/kms.user").unwrap().name, "kms.user");
        assert!(Role::find("roles/cloudkms.unheard").is_none());
    }
}
