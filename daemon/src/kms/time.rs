//! Wall-clock times as the key service stores and shows them.

use bincode::{Decode, Encode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Time(pub i64);

impl Time {
    /// The time that life cycles go by: see [`clock`](super::clock).
    pub fn now() -> Time {
        super::clock::CLOCK.now(super::clock::reading())
    }

    /// The time that rotation goes by: a leap that is held back from destruction makes a new version at worst.
    pub fn unheld() -> Time {
        Time::now().max(Time::wall())
    }

    /// The machine's wall clock, whether or not it is believed.
    pub fn wall() -> Time {
        Time(super::clock::reading().wall)
    }

    /// The time that RFC 3339 text means.
    pub fn parse(text: &str) -> Option<Time> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Time)
    }

    /// The calendar day in UTC, counted from 1970.
    pub fn day(self) -> i64 {
        self.0.div_euclid(24 * 3600 * 1000)
    }

    /// This many milliseconds later; stops at the end of time.
    pub fn plus_millis(self, millis: u64) -> Time {
        Time(self.0.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    /// RFC 3339 with milliseconds, in UTC.
    pub fn rfc3339(self) -> String {
        self.utc().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
    }

    /// `CK_DATE`: `YYYYMMDD`, in UTC.
    pub fn date(self) -> [u8; 8] {
        let mut digits = *b"00000000";
        if let Some(time) = self.utc() {
            let text = format!("{:04}{:02}{:02}", time.year(), u8::from(time.month()), time.day());
            if let Ok(text) = text.as_bytes().try_into() {
                digits = text;
            }
        }
        digits
    }

    fn utc(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_the_reference_documents_show_them() {
        assert_eq!(Time(1_700_000_000_123).rfc3339(), "2023-11-14T22:13:20.123Z");
        assert_eq!(&Time(1_700_000_000_123).date(), b"20231114");
    }
}
