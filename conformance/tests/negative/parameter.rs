//! Parameters that a mechanism does not take: of a wrong length, of no meaning, beyond a limit. Each is
//! CKR_MECHANISM_PARAM_INVALID, and nothing is begun.

use claviger_conformance::prelude::*;
use claviger_conformance::structure::{self, Pointing, Structure};

use crate::sheet::Sheet;
use crate::world::World;

const PARAM: Rv = Rv::MECHANISM_PARAM_INVALID;

pub fn cases(sheet: &mut Sheet) {
    let world = World::new();
    plain(sheet, &world);
    structures(sheet, &world);
    derivations(sheet, &world);
    others(sheet, &world);
}

/// An Init that must be refused.
fn refused(
    sheet: &mut Sheet,
    world: &World,
    what: &str,
    operation: Operation,
    mechanism: &Mechanism,
    key: u64,
) {
    let rv = world.raw().start(operation, world.session, Some(mechanism), key);
    sheet.expect(format!("{operation:?}Init {} with {what}", mechanism.r#type), rv, PARAM);
    let over = if world.cancel(operation) { Rv::OPERATION_ACTIVE } else { Rv::OK };
    sheet.sure(format!("{operation:?}Init {} begins nothing", mechanism.r#type), over, Rv::OK);
}

fn plain(sheet: &mut Sheet, world: &World) {
    let iv = [7; 64];
    // What takes an IV of 16 bytes, and nothing else.
    for mechanism in [M::AES_CBC, M::AES_CBC_PAD, M::AES_OFB, M::AES_CFB8, M::AES_CFB128, M::AES_CTS] {
        for length in [0, 1, 15, 17] {
            let what = format!("an IV of {length} bytes");
            let mechanism = Mechanism::bytes(mechanism, &iv[..length]);
            refused(sheet, world, &what, Operation::Encrypt, &mechanism, world.aes);
        }
    }
    // What takes nothing.
    for (operation, mechanism, key) in [
        (Operation::Encrypt, M::AES_ECB, world.aes),
        (Operation::Digest, M::SHA256, 0),
        (Operation::Sign, M::SHA256_HMAC, world.secret),
        (Operation::Sign, M::AES_CMAC, world.aes),
        (Operation::Sign, M::ECDSA, world.ec.1),
        (Operation::Sign, M::SHA256_RSA_PKCS, world.rsa.1),
        (Operation::Decrypt, M::RSA_PKCS, world.rsa.1),
        (Operation::SignRecover, M::RSA_X_509, world.rsa.1),
    ] {
        let mechanism = Mechanism::bytes(mechanism, &iv[..8]);
        refused(sheet, world, "a parameter of 8 bytes", operation, &mechanism, key);
    }
    for (mechanism, key, lengths) in [
        (M::SHA256_HMAC_GENERAL, world.secret, [0, 33, u64::MAX]),
        (M::SHA_1_HMAC_GENERAL, world.secret, [0, 21, 1 << 32]),
        (M::AES_CMAC_GENERAL, world.aes, [0, 17, u64::MAX]),
        (M::AES_MAC_GENERAL, world.aes, [0, 17, u64::MAX]),
    ] {
        for length in lengths {
            let what = format!("a MAC of {length} bytes");
            refused(sheet, world, &what, Operation::Sign, &Mechanism::ulong(mechanism, length), key);
        }
        let four = Mechanism::bytes(mechanism, &[16, 0, 0, 0]);
        refused(sheet, world, "a length of 4 bytes", Operation::Sign, &four, key);
    }
    for bits in [0, 511, 513, 384, 7, u64::MAX] {
        let mechanism = Mechanism::ulong(M::SHA512_T, bits);
        refused(sheet, world, &format!("t = {bits}"), Operation::Digest, &mechanism, 0);
    }
    for length in [1, 4, 7, 9] {
        let mechanism = Mechanism::bytes(M::AES_KEY_WRAP, &iv[..length]);
        let what = format!("an IV of {length} bytes");
        refused(sheet, world, &what, Operation::Encrypt, &mechanism, world.aes);
    }
}

fn structures(sheet: &mut Sheet, world: &World) {
    let block = [7; 16];
    for bits in [0, 129, u64::MAX] {
        let mechanism = Mechanism::ctr(bits, block);
        refused(
            sheet,
            world,
            &format!("a counter of {bits} bits"),
            Operation::Encrypt,
            &mechanism,
            world.aes,
        );
    }
    for tag in [0, 8, 31, 127, 129, 136, 1 << 40] {
        let mechanism = Mechanism::gcm(&block[..12], b"", tag);
        refused(sheet, world, &format!("a tag of {tag} bits"), Operation::Encrypt, &mechanism, world.aes);
    }
    for length in [0, 129, 300] {
        let mechanism = Mechanism::gcm(&vec![1; length], b"", 128);
        refused(sheet, world, &format!("an IV of {length} bytes"), Operation::Encrypt, &mechanism, world.aes);
    }
    for (what, nonce, tag) in [
        ("a nonce of 6 bytes", 6, 16),
        ("a nonce of 14 bytes", 14, 16),
        ("a tag of 0 bytes", 12, 0),
        ("a tag of 2 bytes", 12, 2),
        ("a tag of 5 bytes", 12, 5),
        ("a tag of 18 bytes", 12, 18),
    ] {
        let mechanism = structure::ccm(M::AES_CCM, 16, &vec![1; nonce], b"", tag);
        refused(sheet, world, what, Operation::Encrypt, &mechanism, world.aes);
    }
    let long = structure::ccm(M::AES_CCM, 1 << 16, &[1; 13], b"", 16);
    refused(sheet, world, "more data than the nonce leaves room for", Operation::Encrypt, &long, world.aes);

    for (what, hash, mgf, salt) in [
        ("another hash", M::SHA_1, 2, 32),
        ("a hash of nobody", M(0x7fff_0000), 2, 32),
        ("an HMAC for a hash", M::SHA256_HMAC, 2, 32),
        ("no MGF", M::SHA256, 0, 32),
        ("an MGF of nobody", M::SHA256, 99, 32),
        ("a salt that does not fit", M::SHA256, 2, 223),
        ("a salt of 2^64 - 1 bytes", M::SHA256, 2, u64::MAX),
    ] {
        let mechanism = Mechanism::pss(M::SHA256_RSA_PKCS_PSS, hash, mgf, salt);
        refused(sheet, world, what, Operation::Sign, &mechanism, world.rsa.1);
        let mechanism = Mechanism::pss(M::SHA256_RSA_PKCS_PSS, hash, mgf, salt);
        refused(sheet, world, what, Operation::Verify, &mechanism, world.rsa.0);
    }
    for (what, hash, mgf, source, label) in [
        ("a hash of nobody", M(0x7fff_0000), 2, 1, &b""[..]),
        ("a signature for a hash", M::SHA256_RSA_PKCS, 2, 1, b""),
        ("no MGF", M::SHA256, 0, 1, b""),
        ("an MGF of nobody", M::SHA256, 99, 1, b""),
        ("a source of nobody", M::SHA256, 2, 2, b""),
        ("a label and no source", M::SHA256, 2, 0, b"label"),
    ] {
        let mechanism = Mechanism::oaep(hash, mgf, source, label);
        refused(sheet, world, what, Operation::Encrypt, &mechanism, world.rsa.0);
    }
    let no_parameter = [
        (Operation::Encrypt, M::AES_CTR, world.aes),
        (Operation::Encrypt, M::AES_GCM, world.aes),
        (Operation::Encrypt, M::AES_CCM, world.aes),
        (Operation::Encrypt, M::RSA_PKCS_OAEP, world.rsa.0),
        (Operation::Sign, M::RSA_PKCS_PSS, world.rsa.1),
        (Operation::Sign, M::SHA512_RSA_PKCS_PSS, world.rsa.1),
        (Operation::Sign, M::AES_GMAC, world.aes),
        (Operation::Sign, M::SHA256_HMAC_GENERAL, world.secret),
    ];
    for (operation, mechanism, key) in no_parameter {
        refused(sheet, world, "no parameter", operation, &mechanism.into(), key);
        let half = Mechanism::bytes(mechanism, &[0; 20]);
        refused(sheet, world, "half a structure", operation, &half, key);
    }
    let (_, edwards) = world.setup.app.edwards(world.session, curve::ED25519, &[]).unwrap();
    let long = Mechanism::eddsa(false, &[1; 256]);
    refused(sheet, world, "a context of 256 bytes", Operation::Sign, &long, edwards);
    let short = Mechanism::bytes(M::EDDSA, &[0; 4]);
    refused(sheet, world, "half a structure", Operation::Sign, &short, edwards);
}

fn derivations(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let point = raw.attribute(session, world.ec.0, A::EC_POINT).unwrap();
    let mut off_curve = point.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    let template = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES), ulong(A::VALUE_LEN, 16)];
    let ecdh = structure::ecdh;
    let hkdf = |extract: u8, expand: u8, prf: M, salt: u64| {
        Structure::new()
            .inline(&[extract, expand, 0, 0, 0, 0, 0, 0])
            .ulong(prf.0)
            .ulong(salt)
            .data(b"")
            .ulong(0)
            .data(b"")
            .of(M::HKDF_DERIVE)
    };
    let string = |r#type, data: &[u8]| Structure::new().data(data).of(r#type);
    let counter = |prf: M, parts: Vec<Structure>| {
        Structure::new().ulong(prf.0).array(parts).ulong(0).ulong(0).of(M::SP800_108_COUNTER_KDF)
    };
    let iteration = |bits: u64| structure::prf_data(1, &structure::counter_format(bits));
    let cbc = |length| {
        let data = Structure::new().inline(&[7; 16]).data(&vec![1; length]);
        data.of(M::AES_CBC_ENCRYPT_DATA)
    };
    let rows: Vec<(&str, Pointing, u64)> = vec![
        ("a point off the curve", ecdh(1, b"", &off_curve), world.ec.1),
        ("half a point", ecdh(1, b"", &point[..33]), world.ec.1),
        ("no point", ecdh(1, b"", b""), world.ec.1),
        ("the point at infinity", ecdh(1, b"", &[0]), world.ec.1),
        ("a point of another curve", ecdh(1, b"", &[4; 97]), world.ec.1),
        ("a KDF of nobody", ecdh(99, b"", &point), world.ec.1),
        ("no KDF and shared data", ecdh(1, b"shared", &point), world.ec.1),
        ("neither extract nor expand", hkdf(0, 0, M::SHA256, 1), world.secret),
        ("a hash of nobody", hkdf(1, 1, M(0x7fff_0000), 1), world.secret),
        ("an HMAC for a hash", hkdf(1, 1, M::SHA256_HMAC, 1), world.secret),
        ("a salt of no kind", hkdf(1, 1, M::SHA256, 9), world.secret),
        ("no counter", counter(M::SHA256_HMAC, vec![]), world.secret),
        ("a counter of 7 bits", counter(M::SHA256_HMAC, vec![iteration(7)]), world.secret),
        ("two counters", counter(M::SHA256_HMAC, vec![iteration(32), iteration(32)]), world.secret),
        ("a hash for a PRF", counter(M::SHA256, vec![iteration(32)]), world.secret),
        ("a PRF of nobody", counter(M(0x7fff_0000), vec![iteration(32)]), world.secret),
        ("a part of no kind", counter(M::SHA256_HMAC, vec![structure::prf_data(77, b"")]), world.secret),
        ("15 bytes of data", string(M::AES_ECB_ENCRYPT_DATA, &[1; 15]), world.aes),
        ("15 bytes of data", cbc(15), world.aes),
    ];
    let derive = |mechanism: &Mechanism, base| raw.derive_key(session, mechanism, base, &template).rv();
    for (what, mechanism, base) in &rows {
        let what = format!("DeriveKey {} with {what}", mechanism.r#type);
        sheet.expect(what, derive(mechanism, *base), PARAM);
    }
    for (what, mechanism, base) in [
        ("no parameter", Mechanism::new(M::ECDH1_DERIVE), world.ec.1),
        ("no parameter", M::HKDF_DERIVE.into(), world.secret),
        ("no parameter", M::XOR_BASE_AND_DATA.into(), world.secret),
        ("no parameter", M::EXTRACT_KEY_FROM_KEY.into(), world.secret),
        ("no parameter", M::SP800_108_COUNTER_KDF.into(), world.secret),
        ("no parameter", M::AES_CBC_ENCRYPT_DATA.into(), world.aes),
        ("a position behind the end", Mechanism::ulong(M::EXTRACT_KEY_FROM_KEY, 256), world.secret),
        ("a position of 2^64 - 1", Mechanism::ulong(M::EXTRACT_KEY_FROM_KEY, u64::MAX), world.secret),
        ("a parameter", Mechanism::bytes(M::SHA256_KEY_DERIVATION, b"x"), world.secret),
        ("half a structure", Mechanism::bytes(M::ECDH1_DERIVE, &[0; 20]), world.ec.1),
    ] {
        let what = format!("DeriveKey {} with {what}", mechanism.r#type);
        sheet.expect(what, derive(&mechanism, base), PARAM);
    }
}

fn others(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    for mechanism in [M::AES_KEY_GEN, M::GENERIC_SECRET_KEY_GEN] {
        let rv = raw.generate_key(session, &Mechanism::bytes(mechanism, b"x"), &[ulong(A::VALUE_LEN, 16)]);
        sheet.expect(format!("GenerateKey {mechanism} with a parameter"), rv, PARAM);
    }
    let template = [key_type(KeyType::AES), ulong(A::VALUE_LEN, 16)];
    for (what, prf, iterations) in
        [("no iterations", 4, 0), ("a PRF of nobody", 99, 1000), ("iterations for years", 4, u64::MAX)]
    {
        let mechanism = structure::pbkdf2(prf, b"salt", iterations, b"password");
        sheet.expect(
            format!("GenerateKey PBKDF2 with {what}"),
            raw.generate_key(session, &mechanism, &template),
            PARAM,
        );
    }
    let rsa = [ulong(A::MODULUS_BITS, 2048)];
    let rv = raw.generate_key_pair(session, &Mechanism::bytes(M::RSA_PKCS_KEY_PAIR_GEN, b"x"), &rsa, &[]);
    sheet.expect("GenerateKeyPair RSA with a parameter", rv, PARAM);
    let on = [bytes(A::EC_PARAMS, curve::P256)];
    let rv = raw.generate_key_pair(session, &Mechanism::bytes(M::EC_KEY_PAIR_GEN, b"x"), &on, &[]);
    sheet.expect("GenerateKeyPair EC with a parameter", rv, PARAM);
    let secret = [class(ObjectClass::SECRET_KEY), key_type(KeyType::GENERIC_SECRET)];
    let rsa_aes = |bits: u64, hash: M| structure::rsa_aes_key_wrap(bits, structure::oaep(hash, 2));
    let rows = [
        ("an IV of 15 bytes", Mechanism::bytes(M::AES_CBC_PAD, &[7; 15]), world.aes, world.aes),
        ("an IV of 7 bytes", Mechanism::bytes(M::AES_KEY_WRAP, &[7; 7]), world.aes, world.aes),
        ("no parameter", M::AES_GCM.into(), world.aes, world.aes),
        ("no parameter", M::RSA_PKCS_OAEP.into(), world.rsa.0, world.rsa.1),
        ("no parameter", M::RSA_AES_KEY_WRAP.into(), world.rsa.0, world.rsa.1),
    ];
    let mut both = |what: &str, mechanism: &Mechanism, wrapping, unwrapping| {
        let wrapped = raw.wrap_key(session, mechanism, wrapping, world.secret, Room::Bytes(512));
        sheet.expect(format!("WrapKey {} with {what}", mechanism.r#type), wrapped, PARAM);
        let rv = raw.unwrap_key(session, mechanism, unwrapping, &[1; 256], &secret);
        sheet.expect(format!("UnwrapKey {} with {what}", mechanism.r#type), rv, PARAM);
    };
    for (what, mechanism, wrapping, unwrapping) in rows {
        both(what, &mechanism, wrapping, unwrapping);
    }
    for (what, bits, hash) in
        [("an AES key of 0 bits", 0, M::SHA256), ("an AES key of 100 bits", 100, M::SHA256)]
    {
        both(what, &rsa_aes(bits, hash), world.rsa.0, world.rsa.1);
    }
    both("a hash of nobody", &rsa_aes(256, M(0x7fff_0000)), world.rsa.0, world.rsa.1);
}
