use fedsx_kernel::activity::Activity;
use fedsx_runtime::{code::Code, metrics::Metrics};
use serde_json::{Value, json};

use super::*;
use crate::{
    measure::Measures,
    progress::Progress,
    react::{
        answers::{Answers, NAME},
        hearing::Hearing,
    },
    source,
    testing::{
        ALICE, BASE, BOB, Story,
        log::TestLog,
        node::{Mortal, Node, eventually, store},
        origin, person, serving,
    },
};

fn with_alice(manual: bool) -> TestLog {
    let mut story = Story::default();
    story.published(BASE, json!({"type": "Create", "object": person("alice", manual)}));
    TestLog::new(&story)
}

fn follow(log: &TestLog, who: &str) -> Activity {
    log.append(
        &format!("inbox/{who}"),
        who,
        json!({"type": "Follow", "object": ALICE, "to": [ALICE]}),
    )
}

fn follower(number: usize) -> String {
    format!("https://events.example/actors/bob-{number}")
}

async fn state(node: &Node, log: &TestLog, who: &str) -> Option<Value> {
    Some(node.row("followers", &format!("{ALICE} {who}"), log).await?["state"].clone())
}

#[tokio::test]
async fn follows_are_accepted_and_the_view_shows_it() {
    let log = with_alice(false);
    let node = Node::start(&store().await, &log).await;
    for number in 0..40 {
        follow(&log, &follower(number));
    }
    eventually("all are accepted", async || log.outbox(ALICE).len() == 40).await;
    for number in 0..40 {
        assert_eq!(state(&node, &log, &follower(number)).await.unwrap(), "accepted");
    }
    eventually("the cursor follows", async || {
        node.shards(NAME).await[0].position >= 41
    })
    .await;
    assert!(
        node.metrics()
            .contains(r#"fedsx_projection_answers_total{outcome="accept"} 40"#)
    );
}

#[tokio::test]
async fn an_answer_belongs_to_the_trace_of_its_follow() {
    let log = with_alice(false);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    log.push(|position| {
        let document = crate::testing::complete(BOB, json!({"type": "Follow", "object": ALICE}));
        let mut entry = crate::testing::entry(position, &format!("inbox/{BOB}"), &document);
        entry.meta.as_mut().unwrap().traceparent = traceparent.to_owned();
        entry
    });
    let _node = Node::start(&store().await, &log).await;
    eventually("accepted", async || log.published().len() == 1).await;
    assert_eq!(log.published()[0].meta.as_ref().unwrap().traceparent, traceparent);
}

#[tokio::test]
async fn nothing_is_judged_by_less_than_the_log_held_at_first() {
    let (log, store) = (with_alice(false), store().await);
    follow(&log, BOB);
    store.declare(&group(NAME).shards).await.unwrap();
    let source = log.source();
    let (_relay, relayed) = source::relay();
    let mut runner = Runner {
        measures: Measures::register(&Metrics::default()).unwrap(),
        reaction: Answers {
            serving: serving(store.clone(), Progress::new(store.clone())),
            source: source.clone(),
            origin: origin(),
            measures: Measures::register(&Metrics::default()).unwrap(),
        },
        store,
        hearing: Hearing::new(source.clone(), relayed),
        source,
        owner: "test".to_owned(),
        term: jiff::SignedDuration::from_secs(15),
    };
    let mut held = Held::default();
    runner.hold(&mut held).await.unwrap();
    let place = |held: &Held| held.cursor.as_ref().map(|cursor| (cursor.floor, cursor.done));
    assert_eq!(place(&held), Some((2, 0)));
    follow(&log, &follower(1));
    runner.hold(&mut held).await.unwrap();
    assert_eq!(
        place(&held),
        Some((2, 0)),
        "what comes later is judged as it comes"
    );
}

#[tokio::test]
async fn a_manual_actor_is_left_to_a_person() {
    let log = with_alice(true);
    let node = Node::start(&store().await, &log).await;
    follow(&log, BOB);
    eventually("seen", async || {
        node.metrics()
            .contains(r#"fedsx_projection_answers_total{outcome="none"} 1"#)
    })
    .await;
    assert_eq!(state(&node, &log, BOB).await.unwrap(), "requested");
    assert_eq!(log.published(), []);
}

#[tokio::test]
async fn a_replay_from_the_first_entry_says_nothing_again() {
    let log = with_alice(false);
    let node = Node::start(&store().await, &log).await;
    follow(&log, BOB);
    eventually("accepted", async || log.outbox(ALICE).len() == 1).await;
    node.stop().await;
    // Rejected afterwards by a person, and asked anew by another: neither may be mixed up by the replay.
    let rejected = follow(&log, &follower(1));
    log.append(
        &format!("outbox/{ALICE}"),
        ALICE,
        json!({"type": "Reject", "object": rejected.id()}),
    );
    log.forget_keys();

    let node = Node::start(&store().await, &log).await;
    eventually("replayed", async || {
        node.metrics()
            .contains(r#"fedsx_projection_answers_total{outcome="none"} 2"#)
    })
    .await;
    assert_eq!(log.published().len(), 1, "the views show that both are answered");
}

#[tokio::test]
async fn a_refused_answer_stands_says_why_and_goes_on_when_it_is_taken() {
    let log = with_alice(false);
    log.refuse(Some(Code::Forbidden));
    let node = Node::start(&store().await, &log).await;
    follow(&log, BOB);
    eventually("says why", async || {
        node.shards(NAME).await[0].halted.contains("the test says no")
    })
    .await;
    assert!(
        node.shards(NAME).await[0].position < 2,
        "the Follow is not passed over"
    );
    assert!(
        node.metrics()
            .contains(r#"fedsx_projection_halted_shards{view="reaction/follow"} 1"#)
    );
    assert!(state(&node, &log, BOB).await.is_some(), "views go on");
    log.refuse(None);
    eventually("accepted", async || log.outbox(ALICE).len() == 1).await;
    eventually("well again", async || {
        node.shards(NAME).await[0].halted.is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_outage_is_waited_for() {
    let log = with_alice(false);
    log.refuse(Some(Code::Unavailable));
    let node = Node::start(&store().await, &log).await;
    follow(&log, BOB);
    log.refuse(None);
    eventually("accepted", async || log.outbox(ALICE).len() == 1).await;
    assert_eq!(node.shards(NAME).await[0].halted, "");
}

#[tokio::test]
async fn one_process_reacts_and_when_it_dies_without_a_word_another_does() {
    let (log, directory) = (with_alice(false), tempfile::tempdir().unwrap());
    let path = directory.path().join("projection.db");
    let term = jiff::SignedDuration::from_millis(900);
    let one = Mortal::start("one", term, &path, &log).await;
    let two = Mortal::start("two", term, &path, &log).await;
    for number in 0..10 {
        follow(&log, &follower(number));
    }
    eventually("all are accepted", async || log.outbox(ALICE).len() == 10).await;
    let first = one.node.shards(NAME).await[0].owner == "one";
    let (dies, lives) = if first { (one, two) } else { (two, one) };
    dies.die();
    follow(&log, BOB);
    eventually("accepted by the other", async || log.outbox(ALICE).len() == 11).await;
    assert_eq!(log.published().len(), 11, "nothing was published twice");
    lives.die();
}
