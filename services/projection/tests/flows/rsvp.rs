//! Who gets a place at an event, by the behaviours that the bundle of events has.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::domain::{ALICE, BOB, replica::eventually, said, shipped, single::Single};

const GIG: &str = "https://blog.example/objects/gig";

/// Alice's event, and what the domain does about it.
struct Events {
    single: Single,
    serial: u32,
}

impl Events {
    async fn start(event: Value) -> Self {
        let single = Single::start().await;
        for (verb, name) in [
            ("DefineProjection", "events/projections/events"),
            ("DefineProjection", "events/projections/attendees"),
            ("DefineBehaviour", "events/behaviours/rsvp"),
            ("DefineBehaviour", "events/behaviours/leave"),
        ] {
            let draft = json!({"type": verb, "object": shipped(name)});
            single.domain.publish("", draft).await;
        }
        let events = Self { single, serial: 0 };
        events.says("Create", event).await;
        events
    }

    /// Alice says so of the event, which is as it is told.
    async fn says(&self, verb: &str, event: Value) {
        let mut object = json!({"id": GIG, "type": "Event", "name": "Gig Night"});
        object
            .as_object_mut()
            .unwrap()
            .extend(event.as_object().unwrap().clone());
        self.single
            .domain
            .publish(ALICE, json!({"type": verb, "object": object}))
            .await;
    }

    /// What a guest says of it; the id of that.
    async fn hears(&mut self, guest: &str, verb: &str) -> String {
        self.serial += 1;
        let said = said(&format!("{BOB}-{guest}"), verb, self.serial, json!(GIG));
        self.single.domain.receive(&said).await;
        said["id"].as_str().unwrap().to_owned()
    }

    /// The answers of this verb, once there are so many.
    async fn answers(&self, verb: &str, count: usize) -> Vec<Value> {
        let answers = async || {
            let outbox = self.single.domain.outbox().await.into_iter();
            outbox.filter(|said| said["type"] == verb).collect::<Vec<_>>()
        };
        let name = format!("{count} of {verb}");
        eventually(&name, async || answers().await.len() >= count).await;
        let answers = answers().await;
        assert_eq!(answers.len(), count, "{verb}");
        answers
    }

    /// Once there are so many flows, and every one is over.
    async fn rests(&self, count: usize) {
        eventually("every flow is over", async || {
            let flows = self.single.flows().await;
            flows.len() == count && flows.iter().all(|flow| flow.status == "completed")
        })
        .await;
    }

    /// The flow that waits for a person.
    async fn asks(&self) -> String {
        let waits = async || {
            let mut flows = self.single.flows().await.into_iter();
            flows.find(|flow| flow.status == "waiting")
        };
        eventually("a person is asked", async || waits().await.is_some()).await;
        waits().await.unwrap().id
    }

    async fn taken(&self) -> Value {
        let places = self.single.state(&format!("places/{GIG}")).await;
        places.map_or(json!(0), |places| places["taken"].clone())
    }

    async fn attends(&self, guest: &str) -> bool {
        let head = self.single.domain.head().await;
        let key = format!("{GIG} {BOB}-{guest}");
        self.single
            .replica
            .row("attendees", &key, head)
            .await
            .unwrap()
            .is_some()
    }
}

/// Places are given while there are any, whoever asks at the same time, however often, and however they say who they are.
#[tokio::test]
async fn a_capacity_holds() {
    let mut events = Events::start(json!({"maximumAttendeeCapacity": 20})).await;
    for n in 0..10 {
        let mut join = said(&format!("{BOB}-crowd"), "Join", format!("crowd-{n}"), json!(GIG));
        join["actor"] = json!({"id": join["actor"], "n": n, "x": "y".repeat(20_000)});
        events.single.domain.receive(&join).await;
    }
    events.rests(10).await;
    assert_eq!(events.taken().await, json!(1));
    let joins = (0..200).map(|n| said(&format!("{BOB}-{n}"), "Join", n, json!(GIG)));
    let joins: Vec<Value> = joins.collect();
    join_all(joins.iter().map(|join| events.single.domain.receive(join))).await;
    events.answers("Reject", 181).await;
    events.rests(210).await;
    assert_eq!(events.taken().await, json!(20));
    let outbox = events.single.domain.outbox().await;
    let accepts = outbox.iter().filter(|said| said["type"] == "Accept");
    let mut guests: Vec<_> = accepts
        .map(|accept| accept["object"]["actor"].as_str().unwrap())
        .collect();
    guests.sort_unstable();
    guests.dedup();
    assert_eq!(guests.len(), 20);

    events.hears("crowd", "Leave").await;
    events.rests(211).await;
    assert_eq!(events.taken().await, json!(19));
    let before = outbox.iter().filter(|said| said["type"] == "Accept").count();
    events.hears("late", "Join").await;
    events.answers("Accept", before + 1).await;
    assert!(events.attends("late").await && !events.attends("crowd").await);
}

