//! Dates and times of RFC 3339, section 5.6, within CEL's range: from 0001-01-01T00:00:00Z to the end of 9999.
//!
//! Read here and not by jiff, which takes more than the RFC has and ends a day earlier. Capital `T` and `Z`, one to nine
//! digits of a second, no leap second.

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time},
};

/// The instant of a text, in UTC.
pub(super) fn parse(text: &str) -> Option<DateTime> {
    let mut reader = Reader(text.as_bytes());
    let year = reader.number(4)?;
    let month = reader.after(b'-', 2)?;
    let day = reader.after(b'-', 2)?;
    let hour = reader.after(b'T', 2)?;
    let minute = reader.after(b':', 2)?;
    let second = reader.after(b':', 2)?;
    let nanosecond = reader.fraction()?;
    let offset = reader.offset()?;
    if !reader.0.is_empty() || second > 59 {
        return None;
    }
    let date = Date::new(i16::try_from(year).ok()?, narrow(month)?, narrow(day)?).ok()?;
    let time = Time::new(narrow(hour)?, narrow(minute)?, narrow(second)?, nanosecond).ok()?;
    let offset = SignedDuration::from_mins(i64::from(offset));
    let utc = DateTime::from_parts(date, time).checked_sub(offset).ok()?;
    (utc.year() >= 1).then_some(utc)
}

fn narrow(number: i32) -> Option<i8> {
    i8::try_from(number).ok()
}

struct Reader<'t>(&'t [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self, digits: u8) -> Option<i32> {
        let mut number = 0;
        for _ in 0..digits {
            let digit = self.next().filter(u8::is_ascii_digit)?;
            number = number * 10 + i32::from(digit - b'0');
        }
        Some(number)
    }

    fn after(&mut self, separator: u8, digits: u8) -> Option<i32> {
        self.next().filter(|next| *next == separator)?;
        self.number(digits)
    }

    fn fraction(&mut self) -> Option<i32> {
        let Some((b'.', mut rest)) = self.0.split_first() else {
            return Some(0);
        };
        let mut nanosecond = 0;
        let mut digits = 0;
        while let Some((digit @ b'0'..=b'9', after)) = rest.split_first() {
            rest = after;
            digits += 1;
            if digits > 9 {
                return None;
            }
            nanosecond = nanosecond * 10 + i32::from(digit - b'0');
        }
        self.0 = rest;
        (digits > 0).then(|| nanosecond * 10_i32.pow(9 - digits))
    }

    /// Minutes east of UTC.
    fn offset(&mut self) -> Option<i32> {
        let sign = match self.next()? {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        let minutes = self.after(b':', 2).filter(|minutes| *minutes < 60)?;
        Some(sign * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<String> {
        parse(text).map(|time| time.to_string())
    }

    #[test]
    fn offsets_and_fractions_come_to_utc() {
        assert_eq!(utc("2026-11-21T10:00:00+01:30"), utc("2026-11-21T08:30:00Z"));
        assert_eq!(
            utc("2026-11-21T10:00:00.5Z"),
            utc("2026-11-21T10:00:00.500000000Z")
        );
        assert_eq!(utc("2026-02-28T23:30:00-01:00").unwrap(), "2026-03-01T00:30:00");
    }

    #[test]
    fn the_range_is_cels() {
        assert!(utc("0001-01-01T00:00:00Z").is_some() && utc("9999-12-31T23:59:59.999999999Z").is_some());
        for beyond in [
            "0001-01-01T00:00:00+00:01",
            "0000-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+23:59",
        ] {
            assert_eq!(utc(beyond), None, "{beyond}");
        }
    }

    #[test]
    fn takes_nothing_that_the_rfc_does_not_have() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T10:00Z",
            "2026-11-21 10:00:00Z",
            "2026-11-21t10:00:00z",
            "2026-11-21T10:00:00",
            "2026-11-21T10:00:00+01",
            "2026-11-21T10:00:00+24:00",
            "2026-11-21T10:00:00Z[UTC]",
            "2026-11-21T10:00:60Z",
            "2026-11-21T24:00:00Z",
            "2026-02-29T10:00:00Z",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00:00.0123456789Z",
            "+02026-11-21T10:00:00Z",
            "2026-11-21T10:00:00Z ",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }
}
