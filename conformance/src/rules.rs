//! What holds for every operation, whatever it computes (PKCS#11 3.2, section 5.2 and the Init functions).

use claviger_protocol::{MechanismType, Rv};

use crate::mechanism::Mechanism;
use crate::raw::{Operation, Raw, Room};

/// An operation that works, to be disturbed.
pub struct Rules<'a> {
    /// The module.
    pub raw: &'a Raw,
    /// A session in which it works.
    pub session: u64,
    /// Which operation.
    pub operation: Operation,
    /// A mechanism of it.
    pub mechanism: Mechanism,
    /// A key for it; 0 for digests.
    pub key: u64,
    /// Data that it takes in one call.
    pub data: Vec<u8>,
    /// Bytes that it gives for that.
    pub output: usize,
    /// It takes data in parts too.
    pub multi_part: bool,
}

impl Rules<'_> {
    /// Checks all of them.
    #[track_caller]
    pub fn check(&self) {
        self.nothing_without_init();
        self.one_init_at_a_time();
        self.bad_inits_start_nothing();
        self.sizes_can_be_asked();
        self.a_missing_length_ends_it();
        self.it_can_be_cancelled();
        if self.multi_part {
            self.ways_do_not_mix();
            self.the_final_call_can_be_asked();
        }
    }

    #[track_caller]
    fn start(&self) {
        assert_eq!(self.raw.start(self.operation, self.session, Some(&self.mechanism), self.key), Ok(()));
    }

    fn one_shot(&self, room: Room) -> crate::raw::Output {
        self.raw.one_shot(self.operation, self.session, &self.data, room)
    }

    /// The next part of the data.
    fn part(&self) -> Rv {
        match self.operation {
            Operation::Encrypt | Operation::Decrypt => {
                let room = Room::Bytes(self.data.len() + 32);
                self.raw.update(self.operation, self.session, &self.data, room).rv
            }
            _ => self.raw.feed(self.operation, self.session, &self.data).err().unwrap_or(Rv::OK),
        }
    }

    #[track_caller]
    fn over(&self) {
        assert_eq!(
            self.one_shot(Room::Bytes(self.output)).rv,
            Rv::OPERATION_NOT_INITIALIZED,
            "the operation should be over"
        );
    }

    #[track_caller]
    fn nothing_without_init(&self) {
        self.over();
        assert_eq!(self.one_shot(Room::Query).rv, Rv::OPERATION_NOT_INITIALIZED);
        if self.multi_part {
            assert_eq!(self.part(), Rv::OPERATION_NOT_INITIALIZED);
            let last = self.raw.finish(self.operation, self.session, Room::Bytes(self.output));
            assert_eq!(last.rv, Rv::OPERATION_NOT_INITIALIZED);
        }
    }

    #[track_caller]
    fn one_init_at_a_time(&self) {
        self.start();
        let again = self.raw.start(self.operation, self.session, Some(&self.mechanism), self.key);
        assert_eq!(again, Err(Rv::OPERATION_ACTIVE));
        assert_eq!(self.one_shot(Room::Bytes(self.output)).rv, Rv::OK, "the first one is still on");
        self.over();
    }

    #[track_caller]
    fn bad_inits_start_nothing(&self) {
        let start = |mechanism: &Mechanism, key| {
            let rv = self.raw.start(self.operation, self.session, Some(mechanism), key);
            self.over();
            rv
        };
        for unknown in [MechanismType(0x7fff_0000), MechanismType::VENDOR_DEFINED, MechanismType::AES_KEY_GEN]
        {
            assert_eq!(start(&unknown.into(), self.key), Err(Rv::MECHANISM_INVALID), "{unknown}");
        }
        if self.operation != Operation::Digest {
            for key in [0, self.key + 1_000_000, u64::MAX] {
                assert_eq!(start(&self.mechanism, key), Err(Rv::KEY_HANDLE_INVALID), "key {key}");
            }
        }
    }

    #[track_caller]
    fn sizes_can_be_asked(&self) {
        self.start();
        for _ in 0..2 {
            let size = self.one_shot(Room::Query);
            assert_eq!(size.rv, Rv::OK);
            assert!(size.length >= self.output as u64, "{} bytes are too few", size.length);
        }
        for room in [0, self.output - 1] {
            let small = self.one_shot(Room::Bytes(room));
            assert_eq!(small.rv, Rv::BUFFER_TOO_SMALL, "with room for {room}");
            assert!(small.length >= self.output as u64, "{} bytes are too few", small.length);
        }
        assert_eq!(self.one_shot(Room::Bytes(self.output)).unwrap().len(), self.output);
        self.over();
        // More room than needed: the length says how much is used.
        self.start();
        assert_eq!(self.one_shot(Room::Bytes(self.output + 100)).length, self.output as u64);
    }

    #[track_caller]
    fn a_missing_length_ends_it(&self) {
        self.start();
        assert_eq!(self.one_shot(Room::NoLength).rv, Rv::ARGUMENTS_BAD);
        self.over();
    }

    #[track_caller]
    fn it_can_be_cancelled(&self) {
        self.start();
        assert_eq!(self.raw.start(self.operation, self.session, None, 0), Ok(()));
        self.over();
    }

    #[track_caller]
    fn ways_do_not_mix(&self) {
        self.start();
        assert_eq!(self.part(), Rv::OK);
        assert_eq!(self.one_shot(Room::Bytes(self.output)).rv, Rv::OPERATION_ACTIVE);
        self.over();
        self.start();
        assert_eq!(self.one_shot(Room::Query).rv, Rv::OK);
        assert_eq!(self.part(), Rv::OPERATION_ACTIVE);
        self.over();
    }

    #[track_caller]
    fn the_final_call_can_be_asked(&self) {
        self.start();
        assert_eq!(self.part(), Rv::OK);
        let finish = |room| self.raw.finish(self.operation, self.session, room);
        let size = finish(Room::Query);
        assert_eq!(size.rv, Rv::OK);
        if size.length > 0 {
            let small = finish(Room::Bytes(0));
            // Some ciphers only know an upper bound before they are done.
            if small.rv != Rv::OK {
                assert_eq!(small.rv, Rv::BUFFER_TOO_SMALL);
                assert_eq!(finish(Room::Bytes(small.length as usize)).rv, Rv::OK);
            }
        } else {
            assert_eq!(finish(Room::Bytes(0)).rv, Rv::OK);
        }
        assert_eq!(finish(Room::Bytes(64)).rv, Rv::OPERATION_NOT_INITIALIZED);
        self.start();
        assert_eq!(self.part(), Rv::OK);
        assert_eq!(finish(Room::NoLength).rv, Rv::ARGUMENTS_BAD);
        self.over();
    }
}