#[tokio::test]
async fn who_is_seated_is_told_so_again_and_who_leaves_twice_frees_one_place() {
    let mut events = Events::start(json!({})).await;
    let first = events.hears("ann", "Join").await;
    let [accept] = events.answers("Accept", 1).await.try_into().unwrap();
    let join = json!({"type": "Join", "id": first, "actor": format!("{BOB}-ann"), "object": GIG});
    assert_eq!(
        (&accept["object"], &accept["to"]),
        (&join, &json!([format!("{BOB}-ann")]))
    );
    let second = events.hears("ann", "Join").await;
    let accepts = events.answers("Accept", 2).await;
    assert_eq!(accepts[1]["object"]["id"], second);
    events.hears("bob", "Join").await;
    events.answers("Accept", 3).await;
    assert_eq!(events.taken().await, json!(2), "without a capacity there is room");
    for guest in ["ann", "ann", "nobody"] {
        events.hears(guest, "Leave").await;
    }
    events.rests(6).await;
    assert_eq!(events.taken().await, json!(1));
    assert!(events.attends("bob").await && !events.attends("ann").await);
}

#[tokio::test]
async fn where_it_is_restricted_a_person_lets_in_who_still_asks() {
    let restricted = json!({"joinMode": "restricted"});
    let mut events = Events::start(restricted.clone()).await;
    events.hears("ann", "Join").await;
    let flow = events.asks().await;
    events.hears("ann", "Leave").await;
    events.answers("Reject", 1).await;
    let late = events.single.resume(&flow, "true").await.unwrap_err();
    assert!(late.detail.contains("waits for a person"), "{late}");

    events.hears("bob", "Join").await;
    let flow = events.asks().await;
    events.single.resume(&flow, "false").await.unwrap();
    events.answers("Reject", 2).await;

    // To say nothing more is to let it go on.
    events.hears("bob", "Join").await;
    let flow = events.asks().await;
    events.single.resume(&flow, "").await.unwrap();
    events.answers("Accept", 1).await;
    assert_eq!(events.taken().await, json!(1));

    events.hears("eve", "Join").await;
    let flow = events.asks().await;
    let cancelled = json!({"joinMode": "restricted", "eventStatus": "EventCancelled"});
    events.says("Update", cancelled).await;
    let head = events.single.domain.head().await;
    events.single.replica.row("events", GIG, head).await.unwrap();
    events.single.resume(&flow, "true").await.unwrap();
    events.answers("Reject", 3).await;
    assert_eq!(events.taken().await, json!(1));
}

#[tokio::test]
async fn who_takes_no_joins_ignores_them_and_what_is_no_event_starts_nothing() {
    let mut events = Events::start(json!({"joinMode": "none"})).await;
    let long = "x".repeat(1000);
    for (n, object) in [json!({}), json!([]), json!(long), json!({"type": "Event"})]
        .into_iter()
        .enumerate()
    {
        for verb in ["Join", "Leave"] {
            let said = said(BOB, verb, format!("odd-{n}"), object.clone());
            events.single.domain.receive(&said).await;
        }
    }
    let elsewhere = said(
        BOB,
        "Join",
        "elsewhere",
        json!("https://blog.example/objects/\u{0}"),
    );
    events.single.domain.receive(&elsewhere).await;
    let join = events.hears("ann", "Join").await;
    let [ignore] = events.answers("Ignore", 1).await.try_into().unwrap();
    assert_eq!(ignore["object"], join);
    // Its own, and that of the Join of what is no event of ours.
    events.rests(2).await;
    events.says("Update", json!({"status": "CANCELLED"})).await;
    let join = events.hears("ann", "Join").await;
    let [reject] = events.answers("Reject", 1).await.try_into().unwrap();
    assert_eq!(reject["object"], join);
}
