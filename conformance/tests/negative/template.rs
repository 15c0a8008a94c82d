//! Templates: what is missing, too much, of a wrong form, or contradicts itself or the function (PKCS#11 3.2,
//! section 4.1).

use claviger_conformance::prelude::*;

use crate::sheet::Sheet;
use crate::world::World;

const INCOMPLETE: Rv = Rv::TEMPLATE_INCOMPLETE;
const INCONSISTENT: Rv = Rv::TEMPLATE_INCONSISTENT;
const READ_ONLY: Rv = Rv::ATTRIBUTE_READ_ONLY;
const TYPE: Rv = Rv::ATTRIBUTE_TYPE_INVALID;
const VALUE: Rv = Rv::ATTRIBUTE_VALUE_INVALID;

pub fn cases(sheet: &mut Sheet) {
    let world = World::new();
    let (raw, session) = (world.raw(), world.session);
    let before = raw.find(session, &[]).unwrap();
    secret_keys(sheet, &world);
    pairs(sheet, &world);
    others(sheet, &world);
    generate(sheet, &world);
    unwrap(sheet, &world);
    derive(sheet, &world);
    change(sheet, &world);
    let left = raw.find(session, &[]).unwrap().len() - before.len();
    sheet.sure("a refused object leaves nothing behind", if left == 0 { Rv::OK } else { VALUE }, Rv::OK);
}

