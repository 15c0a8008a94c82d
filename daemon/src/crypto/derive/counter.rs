//! The three modes of SP 800-108 Rev. 1, with the data in the order that the caller gives it (PKCS#11 3.2, 6.42).

use claviger_protocol::Bytes;
use claviger_protocol::MechanismType as M;
use claviger_protocol::mechanism::{Cipher, Hash, Sp800108};
use claviger_protocol::params::{CounterFormat, Params, PrfData};
use zeroize::Zeroizing;

use super::{FurtherKey, Secret, Wanted};
use crate::crypto::algorithm::hash_row;
use crate::crypto::key::Key;
use crate::crypto::mac::Mac;
use crate::error::{Error, Result};

/// `CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS`
const SUM_OF_KEYS: u64 = 1;
/// `CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS`
const SUM_OF_SEGMENTS: u64 = 2;
/// Most key material in bytes that one call derives.
const MOST: usize = 1 << 20;

/// A pseudo-random function.
#[derive(Clone, Copy)]
enum Prf {
    Hmac(Hash),
    Cmac(Cipher),
}

/// The pseudo-random functions by the mechanism that stands for them.
const PRFS: &[(M, Prf)] = &[
    (M::SHA_1_HMAC, Prf::Hmac(Hash::Sha1)),
    (M::SHA224_HMAC, Prf::Hmac(Hash::Sha224)),
    (M::SHA256_HMAC, Prf::Hmac(Hash::Sha256)),
    (M::SHA384_HMAC, Prf::Hmac(Hash::Sha384)),
    (M::SHA512_HMAC, Prf::Hmac(Hash::Sha512)),
    (M::SHA512_224_HMAC, Prf::Hmac(Hash::Sha512_224)),
    (M::SHA512_256_HMAC, Prf::Hmac(Hash::Sha512_256)),
    (M::SHA3_224_HMAC, Prf::Hmac(Hash::Sha3_224)),
    (M::SHA3_256_HMAC, Prf::Hmac(Hash::Sha3_256)),
    (M::SHA3_384_HMAC, Prf::Hmac(Hash::Sha3_384)),
    (M::SHA3_512_HMAC, Prf::Hmac(Hash::Sha3_512)),
    (M::AES_CMAC, Prf::Cmac(Cipher::Aes)),
    (M::DES3_CMAC, Prf::Cmac(Cipher::Des3)),
];

impl Prf {
    fn length(self) -> usize {
        match self {
            Prf::Hmac(hash) => hash_row(hash).length,
            Prf::Cmac(Cipher::Des3) => 8,
            Prf::Cmac(_) => 16,
        }
    }

    fn run(self, key: &[u8], data: &[u8]) -> Result<Bytes> {
        let mut mac = match self {
            Prf::Hmac(hash) => Mac::hmac(hash, key)?,
            Prf::Cmac(cipher) => Mac::cmac(cipher, key).map_err(|_| Error::KeyTypeInconsistent)?,
        };
        mac.update(data)?;
        mac.finish()
    }
}

/// One part of the data, ready to be written.
enum Part {
    /// The same in every round.
    Fixed(Secret),
    /// The number of the round.
    Counter(CounterFormat),
    /// The last output, or in double-pipeline mode the last of the first pipeline.
    Iteration,
}

