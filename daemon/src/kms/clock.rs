//! The clock that life cycles run on: it never goes back, and does not believe a sudden leap forward.
//!
//! Destruction cannot be undone, so a wrong clock must not cause it. The highest time seen is kept in the store, and
//! time never falls below it. When the wall clock leaps ahead of the time since boot, or is far ahead of the kept
//! time at start, the leap is held: life cycles go on from the time before it, second by second, until an admin
//! accepts the new time or the daemon has run for the grace period.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bincode::{Decode, Encode};

use super::time::Time;
use crate::lock;

/// How far the wall clock may get ahead of the time since boot between two looks, in milliseconds: one hour.
const MAX_LEAP_MILLIS: i64 = 3600 * 1000;

/// What the daemon was told about its clock, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// Every leap is believed.
    pub always: bool,
    /// Longest time between stop and start that is believed.
    pub max_downtime_millis: u64,
    /// Running time after which a leap is believed.
    pub grace_millis: u64,
}

impl Default for Trust {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600 * 1000;
        Self { always: false, max_downtime_millis: 7 * DAY, grace_millis: DAY }
    }
}

/// One reading of the machine's clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Since 1970.
    pub wall: i64,
    /// Since the machine started, sleep included.
    pub monotonic: i64,
}

/// What the store keeps of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Mark {
    /// The highest time believed so far.
    pub highest: Time,
    /// A leap is being held.
    pub held: bool,
    /// How long the daemon has run since the leap, in milliseconds.
    pub held_millis: u64,
}

/// How the clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What life cycles go by.
    pub believed: Time,
    /// What the machine says.
    pub wall: Time,
    /// The highest time believed so far.
    pub highest: Time,
    /// A leap is being held.
    pub held: bool,
    /// Running time until the leap is believed, while one is held.
    pub grace_left_millis: u64,
}

/// The clock. Reading it takes no lock unless the machine's clock leaps.
pub struct Clock {
    trust: Mutex<Trust>,
    /// Wall clock less monotonic clock, as last believed.
    offset: AtomicI64,
    highest: AtomicI64,
    held: AtomicBool,
    /// Monotonic time at which the hold began, less what it had lasted before a restart.
    held_since: AtomicI64,
    started: AtomicBool,
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

impl Clock {
    /// A clock that has seen nothing yet.
    pub const fn new() -> Clock {
        const DAY: u64 = 24 * 3600 * 1000;
        Clock {
            trust: Mutex::new(Trust { always: false, max_downtime_millis: 7 * DAY, grace_millis: DAY }),
            offset: AtomicI64::new(0),
            highest: AtomicI64::new(i64::MIN),
            held: AtomicBool::new(false),
            held_since: AtomicI64::new(0),
            started: AtomicBool::new(false),
        }
    }

    /// Goes on from what an earlier run kept. True when what has passed since is not believed.
    pub fn start(&self, trust: Trust, mark: Option<Mark>, reading: Reading) -> bool {
        *lock::lock(&self.trust) = trust;
        self.offset.store(reading.wall - reading.monotonic, Ordering::SeqCst);
        self.held.store(false, Ordering::SeqCst);
        self.highest.store(i64::MIN, Ordering::SeqCst);
        self.started.store(true, Ordering::SeqCst);
        let Some(mark) = mark else { return false };
        self.highest.store(mark.highest.0, Ordering::SeqCst);
        let downtime = reading.wall.saturating_sub(mark.highest.0);
        let is_far = downtime > i64::try_from(trust.max_downtime_millis).unwrap_or(i64::MAX);
        if trust.always || !(mark.held && downtime > MAX_LEAP_MILLIS || is_far) {
            return false;
        }
        self.offset.store(mark.highest.0 - reading.monotonic, Ordering::SeqCst);
        let lasted = if mark.held { i64::try_from(mark.held_millis).unwrap_or(0) } else { 0 };
        self.held_since.store(reading.monotonic - lasted, Ordering::SeqCst);
        self.held.store(true, Ordering::SeqCst);
        !mark.held
    }

