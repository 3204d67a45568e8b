//! A recurrence rule, as far as one is taken.

use std::{collections::BTreeSet, str::FromStr};

use jiff::{Timestamp, civil, tz::TimeZone};
use rrule::{RRule, Unvalidated};

/// Most bytes of a rule.
pub const MAX_RULE: usize = 1024;
/// Most times of day that a rule names; without a bound, a rule of 1 KiB could name each second.
const MAX_TIMES: usize = 24;
const FREQUENCIES: [&str; 5] = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"];
/// The parts whose lengths make the number of times of day.
const TIMES: [&str; 3] = ["BYHOUR", "BYMINUTE", "BYSECOND"];
const PARTS: [&str; 14] = [
    "FREQ",
    "UNTIL",
    "COUNT",
    "INTERVAL",
    "BYSECOND",
    "BYMINUTE",
    "BYHOUR",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
    "WKST",
];

/// A recurrence rule, RFC 5545 section 3.3.10: the value alone, `FREQ=WEEKLY;BYDAY=SA`, in capitals.
///
/// At most 1 KiB; `FREQ` is `HOURLY` or longer; at most 24 times of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Without `UNTIL`, which is of a time zone.
    pub(super) text: String,
    pub(super) until: Option<Until>,
}

/// The last moment at which an occurrence may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Moment(Timestamp),
    /// By the clock on the wall.
    Wall(civil::DateTime),
}

/// Why a text is no rule that is taken, in words that tell nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(String);

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text.len() > MAX_RULE {
            return Err(error(format!(
                "has {} bytes, at most {MAX_RULE} are taken",
                text.len()
            )));
        }
        let is_letter =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"=;,+-".contains(&byte);
        if !text.bytes().all(is_letter) {
            return Err(error("holds other letters than capitals, digits and `=;,+-`"));
        }
        let mut read = Read::default();
        for part in text.split(';') {
            read.part(part)?;
        }
        let rule = read.rule()?;
        rule.set("19970902T090000")
            .map_err(|_| error("has a value that RFC 5545 does not admit there"))?;
        Ok(rule)
    }
}

/// A rule while its parts are read.
#[derive(Debug, Default)]
struct Read<'r> {
    /// All but `UNTIL`.
    kept: Vec<&'r str>,
    names: BTreeSet<&'r str>,
    until: Option<Until>,
    /// How many values each part has that makes times of day.
    times: Vec<usize>,
}

impl<'r> Read<'r> {
    fn part(&mut self, part: &'r str) -> Result<(), RuleError> {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| error("has a part without `=`"))?;
        if !PARTS.contains(&name) {
            let known = PARTS.join(", ");
            return Err(error(format!("has a part that is none of {known}")));
        }
        if !self.names.insert(name) {
            return Err(error(format!("has {name} twice")));
        }
        match name {
            "FREQ" if !FREQUENCIES.contains(&value) => {
                let known = FREQUENCIES.join(", ");
                return Err(error(format!("has a FREQ that is none of {known}")));
            }
            "INTERVAL" | "COUNT" if value.bytes().all(|byte| byte == b'0') => {
                return Err(error(format!("has {name}, which is no number above 0")));
            }
            "UNTIL" => {
                self.until = Some(Until::read(value)?);
                return Ok(());
            }
            name if TIMES.contains(&name) => self.times.push(value.split(',').count()),
            _ => {}
        }
        self.kept.push(part);
        Ok(())
    }

    fn rule(self) -> Result<Rule, RuleError> {
        if !self.names.contains("FREQ") {
            return Err(error("has no FREQ"));
        }
        if self.names.contains("COUNT") && self.until.is_some() {
            return Err(error("has COUNT and UNTIL: only one of them may be said"));
        }
        let times: usize = self.times.iter().product();
        if times > MAX_TIMES {
            return Err(error(format!(
                "names {times} times of day, at most {MAX_TIMES} are taken"
            )));
        }
        Ok(Rule {
            text: self.kept.join(";"),
            until: self.until,
        })
    }
}

impl Rule {
    /// The rule from a wall time on, `YYYYMMDDTHHMMSS`, which is taken for one of UTC.
    pub(super) fn set(&self, start: &str) -> Result<rrule::RRuleSet, rrule::RRuleError> {
        // By way of its own parser alone, a rule is refused that is none by itself.
        self.text.parse::<RRule<Unvalidated>>()?;
        format!("DTSTART:{start}Z\nRRULE:{}", self.text).parse()
    }
}

impl Until {
    /// `20261231`, `20261231T235959` or `20261231T235959Z`.
    fn read(value: &str) -> Result<Self, RuleError> {
        let wrong = || error("has an UNTIL that is neither a day nor a time");
        let (text, is_moment) = match value.strip_suffix('Z') {
            Some(text) => (text, true),
            None => (value, false),
        };
        if text.len() == "20261231".len() && !is_moment {
            let day: civil::Date = text.parse().map_err(|_| wrong())?;
            return Ok(Self::Wall(day.at(23, 59, 59, 0)));
        }
        if text.len() != "20261231T235959".len() {
            return Err(wrong());
        }
        let wall = civil::DateTime::strptime("%Y%m%dT%H%M%S", text).map_err(|_| wrong())?;
        if !is_moment {
            return Ok(Self::Wall(wall));
        }
        let moment = TimeZone::UTC.to_timestamp(wall).map_err(|_| wrong())?;
        Ok(Self::Moment(moment))
    }
}

fn error(problem: impl Into<String>) -> RuleError {
    RuleError(problem.into())
}