/// `good` with attributes of these types replaced or added.
fn with(good: &[Attribute], more: &[Attribute]) -> Vec<Attribute> {
    let kept = good.iter().filter(|old| more.iter().all(|new| new.r#type != old.r#type)).cloned();
    kept.chain(more.iter().cloned()).collect()
}

fn without(good: &[Attribute], gone: A) -> Vec<Attribute> {
    good.iter().filter(|attribute| attribute.r#type != gone).cloned().collect()
}

fn secret_keys(sheet: &mut Sheet, world: &World) {
    let good = secret_key(KeyType::AES, &[7; 16], &[A::ENCRYPT]);
    let rows: &[(&str, Vec<Attribute>, Rv)] = &[
        ("nothing", vec![], INCOMPLETE),
        ("no CKA_CLASS", without(&good, A::CLASS), INCOMPLETE),
        ("no CKA_KEY_TYPE", without(&good, A::KEY_TYPE), INCOMPLETE),
        ("no CKA_VALUE", without(&good, A::VALUE), INCOMPLETE),
        ("an unknown attribute", with(&good, &[bytes(A(0x7fff_ffff), "?")]), TYPE),
        ("a vendor's attribute", with(&good, &[bytes(A(0x8000_0001), "?")]), TYPE),
        ("CKA_MODULUS", with(&good, &[bytes(A::MODULUS, [1; 128])]), TYPE),
        ("CKA_EC_PARAMS", with(&good, &[bytes(A::EC_PARAMS, curve::P256)]), TYPE),
        ("CKA_ALWAYS_AUTHENTICATE", with(&good, &[flag(A::ALWAYS_AUTHENTICATE, true)]), TYPE),
        ("CKA_SIGN_RECOVER", with(&good, &[flag(A::SIGN_RECOVER, true)]), TYPE),
        ("two values of CKA_ENCRYPT", [&good[..], &[flag(A::ENCRYPT, false)]].concat(), INCONSISTENT),
        ("two values of CKA_LABEL", [&good[..], &[label("a"), label("b")]].concat(), INCONSISTENT),
        ("CKA_LOCAL", with(&good, &[flag(A::LOCAL, true)]), READ_ONLY),
        ("CKA_ALWAYS_SENSITIVE", with(&good, &[flag(A::ALWAYS_SENSITIVE, true)]), READ_ONLY),
        ("CKA_NEVER_EXTRACTABLE", with(&good, &[flag(A::NEVER_EXTRACTABLE, true)]), READ_ONLY),
        ("CKA_KEY_GEN_MECHANISM", with(&good, &[ulong(A::KEY_GEN_MECHANISM, 0x1080)]), READ_ONLY),
        ("CKA_UNIQUE_ID", with(&good, &[bytes(A::UNIQUE_ID, "1")]), READ_ONLY),
        ("CKA_VALUE_LEN", with(&good, &[ulong(A::VALUE_LEN, 16)]), READ_ONLY),
        ("CKA_TRUSTED by the user", with(&good, &[flag(A::TRUSTED, true)]), READ_ONLY),
        ("a flag of no bytes", with(&good, &[bytes(A::SIGN, [])]), VALUE),
        ("a flag of two bytes", with(&good, &[bytes(A::SIGN, [1, 0])]), VALUE),
        ("a number of 4 bytes", with(&good, &[bytes(A::KEY_TYPE, [0x1f, 0, 0, 0])]), VALUE),
        ("a class of 4 bytes", with(&good, &[bytes(A::CLASS, [4, 0, 0, 0])]), VALUE),
        ("a date of 7 digits", with(&good, &[bytes(A::START_DATE, "2026010")]), VALUE),
        ("a date of letters", with(&good, &[bytes(A::END_DATE, "tomorrow")]), VALUE),
        ("half a mechanism", with(&good, &[bytes(A::ALLOWED_MECHANISMS, [1; 12])]), VALUE),
        ("a template of 7 bytes", with(&good, &[bytes(A::WRAP_TEMPLATE, [1; 7])]), VALUE),
        ("a wrong CKA_CHECK_VALUE", with(&good, &[bytes(A::CHECK_VALUE, [1, 2, 3])]), VALUE),
        ("an AES key of 0 bytes", with(&good, &[bytes(A::VALUE, [])]), VALUE),
        ("an AES key of 17 bytes", with(&good, &[bytes(A::VALUE, [7; 17])]), VALUE),
        ("an AES key of 33 bytes", with(&good, &[bytes(A::VALUE, [7; 33])]), VALUE),
        ("a DES3 key of 23 bytes", secret_key(KeyType::DES3, &[1; 23], &[]), VALUE),
        ("a ChaCha20 key of 31 bytes", secret_key(KeyType::CHACHA20, &[1; 31], &[]), VALUE),
        ("an XTS key of 48 bytes", secret_key(KeyType::AES_XTS, &[1; 48], &[]), VALUE),
        ("a generic secret of no bytes", secret_key(KeyType::GENERIC_SECRET, &[], &[]), VALUE),
        ("a secret key of type RSA", secret_key(KeyType::RSA, &[1; 16], &[]), INCONSISTENT),
        ("a key type of nobody", secret_key(KeyType(0x7fff_0000), &[1; 16], &[]), VALUE),
    ];
    for (what, template, expected) in rows {
        let rv = world.raw().create_object(world.session, template);
        sheet.expect(format!("CreateObject with {what}"), rv, *expected);
    }
}

fn pairs(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let value = |key, r#type| raw.attribute(session, key, r#type).unwrap();
    let (modulus, point) = (value(world.rsa.0, A::MODULUS), value(world.ec.0, A::EC_POINT));
    let public =
        |r#type, more: &[Attribute]| [&[class(ObjectClass::PUBLIC_KEY), key_type(r#type)], more].concat();
    let rsa = public(KeyType::RSA, &[bytes(A::MODULUS, modulus), bytes(A::PUBLIC_EXPONENT, [1, 0, 1])]);
    let ec = public(KeyType::EC, &[bytes(A::EC_PARAMS, curve::P256), bytes(A::EC_POINT, &point)]);
    let mut off_curve = point.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    let private =
        |r#type, more: &[Attribute]| [&[class(ObjectClass::PRIVATE_KEY), key_type(r#type)], more].concat();
    let scalar = [bytes(A::EC_PARAMS, curve::P256), bytes(A::VALUE, [7; 32])];
    let ec_private = private(KeyType::EC, &scalar);
    let rows: Vec<(&str, Vec<Attribute>, Rv)> = vec![
        ("an RSA key without CKA_MODULUS", without(&rsa, A::MODULUS), INCOMPLETE),
        ("an RSA key without CKA_PUBLIC_EXPONENT", without(&rsa, A::PUBLIC_EXPONENT), INCOMPLETE),
        ("CKA_MODULUS_BITS", with(&rsa, &[ulong(A::MODULUS_BITS, 2048)]), READ_ONLY),
        ("an RSA key of 512 bits", with(&rsa, &[bytes(A::MODULUS, [0xff; 64])]), VALUE),
        ("an even exponent", with(&rsa, &[bytes(A::PUBLIC_EXPONENT, [1, 0, 0])]), VALUE),
        ("an exponent of 1", with(&rsa, &[bytes(A::PUBLIC_EXPONENT, [1])]), VALUE),
        ("CKA_PRIVATE_EXPONENT of a public key", with(&rsa, &[bytes(A::PRIVATE_EXPONENT, [3])]), TYPE),
        ("CKA_SIGN of a public key", with(&rsa, &[flag(A::SIGN, true)]), TYPE),
        ("CKA_SENSITIVE of a public key", with(&rsa, &[flag(A::SENSITIVE, true)]), TYPE),
        ("an EC key without CKA_EC_PARAMS", without(&ec, A::EC_PARAMS), INCOMPLETE),
        ("an EC key without CKA_EC_POINT", without(&ec, A::EC_POINT), INCOMPLETE),
        ("a curve of nobody", with(&ec, &[bytes(A::EC_PARAMS, [6, 3, 0x2a, 3, 4])]), Rv::CURVE_NOT_SUPPORTED),
        ("a point off the curve", with(&ec, &[bytes(A::EC_POINT, &off_curve)]), VALUE),
        ("half a point", with(&ec, &[bytes(A::EC_POINT, &point[..33])]), VALUE),
        ("no point", with(&ec, &[bytes(A::EC_POINT, [])]), VALUE),
        ("a point of another curve", with(&ec, &[bytes(A::EC_PARAMS, curve::P384)]), VALUE),
        ("an EC key without its value", without(&ec_private, A::VALUE), INCOMPLETE),
        ("a private EC key without CKA_EC_PARAMS", without(&ec_private, A::EC_PARAMS), INCOMPLETE),
        ("a scalar of 0", with(&ec_private, &[bytes(A::VALUE, [0; 32])]), VALUE),
        ("a scalar beyond the order", with(&ec_private, &[bytes(A::VALUE, [0xff; 32])]), VALUE),
        ("a scalar of 33 bytes", with(&ec_private, &[bytes(A::VALUE, [7; 33])]), VALUE),
        (
            "CKA_ALWAYS_AUTHENTICATE of a public object",
            with(&ec_private, &[flag(A::ALWAYS_AUTHENTICATE, true), flag(A::PRIVATE, false)]),
            INCONSISTENT,
        ),
        ("CKA_VERIFY of a private key", with(&ec_private, &[flag(A::VERIFY, true)]), TYPE),
        ("a public key of type AES", public(KeyType::AES, &[]), INCONSISTENT),
    ];
    for (what, template, expected) in rows {
        let rv = raw.create_object(session, &template);
        sheet.expect(format!("CreateObject with {what}"), rv, expected);
    }
}

fn others(sheet: &mut Sheet, world: &World) {
    let certificate = [
        class(ObjectClass::CERTIFICATE),
        ulong(A::CERTIFICATE_TYPE, 0),
        bytes(A::SUBJECT, [0x30, 0]),
        bytes(A::VALUE, [0x30, 0]),
    ];
    let data = [class(ObjectClass::DATA)];
    let rows: Vec<(&str, Vec<Attribute>, Rv)> = vec![
        ("a certificate without its type", without(&certificate, A::CERTIFICATE_TYPE), INCOMPLETE),
        ("a certificate without CKA_SUBJECT", without(&certificate, A::SUBJECT), INCOMPLETE),
        ("a certificate without CKA_VALUE", without(&certificate, A::VALUE), INCOMPLETE),
        ("a trusted certificate", with(&certificate, &[flag(A::TRUSTED, true)]), READ_ONLY),
        ("a certificate that encrypts", with(&certificate, &[flag(A::ENCRYPT, true)]), TYPE),
        ("a wrong check value", with(&certificate, &[bytes(A::CHECK_VALUE, [1, 2, 3])]), VALUE),
        ("data with a key type", with(&data, &[key_type(KeyType::AES)]), TYPE),
        ("data that is sensitive", with(&data, &[flag(A::SENSITIVE, true)]), TYPE),
        ("CKO_MECHANISM", vec![class(ObjectClass::MECHANISM)], VALUE),
        ("CKO_HW_FEATURE", vec![class(ObjectClass::HW_FEATURE)], VALUE),
        ("CKO_PROFILE", vec![class(ObjectClass::PROFILE)], VALUE),
        ("a class of nobody", vec![class(ObjectClass(0x7fff_0000))], VALUE),
        (
            "more than an object may be",
            with(&data, &[bytes(A::VALUE, vec![0; 300 << 10])]),
            Rv::DEVICE_MEMORY,
        ),
    ];
    for (what, template, expected) in rows {
        let rv = world.raw().create_object(world.session, &template);
        sheet.expect(format!("CreateObject with {what}"), rv, expected);
    }
}

fn generate(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let length = [ulong(A::VALUE_LEN, 16)];
    let rows: Vec<(&str, M, Vec<Attribute>, Rv)> = vec![
        ("no length", M::AES_KEY_GEN, vec![], INCOMPLETE),
        ("0 bytes", M::AES_KEY_GEN, vec![ulong(A::VALUE_LEN, 0)], Rv::KEY_SIZE_RANGE),
        ("17 bytes", M::AES_KEY_GEN, vec![ulong(A::VALUE_LEN, 17)], Rv::KEY_SIZE_RANGE),
        ("2^64 - 1 bytes", M::AES_KEY_GEN, vec![ulong(A::VALUE_LEN, u64::MAX)], Rv::KEY_SIZE_RANGE),
        ("another class", M::AES_KEY_GEN, with(&length, &[class(ObjectClass::PUBLIC_KEY)]), INCONSISTENT),
        ("another type", M::AES_KEY_GEN, with(&length, &[key_type(KeyType::DES3)]), INCONSISTENT),
        ("a value", M::AES_KEY_GEN, with(&length, &[bytes(A::VALUE, [1; 16])]), INCONSISTENT),
        ("CKA_LOCAL", M::AES_KEY_GEN, with(&length, &[flag(A::LOCAL, true)]), READ_ONLY),
        ("CKA_TRUSTED", M::AES_KEY_GEN, with(&length, &[flag(A::TRUSTED, true)]), READ_ONLY),
        ("CKA_MODULUS", M::AES_KEY_GEN, with(&length, &[bytes(A::MODULUS, [1])]), TYPE),
        ("another length", M::DES3_KEY_GEN, vec![ulong(A::VALUE_LEN, 16)], Rv::TEMPLATE_INCONSISTENT),
        ("no length", M::GENERIC_SECRET_KEY_GEN, vec![], INCOMPLETE),
        ("0 bytes", M::GENERIC_SECRET_KEY_GEN, vec![ulong(A::VALUE_LEN, 0)], Rv::KEY_SIZE_RANGE),
        ("a megabyte", M::GENERIC_SECRET_KEY_GEN, vec![ulong(A::VALUE_LEN, 1 << 20)], Rv::KEY_SIZE_RANGE),
        ("48 bytes", M::AES_XTS_KEY_GEN, vec![ulong(A::VALUE_LEN, 48)], Rv::KEY_SIZE_RANGE),
        ("16 bytes", M::CHACHA20_KEY_GEN, vec![ulong(A::VALUE_LEN, 16)], INCONSISTENT),
    ];
    for (what, mechanism, template, expected) in rows {
        let rv = raw.generate_key(session, &mechanism.into(), &template);
        sheet.expect(format!("GenerateKey {mechanism} with {what}"), rv, expected);
    }
    let bits = |bits| vec![ulong(A::MODULUS_BITS, bits)];
    let on = |curve: &[u8]| vec![bytes(A::EC_PARAMS, curve)];
    #[allow(clippy::type_complexity, reason = "a table of one function")]
    let rows: Vec<(&str, M, Vec<Attribute>, Vec<Attribute>, Rv)> = vec![
        ("no size", M::RSA_PKCS_KEY_PAIR_GEN, vec![], vec![], INCOMPLETE),
        ("512 bits", M::RSA_PKCS_KEY_PAIR_GEN, bits(512), vec![], Rv::KEY_SIZE_RANGE),
        ("16384 bits", M::RSA_PKCS_KEY_PAIR_GEN, bits(16384), vec![], Rv::KEY_SIZE_RANGE),
        (
            "an even exponent",
            M::RSA_PKCS_KEY_PAIR_GEN,
            with(&bits(2048), &[bytes(A::PUBLIC_EXPONENT, [4])]),
            vec![],
            VALUE,
        ),
        (
            "a modulus",
            M::RSA_PKCS_KEY_PAIR_GEN,
            with(&bits(2048), &[bytes(A::MODULUS, [1; 256])]),
            vec![],
            INCONSISTENT,
        ),
        ("no curve", M::EC_KEY_PAIR_GEN, vec![], vec![], INCOMPLETE),
        ("a curve of nobody", M::EC_KEY_PAIR_GEN, on(&[6, 3, 0x2a, 3, 4]), vec![], Rv::CURVE_NOT_SUPPORTED),
        ("an Edwards curve", M::EC_KEY_PAIR_GEN, on(curve::ED25519), vec![], Rv::CURVE_NOT_SUPPORTED),
        ("P-256", M::EC_EDWARDS_KEY_PAIR_GEN, on(curve::P256), vec![], Rv::CURVE_NOT_SUPPORTED),
        ("P-256", M::EC_MONTGOMERY_KEY_PAIR_GEN, on(curve::P256), vec![], Rv::CURVE_NOT_SUPPORTED),
        (
            "a private value",
            M::EC_KEY_PAIR_GEN,
            on(curve::P256),
            vec![bytes(A::VALUE, [1; 32])],
            INCONSISTENT,
        ),
        (
            "the curve twice",
            M::EC_KEY_PAIR_GEN,
            on(curve::P256),
            vec![bytes(A::EC_PARAMS, curve::P256)],
            INCONSISTENT,
        ),
        (
            "a private class for the public key",
            M::EC_KEY_PAIR_GEN,
            with(&on(curve::P256), &[class(ObjectClass::PRIVATE_KEY)]),
            vec![],
            INCONSISTENT,
        ),
        (
            "a private key of another type",
            M::EC_KEY_PAIR_GEN,
            on(curve::P256),
            vec![key_type(KeyType::RSA)],
            INCONSISTENT,
        ),
        ("no prime", M::DH_PKCS_KEY_PAIR_GEN, vec![bytes(A::BASE, [2])], vec![], INCOMPLETE),
        ("no prime", M::DSA_KEY_PAIR_GEN, vec![], vec![], INCOMPLETE),
    ];
    for (what, mechanism, public, private, expected) in rows {
        let rv = raw.generate_key_pair(session, &mechanism.into(), &public, &private);
        sheet.expect(format!("GenerateKeyPair {mechanism} with {what}"), rv, expected);
    }
}

fn unwrap(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let kwp = Mechanism::new(M::AES_KEY_WRAP_KWP);
    let wrapped = raw.wrap_key(session, &kwp, world.aes, world.secret, Room::Bytes(64)).unwrap();
    let good = [class(ObjectClass::SECRET_KEY), key_type(KeyType::GENERIC_SECRET)];
    let mut forged = wrapped.clone();
    forged[3] ^= 1;
    let rows: Vec<(&str, &[u8], Vec<Attribute>, Rv)> = vec![
        ("nothing", &wrapped, vec![], INCOMPLETE),
        ("no class", &wrapped, without(&good, A::CLASS), INCOMPLETE),
        ("no key type", &wrapped, without(&good, A::KEY_TYPE), INCOMPLETE),
        ("a class that is not wrapped", &wrapped, vec![class(ObjectClass::DATA)], INCONSISTENT),
        ("a value", &wrapped, with(&good, &[bytes(A::VALUE, [1; 32])]), INCONSISTENT),
        ("a wrong length", &wrapped, with(&good, &[ulong(A::VALUE_LEN, 31)]), INCONSISTENT),
        ("CKA_LOCAL", &wrapped, with(&good, &[flag(A::LOCAL, true)]), READ_ONLY),
        ("CKA_TRUSTED", &wrapped, with(&good, &[flag(A::TRUSTED, true)]), READ_ONLY),
        ("CKA_MODULUS", &wrapped, with(&good, &[bytes(A::MODULUS, [1])]), TYPE),
        (
            "a type that has no such key",
            &wrapped,
            with(&good, &[key_type(KeyType::DES2)]),
            Rv::WRAPPED_KEY_INVALID,
        ),
        (
            "a private key that it is not",
            &wrapped,
            vec![class(ObjectClass::PRIVATE_KEY), key_type(KeyType::RSA)],
            Rv::WRAPPED_KEY_INVALID,
        ),
        ("a forged key", &forged, good.to_vec(), Rv::WRAPPED_KEY_INVALID),
        ("a key of 7 bytes", &wrapped[..7], good.to_vec(), Rv::WRAPPED_KEY_LEN_RANGE),
        ("no key", &[], good.to_vec(), Rv::WRAPPED_KEY_LEN_RANGE),
    ];
    for (what, wrapped, template, expected) in rows {
        let rv = raw.unwrap_key(session, &kwp, world.aes, wrapped, &template);
        sheet.expect(format!("UnwrapKey with {what}"), rv, expected);
    }
    // What may not leave the token.
    let locked = world.setup.app.secret(session, 32, &[]).unwrap();
    let trusted = [flag(A::EXTRACTABLE, true), flag(A::WRAP_WITH_TRUSTED, true)];
    let trusted = world.setup.app.secret(session, 32, &trusted).unwrap();
    let wrap =
        |mechanism: &Mechanism, with, key| raw.wrap_key(session, mechanism, with, key, Room::Bytes(512)).rv;
    sheet.expect("WrapKey of an unextractable key", wrap(&kwp, world.aes, locked), Rv::KEY_UNEXTRACTABLE);
    sheet.expect("WrapKey of a key for trusted ones", wrap(&kwp, world.aes, trusted), Rv::KEY_NOT_WRAPPABLE);
    sheet.expect("WrapKey of a public key", wrap(&kwp, world.aes, world.rsa.0), Rv::KEY_NOT_WRAPPABLE);
    let long = world.setup.app.secret(session, 300, &[flag(A::EXTRACTABLE, true)]).unwrap();
    sheet.expect("WrapKey of a long key", wrap(&M::RSA_PKCS.into(), world.rsa.0, long), Rv::KEY_SIZE_RANGE);
    let odd = world.setup.app.secret(session, 17, &[flag(A::EXTRACTABLE, true)]).unwrap();
    sheet.expect(
        "WrapKey of 17 bytes by KW",
        wrap(&M::AES_KEY_WRAP.into(), world.aes, odd),
        Rv::KEY_SIZE_RANGE,
    );
    for key in [long, odd, locked, trusted] {
        raw.destroy_object(session, key).unwrap();
    }
}

fn derive(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let good = [class(ObjectClass::SECRET_KEY), key_type(KeyType::AES), ulong(A::VALUE_LEN, 16)];
    let rows: Vec<(&str, Vec<Attribute>, Rv)> = vec![
        (
            "a class that is not derived",
            vec![class(ObjectClass::PUBLIC_KEY), key_type(KeyType::RSA)],
            INCONSISTENT,
        ),
        ("a key of RSA", with(&good[..1], &[key_type(KeyType::RSA)]), INCONSISTENT),
        (
            "more bytes than a digest has",
            with(&good, &[key_type(KeyType::GENERIC_SECRET), ulong(A::VALUE_LEN, 33)]),
            INCONSISTENT,
        ),
        ("an AES key of 17 bytes", with(&good, &[ulong(A::VALUE_LEN, 17)]), Rv::KEY_SIZE_RANGE),
        ("no bytes", with(&good, &[ulong(A::VALUE_LEN, 0)]), Rv::KEY_SIZE_RANGE),
        ("a value", with(&good, &[bytes(A::VALUE, [1; 16])]), INCONSISTENT),
        ("CKA_LOCAL", with(&good, &[flag(A::LOCAL, true)]), READ_ONLY),
        ("CKA_TRUSTED", with(&good, &[flag(A::TRUSTED, true)]), READ_ONLY),
        ("an unknown attribute", with(&good, &[bytes(A(0x7fff_ffff), "?")]), TYPE),
        ("a date of letters", with(&good, &[bytes(A::START_DATE, "tomorrow")]), VALUE),
    ];
    for (what, template, expected) in rows {
        let rv = raw.derive_key(session, &M::SHA256_KEY_DERIVATION.into(), world.secret, &template);
        sheet.expect(format!("DeriveKey with {what}"), rv, expected);
    }
}

fn change(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let tight = [flag(A::EXTRACTABLE, false), flag(A::SENSITIVE, true)];
    let key = world.setup.app.aes(session, 16, &tight).unwrap();
    let rows: Vec<(&str, Attribute, Rv)> = vec![
        ("CKA_CLASS", class(ObjectClass::DATA), READ_ONLY),
        ("CKA_KEY_TYPE", key_type(KeyType::DES3), READ_ONLY),
        ("CKA_VALUE", bytes(A::VALUE, [2; 16]), READ_ONLY),
        ("CKA_VALUE_LEN", ulong(A::VALUE_LEN, 32), READ_ONLY),
        ("CKA_LOCAL", flag(A::LOCAL, true), READ_ONLY),
        ("CKA_UNIQUE_ID", bytes(A::UNIQUE_ID, "1"), READ_ONLY),
        ("CKA_KEY_GEN_MECHANISM", ulong(A::KEY_GEN_MECHANISM, 1), READ_ONLY),
        ("CKA_ALWAYS_SENSITIVE", flag(A::ALWAYS_SENSITIVE, false), READ_ONLY),
        ("CKA_NEVER_EXTRACTABLE", flag(A::NEVER_EXTRACTABLE, false), READ_ONLY),
        ("CKA_ALLOWED_MECHANISMS", mechanisms(&[M::AES_ECB]), READ_ONLY),
        ("CKA_SENSITIVE to false", flag(A::SENSITIVE, false), READ_ONLY),
        ("CKA_EXTRACTABLE to true", flag(A::EXTRACTABLE, true), READ_ONLY),
        ("CKA_TRUSTED", flag(A::TRUSTED, true), READ_ONLY),
        ("CKA_MODULUS", bytes(A::MODULUS, [1]), TYPE),
        ("an unknown attribute", bytes(A(0x7fff_ffff), "?"), TYPE),
        ("a flag of two bytes", bytes(A::ENCRYPT, [1, 1]), VALUE),
        ("a date of letters", bytes(A::END_DATE, "tomorrow"), VALUE),
    ];
    for (what, attribute, expected) in rows {
        let rv = raw.set_attributes(session, key, std::slice::from_ref(&attribute));
        sheet.expect(format!("SetAttributeValue of {what}"), rv, expected);
        let rv = raw.copy_object(session, key, &[attribute]);
        sheet.expect(format!("CopyObject with {what}"), rv, expected);
    }
    for (what, attribute) in [("CKA_TOKEN", token(true)), ("CKA_PRIVATE", flag(A::PRIVATE, false))] {
        let rv = raw.set_attributes(session, key, &[attribute]);
        sheet.expect(format!("SetAttributeValue of {what}"), rv, READ_ONLY);
    }
    let rv = raw.copy_object(session, key, &[flag(A::PRIVATE, false)]);
    sheet.expect("CopyObject of a private object to a public one", rv, INCONSISTENT);
    raw.destroy_object(session, key).unwrap();
    let rows = [
        ("SetAttributeValue of what is not modifiable", flag(A::MODIFIABLE, false)),
        ("CopyObject of what is not copyable", flag(A::COPYABLE, false)),
        ("DestroyObject of what is not destroyable", flag(A::DESTROYABLE, false)),
    ];
    let app = Application::on(world.setup.daemon);
    let session = app.open(&world.setup.ring);
    for (index, (what, attribute)) in rows.into_iter().enumerate() {
        let object = app.raw.create_object(session, &[class(ObjectClass::DATA), attribute]).unwrap();
        let rv = match index {
            0 => app.raw.set_attributes(session, object, &[label("x")]).err(),
            1 => app.raw.copy_object(session, object, &[]).err(),
            _ => app.raw.destroy_object(session, object).err(),
        };
        sheet.expect(what, rv.unwrap_or(Rv::OK), Rv::ACTION_PROHIBITED);
    }
    for (what, r#type, rv) in [
        ("a sensitive value", A::VALUE, Rv::ATTRIBUTE_SENSITIVE),
        ("another type's", A::MODULUS, Rv::ATTRIBUTE_TYPE_INVALID),
        ("nobody's", A(0x7fff_ffff), Rv::ATTRIBUTE_TYPE_INVALID),
    ] {
        let told = raw.attribute_values(world.session, world.aes, &[(r#type, Room::Bytes(64))]).0;
        sheet.expect(format!("GetAttributeValue of {what}"), told, rv);
    }
}
