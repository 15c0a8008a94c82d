//! Key material as an import wants it: raw bytes for secret keys, PKCS#8 DER for private keys.

use claviger_protocol::Bytes;
use openssl::pkey::PKey;

use crate::error::{Error, Result};

/// How the names of algorithms with private keys begin.
const ASYMMETRIC: &[&str] = &["EC_", "RSA_", "PQ_", "SM2_", "ML_", "KEM_"];

/// The bytes to wrap, from the bytes of a target key file.
///
/// A private key in PEM or in a form older than PKCS#8 becomes PKCS#8. What is not understood goes as it is:
/// the daemon judges.
///
/// # Errors
/// The key is protected by a passphrase, or is PEM that holds no private key.
pub fn material(algorithm: &str, content: Bytes) -> Result<Bytes> {
    let algorithm = algorithm.to_uppercase().replace('-', "_");
    if !ASYMMETRIC.iter().any(|prefix| algorithm.starts_with(prefix)) {
        return Ok(content);
    }
    let holds = |text: &[u8]| content.windows(text.len()).any(|part| part == text);
    let key = if holds(b"-----BEGIN ") {
        // Before OpenSSL sees it, which would ask for the passphrase itself.
        if holds(b"ENCRYPTED") {
            return Err(Error::usage(
                "the target key file is protected by a passphrase: decrypt it first, as with \
                 openssl pkcs8 -topk8 -nocrypt",
            ));
        }
        PKey::private_key_from_pem(&content)
            .map_err(|_| Error::usage("the target key file is PEM but holds no private key"))?
    } else if PKey::private_key_from_pkcs8(&content).is_ok() {
        return Ok(content);
    } else {
        match PKey::private_key_from_der(&content) {
            Ok(key) => key,
            Err(_) => return Ok(content),
        }
    };
    key.private_key_to_pkcs8()
        .map(Bytes::from)
        .map_err(|error| Error::usage(format!("the target key file cannot be written as PKCS#8: {error}")))
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::Private;
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;

    use super::*;

    fn ec() -> PKey<Private> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    #[test]
    fn every_form_of_a_private_key_becomes_the_same_pkcs8() {
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        for (key, algorithm) in [(ec(), "ec-sign-p256-sha256"), (rsa, "RSA_SIGN_PSS_2048_SHA256")] {
            let expected = key.private_key_to_pkcs8().unwrap();
            let traditional_pem = match key.rsa() {
                Ok(rsa) => rsa.private_key_to_pem().unwrap(),
                Err(_) => key.ec_key().unwrap().private_key_to_pem().unwrap(),
            };
            let traditional_der = match key.rsa() {
                Ok(rsa) => rsa.private_key_to_der().unwrap(),
                Err(_) => key.ec_key().unwrap().private_key_to_der().unwrap(),
            };
            assert!(
                traditional_pem.starts_with(b"-----BEGIN EC PRIV")
                    || traditional_pem.starts_with(b"-----BEGIN RSA")
            );
            for form in
                [expected.clone(), key.private_key_to_pem_pkcs8().unwrap(), traditional_pem, traditional_der]
            {
                assert_eq!(*material(algorithm, form.into()).unwrap(), expected);
            }
        }
    }

    #[test]
    fn secret_keys_and_what_is_not_understood_go_as_they_are() {
        for algorithm in ["google-symmetric-encryption", "hmac-sha256", "aes-256-gcm"] {
            assert_eq!(&*material(algorithm, b"-----BEGIN \n".into()).unwrap(), b"-----BEGIN \n");
        }
        assert_eq!(&*material("ec-sign-p256-sha256", b"junk".into()).unwrap(), b"junk");
    }

    #[test]
    fn passphrases_are_never_asked_for() {
        let pkcs8 = ec().private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
        let traditional =
            ec().ec_key().unwrap().private_key_to_pem_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
        for pem in [pkcs8, traditional] {
            let error = material("ec-sign-p256-sha256", pem.into()).unwrap_err();
            assert!(error.exit == 2 && error.message.contains("passphrase"), "{error:?}");
        }
        let public = ec().public_key_to_pem().unwrap();
        assert_eq!(material("ec-sign-p256-sha256", public.into()).unwrap_err().exit, 2);
    }
}
