//! The little DER (X.690) that PKCS#11 attributes are made of: one element, tag and content.

/// Tags of X.680.
pub const INTEGER: u8 = 0x02;
/// `BIT STRING`
pub const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`
pub const OCTET_STRING: u8 = 0x04;
/// `NULL`: `implicitCurve` in `CKA_EC_PARAMS`.
pub const NULL: u8 = 0x05;
/// `OBJECT IDENTIFIER`
pub const OID: u8 = 0x06;
/// `PrintableString`
pub const PRINTABLE_STRING: u8 = 0x13;
/// `SEQUENCE`: explicit parameters in `CKA_EC_PARAMS`.
pub const SEQUENCE: u8 = 0x30;

/// Tag and content of `der`, which must be exactly one element in the shortest form.
pub fn element(der: &[u8]) -> Option<(u8, &[u8])> {
    first(der).filter(|(.., rest)| rest.is_empty()).map(|(tag, content, _)| (tag, content))
}

/// Tag and content of the first element of `der`, and what is behind it.
pub fn first(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, content) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, content) = rest.split_at_checked(usize::from(first - 0x80))?;
            let value = length.iter().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
            if length[0] == 0 || value < 0x80 {
                return None;
            }
            (value, content)
        }
        _ => return None,
    };
    let (content, rest) = content.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// An `OCTET STRING` of these bytes.
pub fn octet_string(content: &[u8]) -> Vec<u8> {
    of(OCTET_STRING, &[content])
}

/// An `INTEGER`, from the bytes of a number that is not negative.
pub fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = &number[zeros..];
    match significant.first() {
        Some(0..=0x7f) => of(INTEGER, &[significant]),
        // Else it would be negative, or empty.
        _ => of(INTEGER, &[&[0], significant]),
    }
}

/// An element with this tag, whose content is these parts one after the other.
pub fn of(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = parts.iter().map(|part| part.len()).sum::<usize>().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match significant {
        [] => der.push(0),
        [short @ 0..=0x7f] => der.push(*short),
        long => {
            der.push(0x80 | long.len() as u8);
            der.extend_from_slice(long);
        }
    }
    parts.iter().for_each(|part| der.extend_from_slice(part));
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octet_strings_come_back() {
        for length in [0, 1, 65, 127, 128, 133, 255, 256, 70000] {
            let content = vec![7; length];
            assert_eq!(element(&octet_string(&content)), Some((OCTET_STRING, &content[..])));
        }
    }

    #[test]
    fn integers_are_never_negative_and_as_short_as_can_be() {
        for (number, content) in [
            (&[][..], &[0][..]),
            (&[0, 0], &[0]),
            (&[0, 1], &[1]),
            (&[0x80], &[0, 0x80]),
            (&[0x7f, 1], &[0x7f, 1]),
        ] {
            assert_eq!(element(&integer(number)), Some((INTEGER, content)));
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        let wrong: [&[u8]; 8] = [
            &[],
            &[4],
            &[4, 2, 1],
            &[4, 1, 1, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 1],
            &[4, 0x82, 0, 0x80],
            &[4, 0xff],
        ];
        for der in wrong {
            assert_eq!(element(der), None, "{der:?}");
        }
    }
}
