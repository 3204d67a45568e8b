//! `Range` of one part (RFC 9110, section 14.2).

use std::ops::Range;

/// What a reader asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: no range, several, or one that is not understood.
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes beyond the end alone.
    Nothing,
}

/// What a `Range` asks for, of so many bytes.
pub(super) fn asked(range: &str, size: u64) -> Asked {
    let Some((unit, part)) = range.split_once('=') else {
        return Asked::Whole;
    };
    let Some((first, last)) = part.trim().split_once('-') else {
        return Asked::Whole;
    };
    let part = match (number(first), number(last)) {
        _ if !unit.trim().eq_ignore_ascii_case("bytes") => return Asked::Whole,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(last)) if first.is_empty() => size.saturating_sub(last)..size,
        _ => return Asked::Whole,
    };
    match part.is_empty() {
        true => Asked::Nothing,
        false => Asked::Part(part),
    }
}

/// Digits; a number that is too large is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_part_is_understood_and_everything_else_means_the_whole() {
        for (range, asked_for) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-5", Asked::Part(2..6)),
            ("bytes=2-99", Asked::Part(2..10)),
            ("bytes=9-", Asked::Part(9..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("Bytes= 2-5 ", Asked::Part(2..6)),
            ("bytes=0-99999999999999999999", Asked::Part(0..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-12", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=99999999999999999999-", Asked::Nothing),
            ("bytes=5-2", Asked::Whole),
            ("bytes=0-1,4-5", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("bytes", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(asked(range, 10), asked_for, "{range:?}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Nothing);
    }

    proptest! {
        #[test]
        fn no_range_asks_for_what_is_not_there(range in "(bytes=)?[0-9]{0,21}-?[0-9]{0,21}(,[0-9]-)?", size in any::<u64>()) {
            if let Asked::Part(part) = asked(&range, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn first_and_last_are_those_bytes(first in 0..1000_u64, more in 0..1000_u64, size in 1..3000_u64) {
            let last = first + more;
            let expected: Vec<u64> = (0..size).filter(|byte| (first..=last).contains(byte)).collect();
            let got = match asked(&format!("bytes={first}-{last}"), size) {
                Asked::Part(part) => part.collect(),
                _ => Vec::new(),
            };
            prop_assert_eq!(got, expected);
        }
    }
}
