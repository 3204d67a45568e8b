use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event(value: Value) -> Recurring {
    Recurring::read(value.as_object().unwrap()).unwrap()
}

fn gig(rule: &str) -> Recurring {
    event(json!({
        "startTime": "2026-03-15T20:00:00+01:00", "endTime": "2026-03-15T22:30:00+01:00",
        "timezone": "Europe/Zurich", "rrule": rule,
    }))
}

fn from(from: &str) -> Window {
    Window {
        from: from.parse().unwrap(),
        to: None,
        limit: 10,
    }
}

fn starts(told: &Occurrences) -> Vec<String> {
    let told = serde_json::to_value(told).unwrap();
    let starts = told["occurrences"].as_array().unwrap().iter();
    starts
        .map(|found| found["startTime"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_time_of_day_stays_when_the_clocks_are_set() {
    let weekly = gig("FREQ=WEEKLY;COUNT=40");
    let window = Window {
        limit: 3,
        ..from("2026-03-20T00:00:00Z")
    };
    let told = weekly.occurrences(window);
    assert_eq!(
        starts(&told),
        [
            "2026-03-22T20:00:00+01:00",
            "2026-03-29T20:00:00+02:00",
            "2026-04-05T20:00:00+02:00"
        ]
    );
    assert!(!told.complete);
    let end = serde_json::to_value(&told).unwrap()["occurrences"][1]["endTime"].clone();
    assert_eq!(end, "2026-03-29T22:30:00+02:00");
    let window = Window {
        limit: 2,
        ..from("2026-10-18T00:00:00Z")
    };
    assert_eq!(
        starts(&weekly.occurrences(window)),
        ["2026-10-18T20:00:00+02:00", "2026-10-25T20:00:00+01:00"]
    );
}

#[test]
fn a_time_that_is_left_out_or_comes_twice_is_one_occurrence() {
    let at = |start: &str| {
        let nightly =
            event(json!({"startTime": start, "timezone": "Europe/Zurich", "rrule": "FREQ=DAILY;COUNT=3"}));
        starts(&nightly.occurrences(from("2026-01-01T00:00:00Z")))
    };
    assert_eq!(
        at("2026-03-28T02:30:00+01:00"),
        [
            "2026-03-28T02:30:00+01:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-30T02:30:00+02:00"
        ]
    );
    assert_eq!(
        at("2026-10-24T02:30:00+02:00"),
        [
            "2026-10-24T02:30:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-26T02:30:00+01:00"
        ]
    );
}

#[test]
fn two_times_of_a_rule_that_are_one_moment_are_one_occurrence() {
    let at = |start: &str, rule: &str| {
        let event = event(json!({"startTime": start, "timezone": "Europe/Vienna", "rrule": rule}));
        starts(&event.occurrences(from("2026-03-29T00:00:00Z")))
    };
    assert_eq!(
        at("2026-03-29T00:30:00+01:00", "FREQ=HOURLY;COUNT=5"),
        [
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-29T04:30:00+02:00"
        ]
    );
    assert_eq!(
        at(
            "2026-03-29T01:00:00+01:00",
            "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30;COUNT=6"
        ),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-30T02:00:00+02:00",
            "2026-03-30T02:30:00+02:00"
        ]
    );
}

#[test]
fn an_event_ends_with_its_rule() {
    let all = |rule: &str| starts(&gig(rule).occurrences(from("2026-01-01T00:00:00Z"))).len();
    assert_eq!(all("FREQ=DAILY;COUNT=3"), 3);
    assert_eq!(all("FREQ=DAILY;UNTIL=20260317"), 3);
    assert_eq!(all("FREQ=DAILY;UNTIL=20260317T200000"), 3);
    assert_eq!(all("FREQ=DAILY;UNTIL=20260317T190000Z"), 3);
    assert_eq!(all("FREQ=DAILY;UNTIL=20260317T185959Z"), 2);
    assert_eq!(all("FREQ=DAILY;UNTIL=20250101"), 0);
    let window = Window {
        to: "2026-03-17T19:00:00Z".parse().ok(),
        ..from("2026-01-01T00:00:00Z")
    };
    let told = gig("FREQ=DAILY").occurrences(window);
    assert_eq!((starts(&told).len(), told.complete), (2, true));
}

#[test]
fn an_event_without_a_rule_takes_place_once() {
    let once = event(json!({"startTime": "2026-03-15T20:00:00-05:00"}));
    let told = once.occurrences(from("2026-01-01T00:00:00Z"));
    assert_eq!(starts(&told), ["2026-03-15T20:00:00-05:00"]);
    assert!(told.complete);
    assert!(
        once.occurrences(from("2027-01-01T00:00:00Z"))
            .occurrences
            .is_empty()
    );
}

#[test]
fn what_is_wrong_is_told_by_its_field() {
    for (field, value) in [
        ("startTime", json!("2026-03-15T20:00:00")),
        ("startTime", Value::Null),
        ("endTime", json!(7)),
        ("timezone", json!("Europe/Bern")),
        ("timezone", json!("europe/zurich")),
        ("rrule", json!("FREQ=NEVER")),
        ("rrule", json!(["FREQ=DAILY"])),
    ] {
        let mut event = json!({"startTime": "2026-03-15T20:00:00Z"});
        event[field] = value;
        assert_eq!(
            Recurring::read(event.as_object().unwrap()).unwrap_err().field,
            field
        );
    }
}

#[test]
fn a_zone_is_spelled_as_the_database_spells_it() {
    for name in [
        "Europe/Zurich",
        "UTC",
        "America/Argentina/Buenos_Aires",
        "Asia/Calcutta",
    ] {
        assert!(zone(name).is_some(), "{name}");
    }
    for name in [
        "",
        "europe/zurich",
        "CEST",
        "+01:00",
        "Etc/Unknown",
        "../UTC",
        &"x".repeat(65),
    ] {
        assert!(zone(name).is_none(), "{name}");
    }
}

#[test]
fn a_rule_that_would_cost_too_much_is_none() {
    let hours: Vec<_> = (0..24).map(|hour| hour.to_string()).collect();
    for rule in [
        "FREQ=WEEKLY;BYDAY=SA",
        "FREQ=MONTHLY;BYDAY=-1FR;BYSETPOS=1",
        "FREQ=HOURLY;INTERVAL=6;WKST=SU",
    ] {
        assert!(rule.parse::<Rule>().is_ok(), "{rule}");
    }
    for rule in [
        "",
        "FREQ",
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "BYDAY=SA",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;COUNT=1;UNTIL=20260101",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;UNTIL=2026",
        "FREQ=DAILY;UNTIL=20261301",
        "FREQ=DAILY;BYEASTER=1",
        "FREQ=DAILY\nEXDATE:20260101T000000Z",
        "RRULE:FREQ=DAILY",
        "FREQ=DAILY;BYHOUR=24",
        "freq=daily",
        &format!("FREQ=DAILY;BYHOUR={};BYMINUTE=0,30", hours.join(",")),
        &format!("FREQ=DAILY;BYDAY={}", ["SA"; 400].join(",")),
    ] {
        assert!(rule.parse::<Rule>().is_err(), "{rule}");
    }
}

#[test]
fn a_rule_that_is_none_says_why_and_repeats_nothing_of_it() {
    for (rule, reason) in [
        ("FREQ=MINUTELY", "has a FREQ that is none of YEARLY"),
        (
            "FREQ=DAILY;INTERVAL=0",
            "has INTERVAL, which is no number above 0",
        ),
        ("FREQ=DAILY;SECRET=1", "has a part that is none of FREQ"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260101", "has COUNT and UNTIL"),
        ("freq=daily", "holds other letters than capitals"),
        (
            "FREQ=DAILY;BYHOUR=24",
            "has a value that RFC 5545 does not admit there",
        ),
    ] {
        let problem = rule.parse::<Rule>().unwrap_err().to_string();
        assert!(problem.starts_with(reason), "{rule}: {problem}");
    }
}

/// Each ends, by its horizon or by its steps: what hangs is no rule.
#[test]
fn a_rule_that_leads_nowhere_ends() {
    for rule in [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=3",
        "FREQ=HOURLY;INTERVAL=2;BYHOUR=3",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU;BYHOUR=3",
        "FREQ=YEARLY;BYDAY=53MO;BYMONTH=1",
    ] {
        let told = gig(rule).occurrences(Window {
            limit: 1000,
            ..from("2026-01-01T00:00:00Z")
        });
        assert!(told.occurrences.len() < 100, "{rule}");
    }
    let far = gig("FREQ=HOURLY").occurrences(from("2126-01-01T00:00:00Z"));
    assert_eq!((far.occurrences.len(), far.complete), (0, false));
    let late = event(json!({"startTime": "9999-12-30T00:00:00Z", "rrule": "FREQ=DAILY"}));
    assert!(!late.occurrences(from("9999-01-01T00:00:00Z")).complete);
}

/// Rules as strangers write them: parts that are there, with values that may be none.
fn rules() -> impl Strategy<Value = String> {
    let number = prop_oneof![-400_i64..400, any::<i64>()].prop_map(|number| number.to_string());
    let day = (
        prop_oneof![Just(String::new()), (-54..55_i64).prop_map(|nth| nth.to_string())],
        "MO|TU|WE|TH|FR|SA|SU",
    )
        .prop_map(|(nth, day)| format!("{nth}{day}"));
    let value = prop_oneof![number, day, "[A-Z0-9+-]{0,6}"];
    let name = "UNTIL|COUNT|INTERVAL|BYSECOND|BYMINUTE|BYHOUR|BYDAY|BYMONTHDAY|BYYEARDAY|BYWEEKNO|BYMONTH|BYSETPOS|WKST";
    let part = (name, prop::collection::vec(value, 1..6))
        .prop_map(|(name, values)| format!("{name}={}", values.join(",")));
    (
        "YEARLY|MONTHLY|WEEKLY|DAILY|HOURLY",
        prop::collection::vec(part, 0..5),
    )
        .prop_map(|(freq, parts)| [vec![format!("FREQ={freq}")], parts].concat().join(";"))
}

/// The same, sound more often than not.
fn sound_rules() -> impl Strategy<Value = String> {
    let list = |range: std::ops::RangeInclusive<i64>| {
        prop::collection::vec(range.prop_filter("zero", |number| *number != 0), 1..4)
            .prop_map(|numbers| numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
    };
    let part = prop_oneof![
        list(1..=23).prop_map(|value| format!("BYHOUR={value}")),
        list(1..=12).prop_map(|value| format!("BYMONTH={value}")),
        list(-31..=31).prop_map(|value| format!("BYMONTHDAY={value}")),
        list(-366..=366).prop_map(|value| format!("BYYEARDAY={value}")),
        list(-53..=53).prop_map(|value| format!("BYWEEKNO={value}")),
        list(-24..=24).prop_map(|value| format!("BYSETPOS={value}")),
        list(1..=65535).prop_map(|value| format!("INTERVAL={}", value.split(',').next().unwrap_or("1"))),
        (-53..=53_i64, "MO|TU|SU").prop_map(|(nth, day)| match nth {
            0 => format!("BYDAY={day}"),
            nth => format!("BYDAY={nth}{day}"),
        }),
        "MO|SU|WE".prop_map(|day| format!("WKST={day}")),
    ];
    (
        "YEARLY|MONTHLY|WEEKLY|DAILY|HOURLY",
        prop::collection::vec(part, 0..4),
    )
        .prop_map(|(freq, parts)| [vec![format!("FREQ={freq}")], parts].concat().join(";"))
}

proptest! {
    #[test]
    fn any_text_is_a_rule_or_none(text in any::<String>(), rule in rules()) {
        let _ = text.parse::<Rule>();
        let _ = rule.parse::<Rule>();
    }

    #[test]
    fn occurrences_are_in_order_and_in_the_window(rule in prop_oneof![rules(), sound_rules()], day in 0..4000_i64) {
        if rule.parse::<Rule>().is_ok() {
            let start = Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap();
            let recurring = event(json!({"startTime": start.to_string(), "timezone": "America/New_York", "rrule": rule}));
            let told = recurring.occurrences(Window { from: start, to: None, limit: 50 });
            let starts: Vec<_> = told.occurrences.iter().map(|found| found.start_time.timestamp()).collect();
            prop_assert!(starts.is_sorted_by(|one, next| one < next) && starts.iter().all(|found| *found >= start), "{rule}");
        }
    }
}
