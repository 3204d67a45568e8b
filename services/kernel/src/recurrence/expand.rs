//! From an event to its occurrences.

use jiff::{SignedDuration, Timestamp, Zoned, civil, fmt::temporal::Pieces, tz::TimeZone};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    RecurrenceError,
    rule::{Rule, Until},
    zone,
};

/// Most occurrences that are told at once.
pub const MAX_OCCURRENCES: usize = 1000;
/// Most occurrences that are looked at, those before the window included.
pub const MAX_STEPS: usize = 100_000;
/// How long after its start an event's occurrences are told. Years.
pub const HORIZON: i16 = 200;

/// What an event says of when it takes place.
#[derive(Debug, Clone, PartialEq)]
pub struct Recurring {
    start: Zoned,
    duration: Option<SignedDuration>,
    rule: Option<Rule>,
}

/// Which occurrences are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Those that begin then or later.
    pub from: Timestamp,
    /// And before then.
    pub to: Option<Timestamp>,
    /// At most so many of them, and [`MAX_OCCURRENCES`].
    pub limit: usize,
}

/// One time that an event takes place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    #[serde(serialize_with = "with_offset")]
    pub start_time: Zoned,
    #[serde(
        serialize_with = "with_offset_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub end_time: Option<Zoned>,
}

/// Occurrences, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Occurrences {
    pub occurrences: Vec<Occurrence>,
    /// Whether there are no others in the window: neither beyond the limit, nor where the expansion was given up.
    pub complete: bool,
}

impl Recurring {
    /// Reads an event's `startTime`, `endTime`, `timezone` and `rrule`. Without a time zone, the offset of `startTime` holds.
    ///
    /// # Errors
    /// [`RecurrenceError`], naming the field.
    pub fn read(event: &Map<String, Value>) -> Result<Self, RecurrenceError> {
        let (start, offset) = moment(event, "startTime")?.ok_or_else(|| error("startTime", "is missing"))?;
        let end = moment(event, "endTime")?;
        let zone = match text(event, "timezone")? {
            None => offset,
            Some(name) => {
                zone(name).ok_or_else(|| error("timezone", "is no time zone of the IANA database"))?
            }
        };
        let rule = match text(event, "rrule")? {
            None => None,
            Some(rule) => Some(
                rule.parse::<Rule>()
                    .map_err(|problem| error("rrule", problem.to_string()))?,
            ),
        };
        Ok(Self {
            start: start.to_zoned(zone),
            duration: end.map(|(end, _)| end.duration_since(start)),
            rule,
        })
    }

    /// Its occurrences in a window.
    #[must_use]
    pub fn occurrences(&self, window: Window) -> Occurrences {
        let mut told = Occurrences {
            occurrences: Vec::new(),
            complete: true,
        };
        let Some(rule) = &self.rule else {
            told.take(self.occurrence(self.start.clone()), &window);
            return told;
        };
        // Fractions of a second are not the rule's to say.
        let wall = self.start.datetime();
        let Ok(set) = rule.set(&wall.strftime("%Y%m%dT%H%M%S").to_string()) else {
            told.complete = false;
            return told;
        };
        let horizon = self.start.year().saturating_add(HORIZON);
        let mut last: Option<Timestamp> = None;
        for (step, found) in set.limit().into_iter().enumerate() {
            let Some(start) = self.at(found.timestamp()) else {
                told.complete = false;
                break;
            };
            if self.is_over(rule.until, &start) {
                break;
            }
            if step >= MAX_STEPS || start.year() > horizon {
                told.complete = false;
                break;
            }
            // Where the clocks leave an hour out, its times are those of the next, which the rule names too: duplicates are ignored
            // (RFC 5545, section 3.8.5.3).
            let moment = start.timestamp();
            if last.is_some_and(|last| moment <= last) {
                continue;
            }
            last = Some(moment);
            if !told.take(self.occurrence(start), &window) {
                break;
            }
        }
        told
    }

    /// The moment of a wall time, which comes as seconds as if in UTC. A time that the clocks leave out is as long after
    /// the time before it as if they did not; of one that comes twice it is the first (RFC 5545, section 3.3.5).
    fn at(&self, wall: i64) -> Option<Zoned> {
        let wall: civil::DateTime = TimeZone::UTC.to_datetime(Timestamp::from_second(wall).ok()?);
        let fraction = self.start.subsec_nanosecond();
        let wall = wall.with().subsec_nanosecond(fraction).build().ok()?;
        self.start.time_zone().to_ambiguous_zoned(wall).compatible().ok()
    }

    fn is_over(&self, until: Option<Until>, start: &Zoned) -> bool {
        match until {
            None => false,
            Some(Until::Moment(until)) => start.timestamp() > until,
            Some(Until::Wall(until)) => start.datetime() > until,
        }
    }

    /// Each lasts as long as the first.
    fn occurrence(&self, start: Zoned) -> Occurrence {
        let end_time = self
            .duration
            .and_then(|duration| start.checked_add(duration).ok());
        Occurrence {
            start_time: start,
            end_time,
        }
    }
}

impl Occurrences {
    /// Takes the next; false where nothing that comes after it is asked for.
    fn take(&mut self, next: Occurrence, window: &Window) -> bool {
        let start = next.start_time.timestamp();
        if window.to.is_some_and(|to| start >= to) {
            return false;
        }
        if start < window.from {
            return true;
        }
        if self.occurrences.len() >= window.limit.min(MAX_OCCURRENCES) {
            self.complete = false;
            return false;
        }
        self.occurrences.push(next);
        true
    }
}

fn text<'e>(event: &'e Map<String, Value>, field: &'static str) -> Result<Option<&'e str>, RecurrenceError> {
    match event.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(error(field, "is no text")),
    }
}

/// A moment, and its offset as a time zone.
fn moment(
    event: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<(Timestamp, TimeZone)>, RecurrenceError> {
    let Some(text) = text(event, field)? else {
        return Ok(None);
    };
    let wrong = || error(field, "is no time with an offset (RFC 3339)");
    if text.len() > 64 {
        return Err(wrong());
    }
    let moment: Timestamp = text.parse().map_err(|_| wrong())?;
    let offset = Pieces::parse(text)
        .ok()
        .and_then(|pieces| pieces.to_numeric_offset());
    let zone = offset.map_or(TimeZone::UTC, TimeZone::fixed);
    Ok(Some((moment, zone)))
}

fn with_offset<S: Serializer>(time: &Zoned, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.timestamp().display_with_offset(time.offset()))
}

fn with_offset_if_any<S: Serializer>(time: &Option<Zoned>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => with_offset(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn error(field: &'static str, problem: impl Into<String>) -> RecurrenceError {
    RecurrenceError {
        field,
        problem: problem.into(),
    }
}
