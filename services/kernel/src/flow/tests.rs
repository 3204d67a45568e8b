use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::definition::{BehaviourRecord, Definition, EffectKind, Kind};

fn record(steps: Value) -> BehaviourRecord {
    let record = json!({"name": "digest", "on": {"verbs": ["Update"]}, "steps": steps});
    let record = Definition::complete(Kind::Behaviour, record.as_object().unwrap().clone()).unwrap();
    match Definition::read(Kind::Behaviour, &record).unwrap() {
        Definition::Behaviour(record) => record,
        other => panic!("{other:?}"),
    }
}

fn digest() -> BehaviourRecord {
    record(json!([
        {"id": "check", "effect": "validate", "with": {"type": "Article"}},
        {"id": "kind", "branch": [
            {"case": "urgent", "when": "activity.object.category == 'urgent'"},
            {"case": "newsletter", "when": "activity.object.category == 'newsletter'"},
        ]},
        {"id": "hold", "after": ["kind.newsletter"], "suspend": {"person": "Release it", "timer": "P7D",
            "activity": {"verbs": ["Announce"], "key": "activity.object", "equals": "activity.object.id"}}},
        {"id": "mails", "each": "['a', 'b', 'c']", "effect": "mail",
            "with": {"to": "=item", "subject": "=string(index)", "text": "x"}},
        {"id": "end", "after": ["mails", "kind.urgent"], "effect": "put",
            "with": {"key": "=activity.object.id", "value": {"was": "=current", "mails": "=has(steps.mails) ? size(steps.mails) : 0"}}},
    ]))
}

fn now() -> Timestamp {
    "2026-11-21T20:00:00Z".parse().unwrap()
}

fn article(category: &str) -> Value {
    json!({"type": "Update", "object": {"id": "https://blog.example/objects/a", "category": category}})
}

fn done(step: &str, item: Option<u32>, value: Value) -> Event {
    Event::Done {
        step: step.to_owned(),
        item,
        effect: Some(EffectKind::Mail),
        value,
    }
}

/// A flow on the way, with what is said around it.
struct Run {
    behaviour: BehaviourRecord,
    activity: Value,
    flow: Flow,
}

impl Run {
    fn new(behaviour: BehaviourRecord, category: &str) -> Self {
        Self {
            behaviour,
            activity: article(category),
            flow: Flow::default(),
        }
    }

    fn next(&self) -> Option<&str> {
        match self.flow.next(self.behaviour.steps(), now()) {
            Next::Run(step) => Some(&step.id),
            Next::Elapsed(step) => panic!("{} has elapsed", step.id),
            Next::Rest => None,
        }
    }

    fn status(&self) -> Status {
        self.flow.status(self.behaviour.steps())
    }

    fn decide(&self, step: &str) -> Result<Option<Event>, EvaluateError> {
        let (entry, about) = (json!({}), about("f", "digest", "https://blog.example/"));
        let state = self.flow.steps.get(step);
        let activity = self.activity.as_object().unwrap();
        let around = Around::new(activity, &entry, &about, &self.flow, state);
        around.decide(self.behaviour.step(step).unwrap(), state, now())
    }

    /// Lets the step decide by itself what happens.
    fn decided(&mut self, step: &str) -> &mut Self {
        let event = self.decide(step).unwrap().unwrap();
        self.happens(event)
    }

    fn happens(&mut self, event: Event) -> &mut Self {
        self.flow.apply(&self.behaviour, &event).unwrap();
        self
    }
}

#[test]
fn the_way_goes_along_the_case_that_holds() {
    let mut run = Run::new(digest(), "urgent");
    assert_eq!(run.next(), Some("check"));
    run.happens(done("check", None, json!({"valid": true})));
    assert_eq!(run.next(), Some("kind"));
    run.decided("kind");
    assert_eq!(run.flow.value("kind"), Some(&json!("urgent")));
    assert!(run.flow.is_skipped(run.behaviour.steps(), "hold"));
    assert!(run.flow.is_skipped(run.behaviour.steps(), "mails"));
    assert_eq!(run.next(), Some("end"));
    run.happens(done("end", None, json!(null)));
    assert_eq!((run.next(), run.status()), (None, Status::Completed));
}