    /// The believed time.
    pub fn now(&self, reading: Reading) -> Time {
        if !self.started.load(Ordering::Acquire) {
            self.offset.store(reading.wall - reading.monotonic, Ordering::SeqCst);
            self.started.store(true, Ordering::SeqCst);
        }
        let offset = self.offset.load(Ordering::Acquire);
        let leaps = reading.wall - reading.monotonic - offset > MAX_LEAP_MILLIS;
        if !self.held.load(Ordering::Acquire) && leaps {
            self.leap(reading);
        }
        let now = match self.held.load(Ordering::Acquire) {
            true => reading.monotonic + self.offset.load(Ordering::Acquire),
            false => reading.wall,
        };
        let highest = self.highest.load(Ordering::Acquire);
        // Most readings fall into the millisecond of the one before: no need to take the line from other threads.
        if now <= highest {
            return Time(highest);
        }
        Time(self.highest.fetch_max(now, Ordering::AcqRel).max(now))
    }

    /// The wall clock has leapt: hold it, unless the clock is always trusted.
    fn leap(&self, reading: Reading) {
        let trust = lock::lock(&self.trust);
        if trust.always {
            self.offset.store(reading.wall - reading.monotonic, Ordering::SeqCst);
        } else if !self.held.load(Ordering::Acquire) {
            self.held_since.store(reading.monotonic, Ordering::SeqCst);
            self.held.store(true, Ordering::SeqCst);
        }
    }

    /// Called every minute or so: follows the small corrections of the wall clock, and ends a hold whose grace
    /// period is over. Tells whether a leap is held.
    pub fn tick(&self, reading: Reading) -> bool {
        self.now(reading);
        let difference = reading.wall - reading.monotonic - self.offset.load(Ordering::Acquire);
        if !self.held.load(Ordering::Acquire) {
            self.offset.store(reading.wall - reading.monotonic, Ordering::SeqCst);
        } else if difference <= MAX_LEAP_MILLIS || self.grace_left(reading) == 0 {
            // The machine's clock was set right, or has stood the test of time.
            self.accept(reading);
        }
        self.held.load(Ordering::Acquire)
    }

    /// Believes the machine's clock.
    pub fn accept(&self, reading: Reading) {
        let _trust = lock::lock(&self.trust);
        self.offset.store(reading.wall - reading.monotonic, Ordering::SeqCst);
        self.held.store(false, Ordering::SeqCst);
    }

    /// What to keep in the store.
    pub fn mark(&self, reading: Reading) -> Mark {
        let highest = self.now(reading);
        let held = self.held.load(Ordering::Acquire);
        let lasted = reading.monotonic - self.held_since.load(Ordering::Acquire);
        Mark { highest, held, held_millis: if held { u64::try_from(lasted).unwrap_or(0) } else { 0 } }
    }

    /// How the clock stands.
    pub fn status(&self, reading: Reading) -> Status {
        let believed = self.now(reading);
        let held = self.held.load(Ordering::Acquire);
        Status {
            believed,
            wall: Time(reading.wall),
            highest: Time(self.highest.load(Ordering::Acquire)),
            held,
            grace_left_millis: if held { self.grace_left(reading) } else { 0 },
        }
    }

