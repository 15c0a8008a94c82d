//! Blobs that were cut and blobs that were changed: each is refused, and nothing is half done.

use super::*;

/// A version in `IMPORT_FAILED`, into which imports can be tried again and again: one that fails leaves no trace.
fn failed_version(
    fixture: &Fixture,
    algorithm: Algorithm,
    job: &ImportJob,
) -> (Arc<KeyCell>, Arc<VersionCell>) {
    let key = fixture.key(algorithm);
    let mut blob = wrap(job, &[1; 32]);
    blob[5] ^= 1;
    let cell = fixture.import(&key, job, &blob, None).unwrap();
    assert_eq!(cell.record().fate.import_failure_reason, Some(FailureReason::UnwrapFailed));
    (key, cell)
}

#[test]
fn blobs_of_every_shorter_length_are_refused_and_change_nothing() {
    // IMP-07 IMP-24 STA-06
    let fixture = Fixture::new();
    for (method, algorithm, material) in [
        (
            ImportMethod::RsaOaep3072Sha256Aes256,
            Algorithm::EcSignP256Sha256,
            pkcs8(&ec(Nid::X9_62_PRIME256V1)),
        ),
        (ImportMethod::RsaOaep3072Sha256, Algorithm::HmacSha256, vec![7; 32]),
    ] {
        let job = fixture.job(method);
        let (key, cell) = failed_version(&fixture, algorithm, &job);
        let blob = wrap(&job, &material);
        let before = cell.record();
        for length in 0..blob.len() {
            let error = fixture.import(&key, &job, &blob[..length], Some(1)).err().unwrap();
            let reaches_the_key = method.row().check_length(&blob[..length]).is_ok();
            assert_eq!(
                matches!(error, Error::ImportRefused { reason: "UNWRAP_FAILED", .. }),
                reaches_the_key
            );
            assert_eq!(error.code(), claviger_protocol::admin::Code::InvalidArgument, "{length}: {error}");
            assert_eq!(cell.record().etag, before.etag, "{length} bytes left a trace");
        }
        assert_eq!(key.versions().len(), 1);
        assert_eq!(fixture.daemon.records.material(&cell.uid).unwrap(), None);
        assert!(shown(&fixture.token, &cell).is_empty());
        // The whole blob is good.
        let cell = fixture.import(&key, &job, &blob, Some(1)).unwrap();
        assert_eq!(cell.record().state, VersionState::Enabled);
    }
}

/// Small and fast, and the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Another blob of the same length.
    fn change(&mut self, blob: &[u8], modulus: usize) -> Vec<u8> {
        let mut changed = blob.to_vec();
        while changed == blob {
            let at = self.roll(blob.len());
            match self.roll(7) {
                0 => changed[at] ^= 1 << self.roll(8),
                1 => changed[at] = self.roll(256) as u8,
                2 => changed.swap(at, self.roll(blob.len())),
                3 => changed[at..].fill(self.roll(256) as u8),
                4 => changed.rotate_left(at),
                // The RSA part alone, which then opens to something else or to nothing.
                5 => changed[..modulus].iter_mut().for_each(|byte| *byte = self.roll(256) as u8),
                // A number that may be no number below the modulus.
                _ => changed[..modulus].fill([0, 1, 0xff][self.roll(3)]),
            }
        }
        changed
    }
}

#[test]
fn thousands_of_changed_blobs_have_one_answer() {
    let fixture = Fixture::new();
    let mut dice = Dice(2026);
    let mut answers = std::collections::HashSet::new();
    for (method, algorithm, blobs) in [
        (ImportMethod::RsaOaep3072Sha256Aes256, Algorithm::EcSignP256Sha256, 3000),
        (ImportMethod::RsaOaep3072Sha256, Algorithm::HmacSha256, 2000),
    ] {
        let job = fixture.job(method);
        let (key, cell) = failed_version(&fixture, algorithm, &job);
        let material = match algorithm {
            Algorithm::HmacSha256 => vec![7; 32],
            _ => pkcs8(&ec(Nid::X9_62_PRIME256V1)),
        };
        let blob = wrap(&job, &material);
        for number in 0..blobs {
            let changed = dice.change(&blob, method.row().modulus_bytes());
            let error = fixture.import(&key, &job, &changed, Some(1)).err();
            let error = error.unwrap_or_else(|| panic!("blob {number} was imported: {changed:02x?}"));
            answers.insert((
                error.code().name(),
                error.reason(),
                error.to_string().replace(&cell.name(), ""),
            ));
        }
        assert_eq!((key.versions().len(), cell.record().etag), (1, 1));
        assert_eq!(fixture.daemon.records.material(&cell.uid).unwrap(), None);
    }
    let only = ("INVALID_ARGUMENT", "ImportRefused", " was not imported: UNWRAP_FAILED".to_owned());
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [only]);
}