#[test]
fn where_no_case_holds_what_hangs_on_the_cases_is_passed_over() {
    let mut run = Run::new(digest(), "essay");
    run.happens(done("check", None, json!(1))).decided("kind");
    assert_eq!((run.next(), run.status()), (None, Status::Completed));
}

#[test]
fn it_waits_for_a_person_an_activity_or_a_timer() {
    let mut run = Run::new(digest(), "newsletter");
    run.happens(done("check", None, json!(1)))
        .decided("kind")
        .decided("hold");
    assert_eq!(run.status(), Status::Waiting);
    let until = now() + SignedDuration::from_hours(7 * 24);
    assert_eq!(run.flow.due(), Some(until));
    let Stand::Waiting(wait) = &run.flow.steps["hold"].stand else {
        panic!("{:?}", run.flow)
    };
    assert_eq!(wait.key.as_deref(), Some("https://blog.example/objects/a"));
    assert!(matches!(run.flow.next(run.behaviour.steps(), until), Next::Elapsed(step) if step.id == "hold"));
    for by in [By::Person, By::Activity, By::Timer] {
        let mut flow = run.flow.clone();
        let resumed = Event::Resumed {
            step: "hold".to_owned(),
            by,
            value: json!({"by": "it"}),
        };
        flow.apply(&run.behaviour, &resumed).unwrap();
        assert_eq!(flow.value("hold"), Some(&json!({"by": "it"})));
        assert_eq!(
            flow.apply(&run.behaviour, &resumed),
            Err(Misfit::NotWaiting("hold".to_owned())),
            "once"
        );
    }
}

#[test]
fn each_item_is_done_once_and_in_order() {
    let mut run = Run::new(digest(), "newsletter");
    run.happens(done("check", None, json!(1)))
        .decided("kind")
        .decided("hold");
    run.happens(Event::Resumed {
        step: "hold".to_owned(),
        by: By::Person,
        value: Value::Null,
    });
    run.decided("mails");
    for item in 0..3 {
        assert_eq!(run.next(), Some("mails"));
        assert_eq!(run.decide("mails"), Ok(None), "there is something to do");
        let wrong = done("mails", Some(item + 1), json!(item));
        assert_eq!(
            run.flow.apply(&run.behaviour, &wrong),
            Err(Misfit::NotThere("mails".to_owned()))
        );
        run.happens(done("mails", Some(item), json!(item)));
    }
    assert_eq!(run.flow.value("mails"), Some(&json!([0, 1, 2])));
    let (entry, about) = (json!({}), json!({}));
    let around = Around::new(run.activity.as_object().unwrap(), &entry, &about, &run.flow, None);
    let end = run.behaviour.step("end").unwrap().effect().unwrap();
    assert_eq!(around.put(end, &json!(7)), Ok(json!({"was": 7, "mails": 3})));
    assert_eq!(
        around.said(end, "key"),
        Ok(Some(json!("https://blog.example/objects/a")))
    );
}

#[test]
fn an_empty_list_is_done_at_once() {
    let mut run = Run::new(
        record(json!([{"id": "a", "each": "[]", "effect": "notify", "with": {"text": "x"}}])),
        "essay",
    );
    run.decided("a");
    assert_eq!(
        (run.flow.value("a"), run.status()),
        (Some(&json!([])), Status::Completed)
    );
}

#[test]
fn what_failed_is_tried_again_and_then_stands() {
    let mut run = Run::new(digest(), "urgent");
    let failed = |attempt, retry_at| Event::Failed {
        step: "check".to_owned(),
        item: None,
        attempt,
        cause: "no".to_owned(),
        retry_at,
    };
    let later = now() + SignedDuration::from_secs(5);
    run.happens(failed(1, Some(later)));
    assert_eq!(
        (run.next(), run.status(), run.flow.due()),
        (None, Status::Retrying, Some(later))
    );
    assert!(matches!(
        run.flow.next(run.behaviour.steps(), later),
        Next::Run(_)
    ));
    run.happens(failed(2, None));
    assert_eq!((run.status(), run.flow.due()), (Status::Failed, None));
    run.happens(Event::Retried {
        step: "check".to_owned(),
    });
    let state = &run.flow.steps["check"];
    assert_eq!(
        (run.next(), state.attempts, state.forgiven),
        (Some("check"), 2, 2)
    );
    run.happens(done("check", None, json!(1)));
    let again = Event::Retried {
        step: "check".to_owned(),
    };
    assert_eq!(
        run.flow.apply(&run.behaviour, &again),
        Err(Misfit::NotFailed("check".to_owned()))
    );
}

