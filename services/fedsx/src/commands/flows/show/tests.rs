//! How a flow is shown.

use serde_json::json;

use super::*;

#[test]
fn a_flow_that_was_cancelled_says_why_and_waits_for_nothing() {
    let step = |id: &str, stand: &str| FlowStep {
        id: id.to_owned(),
        kind: "suspend".to_owned(),
        stand: stand.to_owned(),
        ..FlowStep::default()
    };
    let release = FlowStep {
        person: "Release it".to_owned(),
        ..step("release", "waiting")
    };
    let mails = FlowStep {
        cause: "451 later".to_owned(),
        attempts: 2,
        ..step("mails", "failing")
    };
    let flow = Flow {
        id: "k4x2".to_owned(),
        behaviour: "digest".to_owned(),
        behaviour_cid: "bagabehaviour".to_owned(),
        status: "cancelled".to_owned(),
        cause: "no more".to_owned(),
        steps: vec![
            step("check", "done"),
            release,
            step("hook", "sent"),
            mails,
            step("last", "later"),
        ],
        ..Flow::default()
    };
    let transition = |version: u64, events: Value| FlowTransition {
        version,
        position: 30 + version,
        at_us: 1_763_721_600_000_000,
        events: events.to_string().into(),
    };
    let told = GetFlowResponse {
        flow: Some(flow),
        transitions: vec![
            transition(1, json!([])),
            transition(2, json!([{"event": "sent", "step": "hook", "attempt": 1}])),
        ],
    };
    insta::assert_snapshot!(in_detail(&told), @r"
    flow       k4x2
    behaviour  digest bagabehaviour
    position   0
    status     cancelled
    why        no more

    STEP     KIND     STANDS
    check    suspend  done
    release  suspend  cancelled, waited for a person: Release it
    hook     suspend  cancelled, waited for the webhook's answer
    mails    suspend  cancelled, failed after 2 attempts: 451 later
    last     suspend  cancelled

    How the webhook of hook goes: fedsx deliveries --activity 32

    VERSION  POSITION  AT                    WHAT HAPPENED
    1        31        2025-11-21T10:40:00Z  started
    2        32        2025-11-21T10:40:00Z  hook sent, attempt 1
    ");
}

#[test]
fn a_flow_is_shown_with_all_that_happened() {
    let step = |id: &str, kind: &str, stand: &str| FlowStep {
        id: id.to_owned(),
        kind: kind.to_owned(),
        stand: stand.to_owned(),
        ..FlowStep::default()
    };
    let long: Vec<u32> = (0..30).collect();
    let steps = vec![
        FlowStep {
            value: json!({"valid": true, "problem": null}).to_string().into(),
            ..step("check", "validate", "done")
        },
        FlowStep {
            value: json!(long).to_string().into(),
            ..step("rows", "query", "done")
        },
        FlowStep {
            person: "Release the digest".to_owned(),
            ..step("release", "suspend", "waiting")
        },
        FlowStep {
            each: true,
            items: 3,
            items_done: 1,
            attempts: 2,
            cause: "451 \u{1b}[31mlater".to_owned(),
            until_us: 1_763_721_630_000_000,
            ..step("mails", "mail", "failing")
        },
        step("sent", "put", "later"),
    ];
    let flow = Flow {
        id: "k4x2".to_owned(),
        behaviour: "digest".to_owned(),
        behaviour_cid: "bagabehaviour".to_owned(),
        activity_id: "https://blog.example/activities/baga".to_owned(),
        position: 31,
        verb: "Update".to_owned(),
        actor: "https://blog.example/actors/author".to_owned(),
        status: "waiting".to_owned(),
        started_at_us: 1_763_721_600_000_000,
        moved_at_us: 1_763_721_600_000_000,
        steps,
        ..Flow::default()
    };
    let events = json!([
        {"event": "done", "step": "check", "effect": "validate", "value": {}},
        {"event": "done", "step": "which", "value": "newsletter"},
        {"event": "items", "step": "mails", "items": [1, 2, 3]},
        {"event": "done", "step": "mails", "item": 0, "effect": "mail", "value": {}},
        {"event": "failed", "step": "mails", "item": 1, "attempt": 2, "cause": "451 later"},
        {"event": "sent", "step": "hook", "attempt": 1},
        {"event": "answered", "step": "hook", "attempt": 1, "delivered": true, "status": 202},
        {"event": "suspended", "step": "release"},
        {"event": "resumed", "step": "release", "by": "person"},
        {"event": "retried", "step": "mails"},
        {"event": "cancelled", "reason": "no more"},
    ]);
    let transition = FlowTransition {
        version: 1,
        position: 32,
        at_us: 1_763_721_600_000_000,
        events: events.to_string().into(),
    };
    let told = GetFlowResponse {
        flow: Some(flow),
        transitions: vec![transition],
    };
    insta::assert_snapshot!(in_detail(&told), @r#"
    flow       k4x2
    behaviour  digest bagabehaviour
    activity   https://blog.example/activities/baga
    position   31
    verb       Update
    actor      https://blog.example/actors/author
    status     waiting
    why        release: a person: Release the digest
    started    2025-11-21T10:40:00Z
    moved      2025-11-21T10:40:00Z

    STEP     KIND       STANDS
    check    validate   done
    rows     query      done
    release  suspend    waiting for a person: Release the digest
    mails    each mail  failing, 1 of 3 items done after 2 attempts: 451 �[31mlater; again 2025-11-21T10:40:30Z
    sent     put        later

    To let release go on: fedsx flows resume k4x2 --step release [--value JSON]

    The value of check:
    {
      "problem": null,
      "valid": true
    }

    The value of rows:
    [
      0,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      9,
      10,
    … (--json shows all)

    VERSION  POSITION  AT                    WHAT HAPPENED
    1        32        2025-11-21T10:40:00Z  started; check done; which chose newsletter; mails goes over 3 items; mails/0 done; mails/1 failed at attempt 2: 451 later; hook sent, attempt 1; hook answered 202; release suspended; release resumed by person; mails tried again by an operator; cancelled: no more
    "#);
}
