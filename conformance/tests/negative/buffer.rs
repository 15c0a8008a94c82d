//! Buffers that are too small: the length that is needed is told, nothing is lost, and the next call succeeds.

use claviger_conformance::prelude::*;

use crate::sheet::Sheet;
use crate::world::World;

pub fn cases(sheet: &mut Sheet) {
    let world = World::new();
    one_shot(sheet, &world);
    last(sheet, &world);
    updates(sheet, &world);
    others(sheet, &world);
}

/// Rooms that are too small for so many bytes.
fn small(length: usize) -> Vec<usize> {
    if length == 1 { vec![0] } else { vec![0, length - 1] }
}

fn one_shot(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    let iv = [7; 16];
    let bytes = |r#type| Mechanism::bytes(r#type, &iv);
    let rows: Vec<(Operation, Mechanism, u64, usize, usize)> = vec![
        (Operation::Encrypt, M::AES_ECB.into(), world.aes, 32, 32),
        (Operation::Encrypt, bytes(M::AES_CBC), world.aes, 32, 32),
        (Operation::Encrypt, bytes(M::AES_CBC_PAD), world.aes, 32, 48),
        (Operation::Encrypt, bytes(M::AES_CTS), world.aes, 33, 33),
        (Operation::Encrypt, bytes(M::AES_OFB), world.aes, 5, 5),
        (Operation::Encrypt, Mechanism::ctr(128, iv), world.aes, 5, 5),
        (Operation::Encrypt, Mechanism::gcm(&iv[..12], b"", 128), world.aes, 5, 21),
        (Operation::Encrypt, M::AES_KEY_WRAP.into(), world.aes, 16, 24),
        (Operation::Encrypt, M::AES_KEY_WRAP_KWP.into(), world.aes, 5, 16),
        (Operation::Encrypt, M::RSA_PKCS.into(), world.rsa.0, 16, 256),
        (Operation::Encrypt, M::RSA_X_509.into(), world.rsa.0, 16, 256),
        (Operation::Encrypt, Mechanism::oaep(M::SHA256, 2, 1, b""), world.rsa.0, 16, 256),
        (Operation::Digest, M::SHA256.into(), 0, 3, 32),
        (Operation::Digest, M::SHA_1.into(), 0, 3, 20),
        (Operation::Digest, M::SHA3_512.into(), 0, 3, 64),
        (Operation::Digest, M::BLAKE2B_160.into(), 0, 3, 20),
        (Operation::Sign, M::SHA256_HMAC.into(), world.secret, 3, 32),
        (Operation::Sign, Mechanism::ulong(M::SHA256_HMAC_GENERAL, 7), world.secret, 3, 7),
        (Operation::Sign, M::AES_CMAC.into(), world.aes, 3, 16),
        (Operation::Sign, M::ECDSA.into(), world.ec.1, 32, 64),
        (Operation::Sign, M::ECDSA_SHA256.into(), world.ec.1, 3, 64),
        (Operation::Sign, M::SHA256_RSA_PKCS.into(), world.rsa.1, 3, 256),
        (Operation::Sign, Mechanism::pss(M::SHA256_RSA_PKCS_PSS, M::SHA256, 2, 32), world.rsa.1, 3, 256),
        (Operation::SignRecover, M::RSA_PKCS.into(), world.rsa.1, 3, 256),
    ];
    for (operation, mechanism, key, input, output) in rows {
        let data = vec![1; input];
        assert_eq!(raw.start(operation, session, Some(&mechanism), key), Ok(()), "{}", mechanism.r#type);
        for room in small(output) {
            let answer = raw.one_shot(operation, session, &data, Room::Bytes(room));
            let what = format!("{operation:?} {} with {room} of {output} bytes", mechanism.r#type);
            let told = if answer.length as usize >= output { Rv::OK } else { Rv::DATA_LEN_RANGE };
            sheet.sure(format!("{what}: the length"), told, Rv::OK);
            sheet.expect(what, answer, Rv::BUFFER_TOO_SMALL);
        }
        let whole = raw.one_shot(operation, session, &data, Room::Bytes(output));
        sheet.sure(format!("{operation:?} {} afterwards", mechanism.r#type), whole, Rv::OK);
    }
    // What has to be decrypted before its length is known.
    let encrypt = |mechanism: &Mechanism, key, data: &[u8]| {
        raw.start(Operation::Encrypt, session, Some(mechanism), key).unwrap();
        raw.one_shot(Operation::Encrypt, session, data, Room::Bytes(512)).unwrap()
    };
    for (mechanism, keys) in [
        (bytes(M::AES_CBC_PAD), (world.aes, world.aes)),
        (Mechanism::gcm(&iv[..12], b"", 128), (world.aes, world.aes)),
        (Mechanism::oaep(M::SHA256, 2, 1, b""), world.rsa),
        (M::RSA_PKCS.into(), world.rsa),
    ] {
        let encrypted = encrypt(&mechanism, keys.0, b"five!");
        raw.start(Operation::Decrypt, session, Some(&mechanism), keys.1).unwrap();
        for room in small(5) {
            let answer = raw.one_shot(Operation::Decrypt, session, &encrypted, Room::Bytes(room));
            let what = format!("Decrypt {} with {room} of 5 bytes", mechanism.r#type);
            sheet.expect(what, answer, Rv::BUFFER_TOO_SMALL);
        }
        let answer = raw.one_shot(Operation::Decrypt, session, &encrypted, Room::Bytes(5));
        sheet.sure(format!("Decrypt {} afterwards", mechanism.r#type), answer, Rv::OK);
    }
    raw.start(Operation::SignRecover, session, Some(&M::RSA_PKCS.into()), world.rsa.1).unwrap();
    let signature = raw.one_shot(Operation::SignRecover, session, b"data", Room::Bytes(256)).unwrap();
    raw.start(Operation::VerifyRecover, session, Some(&M::RSA_PKCS.into()), world.rsa.0).unwrap();
    for room in small(4) {
        let answer = raw.one_shot(Operation::VerifyRecover, session, &signature, Room::Bytes(room));
        sheet.expect(format!("VerifyRecover with {room} of 4 bytes"), answer, Rv::BUFFER_TOO_SMALL);
    }
    let answer = raw.one_shot(Operation::VerifyRecover, session, &signature, Room::Bytes(4));
    sheet.sure("VerifyRecover afterwards", answer, Rv::OK);
}

fn last(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    for (operation, mechanism, key, output) in [
        (Operation::Digest, Mechanism::new(M::SHA384), 0, 48),
        (Operation::Sign, M::SHA512_HMAC.into(), world.secret, 64),
        (Operation::Sign, M::ECDSA_SHA384.into(), world.ec.1, 64),
        (Operation::Encrypt, Mechanism::bytes(M::AES_CBC_PAD, &[7; 16]), world.aes, 16),
        (Operation::Encrypt, Mechanism::gcm(&[7; 12], b"", 96), world.aes, 12),
    ] {
        raw.start(operation, session, Some(&mechanism), key).unwrap();
        let fed = match operation {
            Operation::Encrypt => raw.update(operation, session, &[1; 16], Room::Bytes(32)).rv,
            _ => raw.feed(operation, session, &[1; 16]).err().unwrap_or(Rv::OK),
        };
        assert_eq!(fed, Rv::OK);
        for room in small(output) {
            let what = format!("{operation:?}Final {} with {room} of {output} bytes", mechanism.r#type);
            sheet.expect(what, raw.finish(operation, session, Room::Bytes(room)), Rv::BUFFER_TOO_SMALL);
        }
        let what = format!("{operation:?}Final {} afterwards", mechanism.r#type);
        sheet.sure(what, raw.finish(operation, session, Room::Bytes(output)), Rv::OK);
    }
}

fn updates(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    for operation in [Operation::Encrypt, Operation::Decrypt] {
        world.start(operation);
        for room in small(32) {
            let answer = raw.update(operation, session, &[1; 32], Room::Bytes(room));
            sheet.expect(
                format!("{operation:?}Update with {room} of 32 bytes"),
                answer,
                Rv::BUFFER_TOO_SMALL,
            );
        }
        let answer = raw.update(operation, session, &[1; 32], Room::Bytes(32));
        sheet.sure(format!("{operation:?}Update afterwards"), answer, Rv::OK);
        world.cancel(operation);
    }
    for (name, operations) in DUAL {
        for operation in *operations {
            world.start(operation);
        }
        for room in small(32) {
            let answer = raw.dual(name, session, &[1; 32], Room::Bytes(room));
            sheet.expect(format!("{name} with {room} of 32 bytes"), answer, Rv::BUFFER_TOO_SMALL);
        }
        sheet.sure(format!("{name} afterwards"), raw.dual(name, session, &[1; 32], Room::Bytes(32)), Rv::OK);
        for operation in *operations {
            world.cancel(operation);
        }
    }
}

/// The dual-function calls and the operations that they need.
pub const DUAL: &[(&str, [Operation; 2])] = &[
    ("DigestEncryptUpdate", [Operation::Digest, Operation::Encrypt]),
    ("DecryptDigestUpdate", [Operation::Decrypt, Operation::Digest]),
    ("SignEncryptUpdate", [Operation::Sign, Operation::Encrypt]),
    ("DecryptVerifyUpdate", [Operation::Decrypt, Operation::Verify]),
];

fn others(sheet: &mut Sheet, world: &World) {
    let (raw, session) = (world.raw(), world.session);
    for room in [0, 1] {
        let what = format!("GetSlotList with room for {room}");
        sheet.expect(what, raw.slots(true, Some(room)).0, Rv::BUFFER_TOO_SMALL);
        let what = format!("GetMechanismList with room for {room}");
        sheet.expect(what, raw.mechanisms(world.slot, Some(room)).0, Rv::BUFFER_TOO_SMALL);
    }
    for room in [0, 1, 2] {
        let (rv, count) = raw.interface_count(room);
        sheet.expect(format!("GetInterfaceList with room for {room}"), rv, Rv::BUFFER_TOO_SMALL);
        sheet.sure("the number of interfaces", if count == 3 { Rv::OK } else { Rv::DATA_INVALID }, Rv::OK);
    }
    for (r#type, length) in [(A::LABEL, 5), (A::CLASS, 8), (A::TOKEN, 1), (A::CHECK_VALUE, 3)] {
        let key = raw.copy_object(session, world.aes, &[label("label")]).unwrap();
        for room in small(length) {
            let (rv, values) = raw.attribute_values(session, key, &[(r#type, Room::Bytes(room))]);
            sheet.expect(format!("{type} with {room} of {length} bytes"), rv, Rv::BUFFER_TOO_SMALL);
            let told = if values[0].0 == u64::MAX { Rv::OK } else { Rv::DATA_INVALID };
            sheet.sure(format!("the length of {type}"), told, Rv::OK);
        }
    }
    for (mechanism, with, output) in [
        (Mechanism::new(M::AES_KEY_WRAP), world.aes, 40),
        (M::AES_KEY_WRAP_KWP.into(), world.aes, 40),
        (Mechanism::bytes(M::AES_CBC_PAD, &[7; 16]), world.aes, 48),
        (M::RSA_PKCS.into(), world.rsa.0, 256),
    ] {
        for room in small(output) {
            let answer = raw.wrap_key(session, &mechanism, with, world.secret, Room::Bytes(room));
            let what = format!("WrapKey {} with {room} of {output} bytes", mechanism.r#type);
            sheet.expect(what, answer, Rv::BUFFER_TOO_SMALL);
        }
        let answer = raw.wrap_key(session, &mechanism, with, world.secret, Room::Bytes(output));
        sheet.sure(format!("WrapKey {} afterwards", mechanism.r#type), answer, Rv::OK);
    }
    world.start(Operation::Digest);
    let size = raw.operation_state(session, Room::Query).length as usize;
    for room in small(size) {
        let answer = raw.operation_state(session, Room::Bytes(room));
        sheet.expect(format!("GetOperationState with {room} bytes"), answer, Rv::BUFFER_TOO_SMALL);
    }
    world.cancel(Operation::Digest);
}