#[test]
fn what_may_fail_is_done_with_the_error_and_the_flow_goes_on() {
    let mut run = Run::new(
        record(json!([
            {"id": "mails", "each": "['a', 'b']", "effect": "mail", "continueOnError": true,
                "with": {"to": "=item", "subject": "a", "text": "b"}},
            {"id": "post", "effect": "webhook", "continueOnError": true, "with": {"url": "https://a.example/", "body": {}}},
            {"id": "lists", "each": "activity.nothing", "effect": "mail", "continueOnError": true,
                "with": {"to": "=item", "subject": "a", "text": "b"}},
        ])),
        "essay",
    );
    let failed = |step: &str, item, attempt, retry_at| Event::Failed {
        step: step.to_owned(),
        item,
        attempt,
        cause: "550 nobody".to_owned(),
        retry_at,
    };
    run.decided("mails");
    run.happens(failed("mails", Some(0), 1, Some(now())));
    assert_eq!(run.status(), Status::Retrying);
    run.happens(failed("mails", Some(0), 2, None));
    assert_eq!((run.next(), run.flow.steps["mails"].attempts), (Some("mails"), 0));
    run.happens(done("mails", Some(1), json!({"messageId": "m"})));
    let expected = json!([{"error": "550 nobody"}, {"messageId": "m"}]);
    assert_eq!(run.flow.value("mails"), Some(&expected));
    run.happens(Event::Sent {
        step: "post".to_owned(),
        item: None,
        attempt: 1,
        webhook: Webhook {
            url: "https://a.example/".to_owned(),
            actor: "https://blog.example/".to_owned(),
            body: json!({}),
        },
    });
    run.happens(Event::Answered {
        step: "post".to_owned(),
        item: None,
        attempt: 1,
        delivered: false,
        status: 410,
        cause: "gone".to_owned(),
    });
    assert_eq!(run.flow.value("post"), Some(&json!({"error": "gone"})));
    run.happens(failed("lists", None, 1, None));
    assert_eq!(run.status(), Status::Failed, "there is nothing to go over");
}

#[test]
fn a_webhook_waits_for_its_answer_and_only_for_that_of_this_attempt() {
    let mut run = Run::new(
        record(
            json!([{"id": "post", "effect": "webhook", "with": {"url": "https://a.example/", "body": {}}}]),
        ),
        "essay",
    );
    let answered = |attempt, delivered| Event::Answered {
        step: "post".to_owned(),
        item: None,
        attempt,
        delivered,
        status: 202,
        cause: "told".to_owned(),
    };
    let again = |attempt| Event::Sent {
        step: "post".to_owned(),
        item: None,
        attempt,
        webhook: Webhook {
            url: "https://a.example/".to_owned(),
            actor: "https://blog.example/".to_owned(),
            body: json!({}),
        },
    };
    run.happens(again(1));
    assert_eq!(run.status(), Status::Waiting);
    assert!(run.flow.apply(&run.behaviour, &answered(2, true)).is_err());
    run.happens(answered(1, false));
    assert_eq!(run.status(), Status::Failed);
    run.happens(Event::Retried {
        step: "post".to_owned(),
    })
    .happens(again(2))
    // What is not answered can be tried again, too.
    .happens(Event::Retried {
        step: "post".to_owned(),
    })
    .happens(again(3));
    assert!(run.flow.apply(&run.behaviour, &answered(2, true)).is_err());
    run.happens(answered(3, true));
    assert_eq!(run.flow.value("post"), Some(&json!({"status": 202})));
}

#[test]
fn a_flow_that_has_ended_cannot_be_cancelled_and_a_cancelled_one_rests() {
    let cancelled = Event::Cancelled {
        reason: "wrong list".to_owned(),
    };
    let mut run = Run::new(digest(), "essay");
    let mut other = run.flow.clone();
    other.apply(&run.behaviour, &cancelled).unwrap();
    assert_eq!(other.status(run.behaviour.steps()), Status::Cancelled);
    assert!(matches!(other.next(run.behaviour.steps(), now()), Next::Rest));
    assert_eq!(
        other.apply(&run.behaviour, &done("check", None, json!(1))),
        Err(Misfit::Ended)
    );
    run.happens(done("check", None, json!(1))).decided("kind");
    assert_eq!(run.flow.apply(&run.behaviour, &cancelled), Err(Misfit::Ended));
}

