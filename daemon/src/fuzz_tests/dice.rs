//! What the fuzz targets have in common: numbers that a seed repeats, and changes to bytes. `conformance/tests/fuzz.rs`
//! uses this file too.

/// How often each target runs.
pub fn runs() -> u64 {
    std::env::var("CLAVIGER_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(FEW)
}

/// Runs of each target in `make test`.
const FEW: u64 = 4000;

/// Most memory that a process may have come to, in KiB: limits of session objects included.
const MAX_RESIDENT_KIB: u64 = 512 << 10;

/// The most memory that a process has had, in KiB.
///
/// # Panics
/// When it is more than [`MAX_RESIDENT_KIB`].
pub fn peak_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < MAX_RESIDENT_KIB, "{process} came to {peak} KiB");
    peak
}

/// xorshift64*, seeded by the number of the run.
pub struct Dice(u64);

impl Dice {
    /// For this run.
    pub fn of(run: u64) -> Dice {
        Dice((run + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        (self.next() >> 33) as usize % sides.max(1)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// Changes one to four things; now and then nothing.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..self.roll(5) {
            let at = self.roll(bytes.len() + 1).min(bytes.len());
            match self.roll(8) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.roll(8),
                // Lengths and tags of the codec: its marks of longer numbers, and extremes.
                1 if at < bytes.len() => {
                    bytes[at] = *self.pick(&[0, 1, 0x7f, 0x80, 250, 251, 252, 253, 254, 255])
                }
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.next() as u8),
                4 if at < bytes.len() => drop(bytes.remove(at)),
                5 => {
                    let number =
                        *self.pick(&[0u64, 1, 16, 4096, 1 << 20, u64::from(u32::MAX), 1 << 40, u64::MAX]);
                    bytes.splice(at..at, [&[253][..], &number.to_le_bytes()].concat());
                }
                6 => {
                    let other = self.pick(others).clone();
                    let from = self.roll(other.len() + 1).min(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                _ if at < bytes.len() => {
                    let end = (at + self.roll(16)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {}
            }
        }
        bytes.truncate(1 << 16);
    }
}
