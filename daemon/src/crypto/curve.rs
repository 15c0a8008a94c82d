//! The table of named curves, and the forms in which `CKA_EC_PARAMS` and `CKA_EC_POINT` name a curve and a
//! point (PKCS#11 3.2, 6.3; RFC 5480; RFC 8410).

use claviger_protocol::KeyType;
use claviger_protocol::mechanism::CurveKind;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcPoint, PointConversionForm};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKeyRef};

use super::{der, ffi};
use crate::error::{Error, Result};

/// One curve.
pub struct Curve {
    /// Its kind.
    pub kind: CurveKind,
    /// OpenSSL's name: of the group on a Weierstrass curve, of the algorithm else.
    pub name: &'static str,
    /// `CKA_EC_PARAMS` as we give it: the object identifier in DER.
    pub oid: &'static [u8],
    /// Other parameters that mean it, as some clients spell them.
    other_params: &'static [&'static [u8]],
    /// Names that a `PrintableString` may give it.
    names: &'static [&'static str],
    /// Its size in bits, in the sense of the mechanism table.
    pub bits: u64,
    /// The length of a field element or, on curves that are not Weierstrass, of a public key, in bytes.
    field: usize,
    /// OpenSSL's number of it.
    nid: Nid,
}

const fn weierstrass(
    name: &'static str,
    names: &'static [&'static str],
    oid: &'static [u8],
    bits: u64,
    nid: Nid,
) -> Curve {
    let field = bits.div_ceil(8) as usize;
    Curve { kind: CurveKind::Weierstrass, name, oid, other_params: &[], names, bits, field, nid }
}

/// Curves over prime fields. Those of less than 224 bits are below every current recommendation (SP 800-186), so that
/// only the profile `legacy` has them. Edwards and Montgomery curves have the identifiers of RFC 8410, and the older ones that
/// PKCS#11 3.0 took from GnuPG.
pub const CURVES: &[Curve] = &[
    weierstrass(
        "prime256v1",
        &["secp256r1", "P-256"],
        b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        256,
        Nid::X9_62_PRIME256V1,
    ),
    weierstrass("secp384r1", &["P-384"], b"\x06\x05\x2b\x81\x04\x00\x22", 384, Nid::SECP384R1),
    weierstrass("secp521r1", &["P-521"], b"\x06\x05\x2b\x81\x04\x00\x23", 521, Nid::SECP521R1),
    weierstrass("secp224r1", &["P-224"], b"\x06\x05\x2b\x81\x04\x00\x21", 224, Nid::SECP224R1),
    weierstrass(
        "prime192v1",
        &["secp192r1", "P-192"],
        b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x01",
        192,
        Nid::X9_62_PRIME192V1,
    ),
    weierstrass("secp192k1", &[], b"\x06\x05\x2b\x81\x04\x00\x1f", 192, Nid::SECP192K1),
    weierstrass("brainpoolP192r1", &[], &brainpool(3), 192, Nid::BRAINPOOL_P192R1),
    weierstrass("secp224k1", &[], b"\x06\x05\x2b\x81\x04\x00\x20", 224, Nid::SECP224K1),
    weierstrass("secp256k1", &[], b"\x06\x05\x2b\x81\x04\x00\x0a", 256, Nid::SECP256K1),
    weierstrass("brainpoolP224r1", &[], &brainpool(5), 224, Nid::BRAINPOOL_P224R1),
    weierstrass("brainpoolP224t1", &[], &brainpool(6), 224, Nid::BRAINPOOL_P224T1),
    weierstrass("brainpoolP256r1", &[], &brainpool(7), 256, Nid::BRAINPOOL_P256R1),
    weierstrass("brainpoolP256t1", &[], &brainpool(8), 256, Nid::BRAINPOOL_P256T1),
    weierstrass("brainpoolP320r1", &[], &brainpool(9), 320, Nid::BRAINPOOL_P320R1),
    weierstrass("brainpoolP320t1", &[], &brainpool(10), 320, Nid::BRAINPOOL_P320T1),
    weierstrass("brainpoolP384r1", &[], &brainpool(11), 384, Nid::BRAINPOOL_P384R1),
    weierstrass("brainpoolP384t1", &[], &brainpool(12), 384, Nid::BRAINPOOL_P384T1),
    weierstrass("brainpoolP512r1", &[], &brainpool(13), 512, Nid::BRAINPOOL_P512R1),
    weierstrass("brainpoolP512t1", &[], &brainpool(14), 512, Nid::BRAINPOOL_P512T1),
    Curve {
        kind: CurveKind::Edwards,
        name: "ED25519",
        oid: b"\x06\x03\x2b\x65\x70",
        other_params: &[b"\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"],
        names: &["edwards25519"],
        bits: 255,
        field: 32,
        nid: Nid::from_raw(openssl_sys::NID_ED25519),
    },
    Curve {
        kind: CurveKind::Edwards,
        name: "ED448",
        oid: b"\x06\x03\x2b\x65\x71",
        other_params: &[],
        names: &["edwards448"],
        bits: 448,
        field: 57,
        nid: Nid::from_raw(openssl_sys::NID_ED448),
    },
    Curve {
        kind: CurveKind::Montgomery,
        name: "X25519",
        oid: b"\x06\x03\x2b\x65\x6e",
        other_params: &[
            b"\x06\x0a\x2b\x06\x01\x04\x01\x97\x55\x01\x05\x01",
            // The name as pkcs11-tool 0.23 sends it, its length one too much.
            b"\x13\x0bcurve25519",
        ],
        names: &["curve25519"],
        bits: 255,
        field: 32,
        nid: Nid::from_raw(openssl_sys::NID_X25519),
    },
    Curve {
        kind: CurveKind::Montgomery,
        name: "X448",
        oid: b"\x06\x03\x2b\x65\x6f",
        other_params: &[],
        names: &["curve448"],
        bits: 448,
        field: 56,
        nid: Nid::from_raw(openssl_sys::NID_X448),
    },
];