#[test]
fn an_expression_that_fails_says_which_and_why() {
    let cases = [
        (
            json!({"id": "a", "each": "1", "effect": "notify", "with": {"text": "x"}}),
            "`each` is no list",
        ),
        (
            json!({"id": "a", "branch": [{"case": "b", "when": "activity.cc == 1"}]}),
            "`when of b`: no_such_key: cc",
        ),
        (
            json!({"id": "a", "suspend": {"timer": "=activity.type"}}),
            "`timer` is no date",
        ),
        (
            json!({"id": "a", "suspend": {"activity": {"verbs": ["A"], "key": "activity.id", "equals": "1"}}}),
            "`equals` is no text",
        ),
    ];
    for (step, problem) in cases {
        let run = Run::new(record(json!([step])), "essay");
        let found = run.decide("a").unwrap_err().to_string();
        assert!(found.starts_with(problem), "{found}");
    }
}

#[test]
fn a_transition_is_written_and_read() {
    let origin: crate::origin::Origin = "https://blog.example".parse().unwrap();
    let behaviour = digest();
    let transition = Transition {
        flow: id(behaviour.cid(), behaviour.cid()),
        name: "digest".to_owned(),
        behaviour: behaviour.cid().clone(),
        activity: behaviour.cid().clone(),
        position: 7,
        from: 0,
        at: now(),
        status: Status::Waiting,
        events: vec![
            done("check", None, json!({"a": 1})),
            Event::Cancelled {
                reason: String::new(),
            },
        ],
    };
    let activity = transition.activity(&origin).unwrap();
    assert_eq!(activity.actor(), "https://blog.example/");
    assert_eq!(Transition::of(&activity), Ok(transition));
}

#[test]
fn an_id_is_short_and_its_own() {
    let (one, two) = (digest(), record(json!([])));
    let flow = id(one.cid(), two.cid());
    assert_eq!(flow.len(), 52);
    assert_ne!(flow, id(two.cid(), one.cid()));
    assert_eq!(idempotency_key("f", "mails", Some(3)), "f/mails/3");
}

proptest! {
    /// Whatever happens, in whatever order: what does not fit changes nothing, and the state survives being written down.
    #[test]
    fn a_state_is_what_was_written_down(picks in prop::collection::vec((0..9usize, 0..5usize, 0..4u32), 0..60)) {
        let behaviour = digest();
        let steps = ["check", "kind", "hold", "mails", "end"];
        let mut flow = Flow::default();
        for (kind, step, number) in picks {
            let step = steps[step].to_owned();
            let item = (step == "mails").then_some(number);
            let event = match kind {
                0 | 1 => done(&step, item, json!(number)),
                2 => Event::Items { step, items: vec![json!(1), json!(2)] },
                3 => Event::Suspended { step, person: Some("x".to_owned()), key: None, until: None, since: None },
                4 => Event::Resumed { step, by: By::Person, value: json!("newsletter") },
                5 => Event::Failed { step, item, attempt: number, cause: "c".to_owned(), retry_at: (number % 2 == 0).then(now) },
                6 => Event::Retried { step },
                7 => Event::Sent { step, item, attempt: number, webhook: Webhook { url: "u".to_owned(), actor: "a".to_owned(), body: json!(1) } },
                _ => Event::Answered { step, item, attempt: number, delivered: number > 1, status: 200, cause: String::new() },
            };
            let before = flow.clone();
            if flow.apply(&behaviour, &event).is_err() {
                prop_assert_eq!(&flow, &before);
            }
            let written = serde_json::to_value(&flow).unwrap();
            prop_assert_eq!(serde_json::from_value::<Flow>(written).unwrap(), flow.clone());
            let next = matches!(flow.next(behaviour.steps(), now()), Next::Rest);
            prop_assert_eq!(next, flow.status(behaviour.steps()) != Status::Running && flow.due() != Some(now()));
        }
    }
}
