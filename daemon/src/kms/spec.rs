//! Purpose and algorithm as a person says them: in Google Cloud KMS's words, in the command line's, and in those of
//! Alibaba Cloud (key spec and key usage) and Tencent Cloud (key usage alone).

use super::algorithm::{Algorithm, Purpose, quoted};
use crate::error::{Error, Result};

use Algorithm as Alg;

/// Alibaba Cloud's key specs, and for each purpose the algorithm that it is here. Where an RSA spec signs, it is with
/// PSS.
const KEY_SPECS: &[(&str, &[Algorithm])] = &[
    ("Aliyun_AES_256", &[Alg::GoogleSymmetricEncryption]),
    ("Aliyun_AES_192", &[Alg::Aes192Encryption]),
    ("Aliyun_AES_128", &[Alg::Aes128Encryption]),
    ("Aliyun_SM4", &[Alg::Sm4Encryption]),
    ("EC_SM2", &[Alg::EcSignSm2Sm3, Alg::Sm2Decrypt]),
    ("RSA_2048", &[Alg::RsaSignPss2048Sha256, Alg::RsaDecryptOaep2048Sha256]),
    ("RSA_3072", &[Alg::RsaSignPss3072Sha256, Alg::RsaDecryptOaep3072Sha256]),
    ("RSA_4096", &[Alg::RsaSignPss4096Sha256, Alg::RsaDecryptOaep4096Sha256]),
    ("EC_P256", &[Alg::EcSignP256Sha256]),
    ("EC_P256K", &[Alg::EcSignSecp256k1Sha256]),
];

/// Tencent Cloud's key usages, each of which is one algorithm. `ENCRYPT_DECRYPT` is Google's purpose of the same name.
const KEY_USAGES: &[(&str, Algorithm)] = &[
    ("ASYMMETRIC_DECRYPT_RSA_2048", Alg::RsaDecryptOaep2048Sha256),
    ("ASYMMETRIC_DECRYPT_SM2", Alg::Sm2Decrypt),
    ("ASYMMETRIC_SIGN_VERIFY_SM2", Alg::EcSignSm2Sm3),
    ("ASYMMETRIC_SIGN_VERIFY_RSA_2048", Alg::RsaSignPss2048Sha256),
    ("ASYMMETRIC_SIGN_VERIFY_ECC", Alg::EcSignP256Sha256),
    ("ASYMMETRIC_SIGN_VERIFY_ECDSA384", Alg::EcSignP384Sha384),
];

/// Alibaba Cloud's key usages, and the purposes that each may be.
const USAGES: &[(&str, &[Purpose])] = &[
    ("ENCRYPT/DECRYPT", &[Purpose::EncryptDecrypt, Purpose::AsymmetricDecrypt]),
    ("SIGN/VERIFY", &[Purpose::AsymmetricSign]),
];

/// What a new key is for, and the algorithm of its versions if one is said.
///
/// # Errors
/// `InvalidArgument` for words that mean nothing, or that contradict each other.
pub fn template(purpose: &str, algorithm: Option<&str>) -> Result<(Purpose, Option<Algorithm>)> {
    if let Some((_, means)) = KEY_USAGES.iter().find(|(usage, _)| usage.eq_ignore_ascii_case(purpose)) {
        return match algorithm.map(|text| self::algorithm(text, means.purpose())).transpose()? {
            Some(said) if said != *means => {
                refuse(format!("{purpose} is {}, and not {}", means.name(), said.name()))
            }
            _ => Ok((means.purpose(), Some(*means))),
        };
    }
    if let Some((_, purposes)) = USAGES.iter().find(|(usage, _)| usage.eq_ignore_ascii_case(purpose)) {
        let Some(text) = algorithm else {
            return match purposes {
                [one, ..] if *one == Purpose::EncryptDecrypt => Ok((*one, None)),
                _ => refuse(format!("{purpose} needs a default algorithm, such as EC_P256")),
            };
        };
        let fits = purposes.iter().find_map(|one| {
            self::algorithm(text, *one)
                .ok()
                .filter(|found| found.purpose() == *one)
                .map(|found| (*one, found))
        });
        return match fits {
            Some((purpose, algorithm)) => Ok((purpose, Some(algorithm))),
            None => refuse(format!("{} is no algorithm for {purpose}", quoted(text))),
        };
    }
    let purpose = Purpose::parse(purpose)?;
    Ok((purpose, algorithm.map(|text| self::algorithm(text, purpose)).transpose()?))
}

