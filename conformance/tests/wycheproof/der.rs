//! As much DER (X.690) as a PKCS#11 application needs: it gives the token `r || s` and points, not encodings.

/// Reads one element: its tag, its content, and what follows. `None` unless it is DER.
pub fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
            // The shortest form is the only one.
            if octets[0] == 0 || length < 0x80 {
                return None;
            }
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// An element of this tag that is all there is.
fn only(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    match element(bytes)? {
        (found, content, []) if found == tag => Some(content),
        _ => None,
    }
}

/// `r || s` of the `SEQUENCE` of both that signatures of DSA and ECDSA are elsewhere (RFC 3279, 2.2.2), each in
/// `length` bytes. `None` when it is not DER, and when a number is negative or does not fit.
pub fn signature(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let content = only(0x30, der)?;
    let (r_tag, r, rest) = element(content)?;
    let s = only(0x02, rest)?;
    if r_tag != 0x02 {
        return None;
    }
    Some([fixed(r, length)?, fixed(s, length)?].concat())
}

fn fixed(integer: &[u8], length: usize) -> Option<Vec<u8>> {
    let magnitude = match integer {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => return None,
        [0, magnitude @ ..] => magnitude,
        magnitude => magnitude,
    };
    let zeros = length.checked_sub(magnitude.len())?;
    Some([&vec![0; zeros][..], magnitude].concat())
}

/// The point of a `SubjectPublicKeyInfo` of a key on the named curve (RFC 5480). `None` for any other encoding,
/// curve or parameters.
pub fn point<'a>(spki: &'a [u8], curve: &[u8]) -> Option<&'a [u8]> {
    /// 1.2.840.10045.2.1, id-ecPublicKey.
    const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    let (tag, algorithm, key) = element(only(0x30, spki)?)?;
    if tag != 0x30 || algorithm != [EC_PUBLIC_KEY, curve].concat() {
        return None;
    }
    match only(0x03, key)? {
        [0, point @ ..] => Some(point),
        _ => None,
    }
}

/// An `OCTET STRING`, which `CKA_EC_POINT` is.
pub fn octet_string(content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match length {
        0..0x80 => vec![0x04, length as u8],
        0x80..0x100 => vec![0x04, 0x81, length as u8],
        _ => vec![0x04, 0x82, (length >> 8) as u8, length as u8],
    };
    [header, content.to_vec()].concat()
}

/// A number without leading zeros, as PKCS#11 has big integers.
pub fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros.min(bytes.len().saturating_sub(1))..]
}

#[test]
fn signatures_are_taken_apart() {
    assert_eq!(signature(&[0x30, 6, 2, 1, 5, 2, 1, 0], 2), Some(vec![0, 5, 0, 0]));
    assert_eq!(signature(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 1], 1), Some(vec![0x80, 1]));
    for wrong in [
        &[0x30, 6, 2, 1, 5, 2, 1, 0, 0][..],
        &[0x30, 7, 2, 2, 0, 5, 2, 1, 0],
        &[0x30, 6, 2, 1, 0x85, 2, 1, 0],
        &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 0],
        &[0x30, 5, 2, 1, 5, 2, 0],
        &[0x30, 7, 2, 2, 1, 0, 2, 1, 0],
        &[],
    ] {
        assert_eq!(signature(wrong, 1), None, "{wrong:02x?}");
    }
}