/// Splits data at awkward places: an empty part, single bytes, and lengths around the block of a cipher.
pub fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = vec![&data[..0]];
    let mut rest = data;
    for size in [1, 15, 16, 17, 31, 64, 100, 7].into_iter().cycle() {
        if rest.is_empty() {
            return parts;
        }
        let (part, after) = rest.split_at(size.min(rest.len()));
        parts.push(part);
        rest = after;
    }
    unreachable!("the sizes go on for ever")
}

/// Runs a cipher in [`parts`], with exactly the room that a size query asks for.
pub fn cipher_in_parts(raw: &Raw, operation: Operation, session: u64, data: &[u8]) -> Result<Vec<u8>, Rv> {
    let mut whole = Vec::new();
    let mut add = |output: &dyn Fn(Room) -> crate::raw::Output| {
        let size = output(Room::Query);
        if size.rv != Rv::OK {
            return Err(size.rv);
        }
        let output = output(Room::Bytes(size.length as usize));
        if output.rv != Rv::OK {
            return Err(output.rv);
        }
        whole.extend(output.data);
        Ok(())
    };
    for part in parts(data) {
        add(&|room| raw.update(operation, session, part, room))?;
    }
    add(&|room| raw.finish(operation, session, room))?;
    Ok(whole)
}