/// Derives the keys of `wanted`, each from segments of its own.
pub fn derive(
    mode: Sp800108,
    params: &Params,
    base: &Key,
    further: FurtherKey,
    wanted: &[Wanted],
) -> Result<Vec<Key>> {
    let Params::Sp800108 { prf, data, iv, .. } = params else { return Err(Error::MechanismParamInvalid) };
    let prf = PRFS.iter().find(|row| row.0 == *prf).ok_or(Error::MechanismParamInvalid)?.1;
    let base = base.secret()?;
    let lengths = wanted.iter().map(|wanted| wanted.any_length()).collect::<Result<Vec<_>>>()?;
    let segment = prf.length();
    let keys = lengths.iter().sum::<usize>();
    let segments = lengths.iter().map(|length| length.div_ceil(segment)).sum::<usize>();
    if segments * segment > MOST {
        return Err(Error::KeySizeRange);
    }
    let parts = parts(mode, data, further, keys, segments * segment)?;
    let fixed: Secret = Zeroizing::new(
        parts
            .iter()
            .filter_map(|part| if let Part::Fixed(bytes) = part { Some(&bytes[..]) } else { None })
            .flatten()
            .copied()
            .collect(),
    );
    let mut iteration = match mode {
        Sp800108::Counter => Bytes::default(),
        Sp800108::Feedback => iv.clone().unwrap_or_default(),
        // A(0); SP 800-108, 4.3
        Sp800108::DoublePipeline => Bytes::from(&fixed[..]),
    };
    let mut output = Zeroizing::new(Vec::with_capacity(segments * segment));
    for round in 1..=segments as u64 {
        if mode == Sp800108::DoublePipeline {
            iteration = prf.run(base, &iteration)?;
        }
        let mut input = Zeroizing::new(Vec::new());
        for part in &parts {
            match part {
                Part::Fixed(bytes) => input.extend_from_slice(bytes),
                Part::Counter(format) => input.extend(number(*format, round)?),
                Part::Iteration => input.extend_from_slice(&iteration),
            }
        }
        let segment = prf.run(base, &input)?;
        output.extend_from_slice(&segment);
        if mode == Sp800108::Feedback {
            iteration = segment;
        }
    }
    let mut start = 0;
    let mut made = Vec::with_capacity(wanted.len());
    for (wanted, length) in wanted.iter().zip(lengths) {
        made.push(wanted.key(&output[start..start + length])?);
        start += length.div_ceil(segment) * segment;
    }
    Ok(made)
}

/// The parts of the data. The iteration variable must be there once, and is the counter in counter mode alone; a
/// counter besides it is for the other modes, and at most one.
fn parts(
    mode: Sp800108,
    data: &[PrfData],
    further: FurtherKey,
    keys: usize,
    segments: usize,
) -> Result<Vec<Part>> {
    let count = |wanted: fn(&PrfData) -> bool| data.iter().filter(|datum| wanted(datum)).count();
    let counters = count(|datum| matches!(datum, PrfData::Counter(_)));
    let valid = count(|datum| matches!(datum, PrfData::Iteration(_))) == 1
        && count(|datum| matches!(datum, PrfData::DkmLength { .. })) <= 1
        && counters <= usize::from(mode != Sp800108::Counter);
    if !valid {
        return Err(Error::MechanismParamInvalid);
    }
    data.iter()
        .map(|datum| {
            Ok(match (datum, mode) {
                (PrfData::Iteration(Some(format)), Sp800108::Counter) => {
                    counter_width(*format)?;
                    Part::Counter(*format)
                }
                (PrfData::Iteration(None), Sp800108::Feedback | Sp800108::DoublePipeline) => Part::Iteration,
                (PrfData::Iteration(_), _) => return Err(Error::MechanismParamInvalid),
                (PrfData::Counter(format), _) => {
                    counter_width(*format)?;
                    Part::Counter(*format)
                }
                (PrfData::DkmLength { method, format }, _) => {
                    let length = match *method {
                        SUM_OF_KEYS => keys,
                        SUM_OF_SEGMENTS => segments,
                        _ => return Err(Error::MechanismParamInvalid),
                    };
                    Part::Fixed(Zeroizing::new(number(*format, length as u64 * 8)?))
                }
                (PrfData::Bytes(bytes), _) => Part::Fixed(Zeroizing::new(bytes.to_vec())),
                (PrfData::Key(handle), _) => {
                    Part::Fixed(Zeroizing::new(further(*handle)?.secret()?.to_vec()))
                }
            })
        })
        .collect()
}

/// SP 800-108, 4: a counter has at most 32 bits.
fn counter_width(format: CounterFormat) -> Result<()> {
    if matches!(format.width_bits, 8 | 16 | 24 | 32) { Ok(()) } else { Err(Error::MechanismParamInvalid) }
}

/// A number in the format given. `MechanismParamInvalid` when it does not fit, or the width is no whole bytes.
fn number(format: CounterFormat, number: u64) -> Result<Vec<u8>> {
    let width = format.width_bits;
    if !width.is_multiple_of(8) || !(8..=64).contains(&width) || width < 64 && number >> width != 0 {
        return Err(Error::MechanismParamInvalid);
    }
    let mut bytes = number.to_be_bytes()[8 - (width / 8) as usize..].to_vec();
    if format.little_endian {
        bytes.reverse();
    }
    Ok(bytes)
}