/// 1.3.36.3.3.2.8.1.1.`n` (RFC 5639)
const fn brainpool(n: u8) -> [u8; 11] {
    [0x06, 0x09, 0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, n]
}

impl Curve {
    /// The curve that `CKA_EC_PARAMS` names, by object identifier or printable name.
    ///
    /// `DomainParamsInvalid` when `params` is not DER; `CurveNotSupported` for curves not in the table, explicit
    /// parameters and `implicitCurve`.
    pub fn from_params(params: &[u8]) -> Result<&'static Curve> {
        if let Some(curve) = CURVES.iter().find(|curve| curve.other_params.contains(&params)) {
            return Ok(curve);
        }
        let (tag, content) = der::element(params).ok_or(Error::DomainParamsInvalid)?;
        let found = match tag {
            der::OID => CURVES.iter().find(|curve| curve.oid == params),
            der::PRINTABLE_STRING => CURVES.iter().find(|curve| curve.is_named(content)),
            der::NULL | der::SEQUENCE => None,
            _ => return Err(Error::DomainParamsInvalid),
        };
        found.ok_or(Error::CurveNotSupported)
    }

    /// The curve that a key is on; `CurveNotSupported` for a curve that is not in the table.
    pub fn of<T>(key: &PKeyRef<T>) -> Result<&'static Curve> {
        let id = key.id();
        if id == Id::EC {
            let name = ffi::text(key, c"group").ok_or(Error::CurveNotSupported)?;
            CURVES.iter().find(|curve| curve.is_named(name.as_bytes()))
        } else {
            CURVES.iter().find(|curve| curve.nid.as_raw() == id.as_raw())
        }
        .ok_or(Error::CurveNotSupported)
    }

    /// The curve with this name.
    pub fn named(name: &str) -> Option<&'static Curve> {
        CURVES.iter().find(|curve| curve.is_named(name.as_bytes()))
    }

    /// The type of keys on it.
    pub fn key_type(&self) -> KeyType {
        match self.kind {
            CurveKind::Weierstrass => KeyType::EC,
            CurveKind::Edwards => KeyType::EC_EDWARDS,
            CurveKind::Montgomery => KeyType::EC_MONTGOMERY,
        }
    }

    /// The public key that `CKA_EC_POINT` or a peer gives, bare or as a DER `OCTET STRING`, in the one form that
    /// OpenSSL is given: an uncompressed point, or the bytes of RFC 7748 and RFC 8032.
    ///
    /// `None` when it is no point of the curve.
    pub fn point(&self, given: &[u8]) -> Option<Vec<u8>> {
        // A bare point never has the length of a wrapped one, so the two forms cannot be taken for each other.
        let bare = if self.has_point_length(given) {
            given
        } else {
            match der::element(given)? {
                (der::OCTET_STRING, content) if self.has_point_length(content) => content,
                _ => return None,
            }
        };
        match self.kind {
            CurveKind::Weierstrass => self.uncompressed(bare),
            CurveKind::Edwards | CurveKind::Montgomery => Some(bare.to_vec()),
        }
    }

    /// The `SubjectPublicKeyInfo` of a public key on the curve (RFC 5480, 2; RFC 8410, 4), from its bytes in the form
    /// that [`Curve::point`] gives.
    pub fn public_key_info(&self, point: &[u8]) -> Vec<u8> {
        /// id-ecPublicKey
        const EC_PUBLIC_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
        /// The bits of the last byte of a `BIT STRING` that are not part of it.
        const NO_UNUSED_BITS: &[u8] = &[0];
        let algorithm = match self.kind {
            CurveKind::Weierstrass => der::of(der::SEQUENCE, &[EC_PUBLIC_KEY, self.oid]),
            CurveKind::Edwards | CurveKind::Montgomery => der::of(der::SEQUENCE, &[self.oid]),
        };
        let key = der::of(der::BIT_STRING, &[NO_UNUSED_BITS, point]);
        der::of(der::SEQUENCE, &[&algorithm, &key])
    }

    /// The secret bytes that `CKA_VALUE` of an Edwards or Montgomery key gives, bare or as an `OCTET STRING`
    /// (some clients copy the `CurvePrivateKey` of RFC 8410).
    pub fn private_octets<'a>(&self, given: &'a [u8]) -> Option<&'a [u8]> {
        if given.len() == self.field {
            return Some(given);
        }
        match der::element(given)? {
            (der::OCTET_STRING, content) if content.len() == self.field => Some(content),
            _ => None,
        }
    }

    /// The public point of a private number on a Weierstrass curve, uncompressed.
    pub fn public_point(&self, private: &[u8]) -> Result<Vec<u8>> {
        let group = EcGroup::from_curve_name(self.nid)?;
        let mut context = BigNumContext::new_secure()?;
        let mut number = openssl::bn::BigNum::new_secure()?;
        number.copy_from_slice(private)?;
        number.set_const_time();
        let mut point = EcPoint::new(&group)?;
        point.mul_generator2(&group, &number, &mut context)?;
        Ok(point.to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context)?)
    }

    fn is_named(&self, name: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name)
            || self.names.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name))
    }

    fn has_point_length(&self, bytes: &[u8]) -> bool {
        match self.kind {
            CurveKind::Weierstrass => match bytes.first() {
                Some(2 | 3) => bytes.len() == 1 + self.field,
                Some(4) => bytes.len() == 1 + 2 * self.field,
                _ => false,
            },
            CurveKind::Edwards | CurveKind::Montgomery => bytes.len() == self.field,
        }
    }

    fn uncompressed(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let group = EcGroup::from_curve_name(self.nid).ok()?;
        let mut context = BigNumContext::new().ok()?;
        // Fails for points that are not on the curve.
        let point = EcPoint::from_bytes(&group, bytes, &mut context).ok()?;
        point.to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_known_to_openssl_by_its_identifier() {
        for curve in CURVES {
            assert_eq!(Curve::from_params(curve.oid).unwrap().name, curve.name);
            let printable =
                [&[der::PRINTABLE_STRING, curve.name.len() as u8], curve.name.as_bytes()].concat();
            assert_eq!(Curve::from_params(&printable).unwrap().name, curve.name);
            // OpenSSL's own object table is the second opinion on the identifier.
            let text = openssl::asn1::Asn1Object::from_str(curve.nid.short_name().unwrap()).unwrap();
            assert_eq!(text.as_slice(), der::element(curve.oid).unwrap().1, "{}", curve.name);
            if curve.kind == CurveKind::Weierstrass {
                let group = EcGroup::from_curve_name(curve.nid).unwrap();
                assert_eq!(u64::from(group.degree()), curve.bits);
                let generator = EcPoint::new(&group).map(|mut point| {
                    let one = openssl::bn::BigNum::from_u32(1).unwrap();
                    point.mul_generator2(&group, &one, &mut BigNumContext::new().unwrap()).unwrap();
                    point
                });
                let mut context = BigNumContext::new().unwrap();
                let mut bytes =
                    |form| generator.as_ref().unwrap().to_bytes(&group, form, &mut context).unwrap();
                let plain = bytes(PointConversionForm::UNCOMPRESSED);
                let compressed = bytes(PointConversionForm::COMPRESSED);
                let hybrid = bytes(PointConversionForm::HYBRID);
                assert_eq!(curve.public_point(&[1]).unwrap(), plain);
                assert_eq!(curve.point(&plain).unwrap(), plain);
                assert_eq!(curve.point(&compressed).unwrap(), plain);
                assert_eq!(curve.point(&der::octet_string(&plain)).unwrap(), plain);
                assert_eq!(curve.point(&der::octet_string(&compressed)).unwrap(), plain);
                assert_eq!(curve.point(&hybrid), None);
                let mut wrong = plain;
                *wrong.last_mut().unwrap() ^= 1;
                assert_eq!(curve.point(&wrong), None);
                assert_eq!(curve.point(&[0]), None);
            }
        }
    }

    #[test]
    fn public_key_infos_are_those_of_openssl() {
        for curve in CURVES {
            let key = match curve.kind {
                CurveKind::Weierstrass => {
                    let mut group = EcGroup::from_curve_name(curve.nid).unwrap();
                    group.set_asn1_flag(openssl::ec::Asn1Flag::NAMED_CURVE);
                    let key = openssl::ec::EcKey::generate(&group).unwrap();
                    openssl::pkey::PKey::from_ec_key(key).unwrap()
                }
                _ => match curve.name {
                    "ED25519" => openssl::pkey::PKey::generate_ed25519(),
                    "ED448" => openssl::pkey::PKey::generate_ed448(),
                    "X25519" => openssl::pkey::PKey::generate_x25519(),
                    _ => openssl::pkey::PKey::generate_x448(),
                }
                .unwrap(),
            };
            let point = curve.point(&ffi::octets(&key, c"pub").unwrap()).unwrap();
            assert_eq!(curve.public_key_info(&point), key.public_key_to_der().unwrap(), "{}", curve.name);
        }
    }

    #[test]
    fn other_parameters_are_refused() {
        let gnupg = b"\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01";
        assert_eq!(Curve::from_params(gnupg).unwrap().name, "ED25519");
        assert_eq!(Curve::from_params(b"\x13\x0cedwards25519").unwrap().name, "ED25519");
        for params in [&b"\x13\x0acurve25519"[..], b"\x13\x0bcurve25519", b"\x13\x06X25519"] {
            assert_eq!(Curve::from_params(params).unwrap().name, "X25519");
        }
        for unsupported in [&b"\x05\x00"[..], b"\x30\x00", b"\x06\x05\x2b\x81\x04\x00\x01", b"\x13\x04nope"] {
            assert_eq!(Curve::from_params(unsupported).err(), Some(Error::CurveNotSupported));
        }
        for invalid in [&b""[..], b"\x06\x05\x2b", b"\x02\x01\x01", b"\x05\x00\x00"] {
            assert_eq!(Curve::from_params(invalid).err(), Some(Error::DomainParamsInvalid));
        }
    }
}
