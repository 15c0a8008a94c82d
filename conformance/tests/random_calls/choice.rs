//! Random choices that a seed determines.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
pub struct Choice(u64);

impl Choice {
    pub fn new(seed: u64) -> Choice {
        Choice(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end.max(1) as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let index = self.below(list.len());
        list.get(index)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number() as u8).collect()
    }

    /// A length in bytes: around blocks mostly, seldom long.
    pub fn length(&mut self) -> usize {
        match self.below(64) {
            0 => 4096 + self.below(60_000),
            1..=3 => self.below(1000),
            4..=30 => [0, 1, 7, 8, 12, 15, 16, 17, 20, 24, 31, 32, 33, 48, 64, 128, 256][self.below(17)],
            _ => self.below(100),
        }
    }

    pub fn data(&mut self) -> Vec<u8> {
        let length = self.length();
        self.bytes(length)
    }

    /// A number that somebody might have meant, or not.
    pub fn ulong(&mut self) -> u64 {
        match self.below(8) {
            0 => self.number(),
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => self.below(300) as u64,
            4 => [128, 192, 256, 1024, 2048, 4096][self.below(6)],
            _ => self.below(40) as u64,
        }
    }
}
