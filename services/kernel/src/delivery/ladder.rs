//! How long a delivery waits between its attempts.

use jiff::SignedDuration;

use super::between;

/// The waits before the second, third, … attempt. After the attempt beyond the last the delivery is dead.
pub const LADDER: [SignedDuration; 7] = [
    SignedDuration::from_secs(5),
    SignedDuration::from_secs(30),
    SignedDuration::from_mins(2),
    SignedDuration::from_mins(10),
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(4),
    SignedDuration::from_hours(12),
];

/// How long to wait after so many attempts that failed (from 1), a fifth more at most by `jitter` in [0, 1), never less
/// than the ladder says; none: the delivery is dead.
#[must_use]
pub fn wait(attempts: u32, jitter: f64) -> Option<SignedDuration> {
    let step = usize::try_from(attempts.checked_sub(1)?).ok()?;
    let wait = *LADDER.get(step)?;
    Some(between(wait, wait + wait / 5, jitter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_that_fails_waits_longer_until_none_is_left() {
        let waits = [5, 30, 120, 600, 3600, 14_400, 43_200];
        for (attempts, seconds) in (1..).zip(waits) {
            let least = SignedDuration::from_secs(seconds);
            assert_eq!(wait(attempts, 0.0), Some(least), "{attempts}");
            let most = wait(attempts, 0.999).unwrap();
            assert!(most > least && most < least + least / 5, "{attempts}: {most}");
        }
        assert_eq!(wait(8, 0.0), None);
        assert_eq!(wait(u32::MAX, 0.0), None);
    }

    #[test]
    fn nothing_is_waited_for_before_the_first_failure() {
        assert_eq!(wait(0, 0.5), None);
    }

    #[test]
    fn jitter_out_of_range_stays_on_the_rung() {
        for jitter in [-1.0, 2.0, f64::NAN, f64::INFINITY] {
            let wait = wait(1, jitter).unwrap();
            assert!((5..=6).contains(&wait.as_secs()), "{jitter}: {wait}");
        }
    }
}
