//! Import blobs, from behind their RSA layer: AES-KWP with a key that the fuzzer knows, what is under it, and the
//! parsers of every kind of material, those of key-service imports and of `C_UnwrapKey`.

use claviger_protocol::{KeyType, ObjectClass};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;

use super::dice::{Dice, peak_kib, runs};
use crate::crypto::Key;
use crate::crypto::wrap::{aes_kwp, aes_kwp_unwrap};
use crate::error::Error;
use crate::kms::algorithm::{ALGORITHMS, Algorithm};
use crate::kms::import::check_material;

/// One material in so many runs is an RSA key: checking a whole one takes a thousand times as long as all others.
const RSA_EVERY: usize = 300;

#[test]
fn import_blobs() {
    let on = |nid| EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap();
    let pkcs8 = |key: PKey<openssl::pkey::Private>| key.private_key_to_pkcs8().unwrap();
    let curve = |nid| pkcs8(PKey::from_ec_key(on(nid)).unwrap());
    let seeds: Vec<(KeyType, Vec<u8>)> = vec![
        (KeyType::EC, curve(Nid::X9_62_PRIME256V1)),
        (KeyType::EC, curve(Nid::SECP384R1)),
        (KeyType::EC, curve(Nid::SECP256K1)),
        (KeyType::EC_EDWARDS, pkcs8(PKey::generate_ed25519().unwrap())),
        (KeyType::EC_MONTGOMERY, pkcs8(PKey::generate_x25519().unwrap())),
        (KeyType::AES, vec![7; 32]),
        (KeyType::GENERIC_SECRET, vec![7; 64]),
    ];
    let rsa = (KeyType::RSA, pkcs8(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()));
    let others: Vec<Vec<u8>> = seeds.iter().chain([&rsa]).map(|(_, der)| der.clone()).collect();
    let algorithms: Vec<Algorithm> = ALGORITHMS.iter().map(|row| row.algorithm).collect();
    let (mut unwrapped, mut good, mut imported) = (0u64, 0u64, 0u64);
    for run in 0..runs() {
        let mut dice = Dice::of(run);
        let (key_type, mut material) =
            if dice.roll(RSA_EVERY) == 0 { rsa.clone() } else { dice.pick(&seeds).clone() };
        if dice.roll(8) != 0 {
            dice.mutate(&mut material, &others);
        }
        let Ok(mut blob) = aes_kwp(&[7; 32], &material) else { continue };
        // Most stay whole, so that what is under the cipher is looked at.
        if dice.roll(8) == 0 {
            dice.mutate(&mut blob, &others);
        }
        let material = match aes_kwp_unwrap(&[7; 32], &blob) {
            Ok(material) => material,
            Err(Error::EncryptedDataInvalid | Error::EncryptedDataLenRange) => continue,
            Err(error) => panic!("run {run}: {error}"),
        };
        unwrapped += 1;
        let class = match key_type {
            KeyType::AES | KeyType::GENERIC_SECRET => ObjectClass::SECRET_KEY,
            _ => ObjectClass::PRIVATE_KEY,
        };
        if let Ok(key) = Key::from_untrusted(class, key_type, &material) {
            good += 1;
            // What was taken has a stored form that is taken again.
            let stored = key.to_material().unwrap();
            Key::from_material(class, key_type, &stored).unwrap_or_else(|error| panic!("run {run}: {error}"));
        }
        imported += u64::from(check_material(*dice.pick(&algorithms), &material).is_ok());
    }
    let peak = peak_kib("self");
    println!(
        "fuzz import: {} runs, {unwrapped} unwrapped, {good} keys taken, {imported} imported, at most {peak} KiB",
        runs()
    );
    assert!(good > runs() / 100, "the fuzzer gets somewhere");
}
