//! How an origin has answered of late, and how many of its lanes are therefore sent at the same time.

use std::time::{Duration, Instant};

/// An answer within so long is prompt.
pub(crate) const PROMPT: Duration = Duration::from_secs(1);
/// An answer says something of the next for four times as long as answers take, and at least for so long.
const FRESH: Duration = Duration::from_millis(100);
/// Lanes of an origin of which nothing is known by now.
const FIRST: usize = 4;

/// What is to be expected of an origin's next answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// It answered promptly just now.
    Prompt,
    /// Nothing is known: it has not been asked of late, or not answered yet.
    Unproven,
    /// Its last answer took long, or one is waited for already longer than that.
    Slow,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Prompt, Self::Unproven, Self::Slow];

    /// Its label in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Unproven => "unproven",
            Self::Slow => "slow",
        }
    }
}

/// What a lane under way has seen of its origin since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Prompt answers.
    pub(crate) prompt: u32,
    /// The time that they took together.
    pub(crate) took: Duration,
    /// An answer took longer, or is waited for since longer.
    pub(crate) lingers: bool,
}

/// An origin's pace. An origin begins with few lanes, and each prompt answer gives it one more, up to its share; when it
/// falls silent, for its measure, it begins again. So those that answer soon have all they can use, and those that do not
/// never hold many, however they answered before.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Prompt answers in a row, as far as they count.
    grown: usize,
    answered: Option<Instant>,
    /// How long its answers take.
    typical: Duration,
    slow: bool,
}

impl Pace {
    pub(crate) fn learn(&mut self, seen: Seen, now: Instant, most: usize) {
        if seen.prompt > 0 {
            if self.class(now) != Class::Prompt {
                self.grown = 0;
            }
            self.grown = self.grown.saturating_add(seen.prompt as usize).min(most);
            let took = seen.took / seen.prompt;
            self.typical = match self.answered {
                Some(_) => (self.typical * 3 + took) / 4,
                None => took,
            };
            self.answered = Some(now);
            self.slow = false;
        }
        if seen.lingers {
            self.slow = true;
        }
    }

    pub(crate) fn class(&self, now: Instant) -> Class {
        let fresh = (self.typical * 4).clamp(FRESH, PROMPT);
        match self.answered {
            _ if self.slow => Class::Slow,
            Some(answered) if now.saturating_duration_since(answered) < fresh => Class::Prompt,
            _ => Class::Unproven,
        }
    }

    /// Lanes that may be sent at the same time, `most` at most.
    pub(crate) fn lanes(&self, now: Instant, most: usize) -> usize {
        match self.class(now) {
            Class::Prompt => FIRST.saturating_add(self.grown).min(most),
            Class::Unproven | Class::Slow => FIRST.min(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 32;

    fn prompt(prompt: u32, millis: u64) -> Seen {
        Seen {
            prompt,
            took: Duration::from_millis(millis) * prompt,
            lingers: false,
        }
    }

    fn is(pace: &Pace, now: Instant) -> (Class, usize) {
        (pace.class(now), pace.lanes(now, MOST))
    }

    #[test]
    fn prompt_answers_widen_it_up_to_its_share() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(is(&pace, now), (Class::Unproven, FIRST));
        pace.learn(prompt(4, 5), now, MOST);
        assert_eq!(is(&pace, now), (Class::Prompt, FIRST + 4));
        pace.learn(prompt(1000, 5), now, MOST);
        assert_eq!(is(&pace, now), (Class::Prompt, MOST));
        assert_eq!(pace.lanes(now, 2), 2);
    }

    #[test]
    fn silence_that_is_long_for_its_measure_makes_it_begin_again() {
        for (took, fresh) in [(5, 100), (60, 240), (900, 1000)] {
            let (mut pace, now) = (Pace::default(), Instant::now());
            pace.learn(prompt(20, took), now, MOST);
            let just = now + Duration::from_millis(fresh - 1);
            assert_eq!(is(&pace, just), (Class::Prompt, FIRST + 20), "{took}");
            let later = now + Duration::from_millis(fresh);
            assert_eq!(is(&pace, later), (Class::Unproven, FIRST), "{took}");
            pace.learn(prompt(1, took), later, MOST);
            assert_eq!(is(&pace, later), (Class::Prompt, FIRST + 1), "{took}");
        }
    }

    #[test]
    fn it_is_slow_until_it_answers_promptly() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let lingers = true;
        pace.learn(
            Seen {
                lingers,
                ..prompt(9, 5)
            },
            now,
            MOST,
        );
        assert_eq!(is(&pace, now), (Class::Slow, FIRST));
        assert_eq!(pace.class(now + PROMPT * 60), Class::Slow);
        pace.learn(prompt(1, 5), now + PROMPT, MOST);
        assert_eq!(pace.class(now + PROMPT), Class::Prompt);
    }
}