    fn grace_left(&self, reading: Reading) -> u64 {
        let lasted = reading.monotonic - self.held_since.load(Ordering::Acquire);
        lock::lock(&self.trust).grace_millis.saturating_sub(u64::try_from(lasted).unwrap_or(0))
    }
}

/// The clock of this process.
pub static CLOCK: Clock = Clock::new();

/// The machine's clocks as they are now.
pub fn reading() -> Reading {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let wall = since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    // Boot time: a machine that slept has not leapt.
    let monotonic = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
        .map_or(wall, |time| time.tv_sec() * 1000 + time.tv_nsec() / 1_000_000);
    crate::testing::shifted(Reading { wall, monotonic })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 1000;
    const DAY: i64 = 24 * HOUR;
    /// Some day in 2026.
    const START: i64 = 1_800_000_000_000;

    fn at(wall: i64, monotonic: i64) -> Reading {
        Reading { wall: START + wall, monotonic }
    }

    fn clock() -> Clock {
        let clock = Clock::new();
        clock.start(Trust::default(), None, at(0, 0));
        clock
    }

    #[test]
    fn time_never_goes_back() {
        let clock = clock();
        assert_eq!(clock.now(at(5, 5)), Time(START + 5));
        assert_eq!(clock.now(at(-DAY, 6)), Time(START + 5));
        assert!(!clock.tick(at(-DAY, 7)));
        let again = Clock::new();
        again.start(Trust::default(), Some(clock.mark(at(-DAY, 8))), at(-DAY, 0));
        assert_eq!(again.now(at(-DAY, 1)), Time(START + 5), "nor over a restart");
    }

    #[test]
    fn a_leap_forward_is_held_until_it_is_accepted() {
        let clock = clock();
        assert_eq!(clock.now(at(HOUR, 1000)), Time(START + HOUR), "an hour is believed");
        let clock = self::clock();
        assert_eq!(clock.now(at(40 * DAY, 1000)), Time(START + 1000));
        assert!(clock.tick(at(40 * DAY + 60_000, 61_000)));
        let status = clock.status(at(40 * DAY + 60_000, 61_000));
        assert_eq!((status.believed, status.held), (Time(START + 61_000), true));
        assert_eq!(status.grace_left_millis, DAY as u64 - 60_000);
        clock.accept(at(40 * DAY + 60_000, 61_000));
        assert_eq!(clock.now(at(40 * DAY + 60_001, 61_001)), Time(START + 40 * DAY + 60_001));
    }

    #[test]
    fn a_hold_ends_with_the_grace_period_or_when_the_clock_is_set_right() {
        let clock = clock();
        clock.now(at(40 * DAY, 0));
        assert!(clock.tick(at(41 * DAY - 1, DAY - 1)));
        assert!(!clock.tick(at(41 * DAY, DAY)));
        let clock = self::clock();
        clock.now(at(40 * DAY, 0));
        assert!(!clock.tick(at(1000, 1000)));
        assert_eq!(clock.now(at(1001, 1001)), Time(START + 1001));
    }

    #[test]
    fn small_steps_add_up_without_a_hold() {
        let clock = clock();
        for step in 1..100 {
            assert!(!clock.tick(at(step * HOUR, step * 60_000)), "{step}");
        }
        assert_eq!(clock.now(at(99 * HOUR, 99 * 60_000)), Time(START + 99 * HOUR));
    }

    #[test]
    fn downtime_counts_up_to_its_limit_and_a_hold_survives_a_restart() {
        let mark = Mark { highest: Time(START), held: false, held_millis: 0 };
        let clock = Clock::new();
        assert!(!clock.start(Trust::default(), Some(mark), at(7 * DAY, 0)));
        assert_eq!(clock.now(at(7 * DAY, 0)), Time(START + 7 * DAY));
        assert!(clock.start(Trust::default(), Some(mark), at(7 * DAY + 1, 0)));
        assert_eq!(clock.now(at(7 * DAY + 1, 5)), Time(START + 5));

        let held = clock.mark(at(7 * DAY + HOUR, HOUR));
        assert_eq!(held, Mark { highest: Time(START + HOUR), held: true, held_millis: HOUR as u64 });
        let again = Clock::new();
        assert!(!again.start(Trust::default(), Some(held), at(7 * DAY + 2 * HOUR, 0)), "no second alarm");
        assert!(again.tick(at(7 * DAY + 2 * HOUR, 22 * HOUR)));
        assert!(!again.tick(at(8 * DAY + 2 * HOUR, 23 * HOUR)), "what ran before the restart counts");
        let trusting = Trust { always: true, ..Trust::default() };
        assert!(!again.start(trusting, Some(held), at(400 * DAY, 0)));
        assert_eq!(again.now(at(400 * DAY, 0)), Time(START + 400 * DAY));
        assert_eq!(again.now(at(800 * DAY, 1)), Time(START + 800 * DAY));
    }
}
