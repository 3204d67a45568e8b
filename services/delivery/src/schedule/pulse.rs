//! What a lane under way sees of its origin, told to the schedule while the lane goes on.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::pace::{PROMPT, Seen};

/// Shared by the task that sends a lane and the schedule.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    /// Milliseconds after `began` when the wait for the peer began, plus one; 0: nothing is waited for.
    since: AtomicU64,
    prompt: AtomicU32,
    /// Microseconds that the prompt answers took together.
    took: AtomicU64,
    lingered: AtomicBool,
}

/// The peer's time, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    pulse: &'a Pulse,
    since: Instant,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            since: AtomicU64::new(0),
            prompt: AtomicU32::new(0),
            took: AtomicU64::new(0),
            lingered: AtomicBool::new(false),
        }
    }

    /// The peer's time begins.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        let since = Instant::now();
        let elapsed = millis(since.saturating_duration_since(self.began));
        self.since.store(elapsed.saturating_add(1), Ordering::Relaxed);
        Waiting { pulse: self, since }
    }

    /// What was seen since this was last asked.
    pub(crate) fn take(&self) -> Seen {
        let since = self.since.load(Ordering::Relaxed);
        let waited = millis(self.began.elapsed())
            .saturating_add(1)
            .saturating_sub(since);
        Seen {
            prompt: self.prompt.swap(0, Ordering::Relaxed),
            took: Duration::from_micros(self.took.swap(0, Ordering::Relaxed)),
            lingers: self.lingered.swap(false, Ordering::Relaxed) || (since > 0 && waited >= millis(PROMPT)),
        }
    }
}

impl Waiting<'_> {
    /// The peer has answered something.
    pub(crate) fn answered(self) {
        let took = self.since.elapsed();
        if took < PROMPT {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.pulse.took.fetch_add(micros, Ordering::Relaxed);
            self.pulse.prompt.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pulse.since.store(0, Ordering::Relaxed);
        if self.since.elapsed() >= PROMPT {
            self.pulse.lingered.store(true, Ordering::Relaxed);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_once_and_silence_not_at_all() {
        let pulse = Pulse::new();
        drop(pulse.wait());
        assert_eq!(pulse.take(), Seen::default());
        pulse.wait().answered();
        pulse.wait().answered();
        let seen = pulse.take();
        assert_eq!((seen.prompt, seen.lingers), (2, false));
        assert_eq!(pulse.take(), Seen::default());
    }

    #[test]
    fn a_wait_that_lasts_is_told_while_it_lasts_and_when_it_is_over() {
        let mut pulse = Pulse::new();
        pulse.began = Instant::now().checked_sub(PROMPT * 3).unwrap();
        pulse.since.store(1_000, Ordering::Relaxed);
        assert!(pulse.take().lingers);
        let waiting = Waiting {
            pulse: &pulse,
            since: pulse.began,
        };
        waiting.answered();
        let seen = pulse.take();
        assert_eq!((seen.prompt, seen.took, seen.lingers), (0, Duration::ZERO, true));
        assert_eq!(pulse.take(), Seen::default());
    }
}