/// An algorithm as it is called by this daemon or by another cloud, where the purpose tells which is meant.
///
/// # Errors
/// `InvalidArgument` for a word that means no algorithm, or none of this purpose.
pub fn algorithm(text: &str, purpose: Purpose) -> Result<Algorithm> {
    let Some((_, means)) = KEY_SPECS.iter().find(|(spec, _)| spec.eq_ignore_ascii_case(text)) else {
        return Algorithm::parse(text);
    };
    let found = means.iter().find(|algorithm| algorithm.purpose() == purpose);
    found.copied().ok_or_else(|| Error::InvalidArgument {
        message: format!("{} is no algorithm for {}", quoted(text), purpose.name()),
    })
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::InvalidArgument { message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_clouds_mean_our_algorithms() {
        // ALG-12 ALG-13 ALG-15
        for (purpose, spec, means) in [
            ("ENCRYPT/DECRYPT", "Aliyun_AES_256", Alg::GoogleSymmetricEncryption),
            ("encrypt/decrypt", "aliyun_aes_192", Alg::Aes192Encryption),
            ("ENCRYPT/DECRYPT", "Aliyun_AES_128", Alg::Aes128Encryption),
            ("ENCRYPT/DECRYPT", "Aliyun_SM4", Alg::Sm4Encryption),
            ("ENCRYPT/DECRYPT", "EC_SM2", Alg::Sm2Decrypt),
            ("SIGN/VERIFY", "EC_SM2", Alg::EcSignSm2Sm3),
            ("ENCRYPT/DECRYPT", "RSA_2048", Alg::RsaDecryptOaep2048Sha256),
            ("SIGN/VERIFY", "RSA_2048", Alg::RsaSignPss2048Sha256),
            ("SIGN/VERIFY", "RSA_3072", Alg::RsaSignPss3072Sha256),
            ("ENCRYPT/DECRYPT", "RSA_4096", Alg::RsaDecryptOaep4096Sha256),
            ("SIGN/VERIFY", "EC_P256", Alg::EcSignP256Sha256),
            ("SIGN/VERIFY", "EC_P256K", Alg::EcSignSecp256k1Sha256),
            ("asymmetric-signing", "EC_P256", Alg::EcSignP256Sha256),
            ("SIGN/VERIFY", "ec-sign-p384-sha384", Alg::EcSignP384Sha384),
        ] {
            assert_eq!(template(purpose, Some(spec)), Ok((means.purpose(), Some(means))), "{purpose} {spec}");
        }
        for (usage, means) in KEY_USAGES {
            assert_eq!(template(usage, None), Ok((means.purpose(), Some(*means))));
            assert_eq!(template(usage, Some(means.name())), Ok((means.purpose(), Some(*means))));
        }
        assert_eq!(template("ENCRYPT_DECRYPT", None), Ok((Purpose::EncryptDecrypt, None)));
        assert_eq!(template("ENCRYPT/DECRYPT", None), Ok((Purpose::EncryptDecrypt, None)));
        for (purpose, spec) in [
            ("SIGN/VERIFY", Some("Aliyun_AES_256")),
            ("SIGN/VERIFY", None),
            ("ENCRYPT/DECRYPT", Some("EC_P256")),
            ("mac", Some("EC_P256")),
            ("ASYMMETRIC_SIGN_VERIFY_ECC", Some("ec-sign-p384-sha384")),
            ("ENCRYPT", None),
            ("SIGN/VERIFY", Some("RSA_1024")),
        ] {
            assert!(
                matches!(template(purpose, spec), Err(Error::InvalidArgument { .. })),
                "{purpose} {spec:?}"
            );
        }
    }
}
