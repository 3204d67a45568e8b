//! What the bundles of blog and events do by themselves, from one domain to the other.

use std::path::Path;

use fedsx_e2e::{Domain, Node, Stranger, eventually, settle};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::steps::{SOON, flow, over};

/// Everything that local actors said, whoever they are.
async fn said(domain: &Domain) -> Vec<Value> {
    let log = domain.log().await.into_iter();
    let said = log.filter(|entry| entry.stream.starts_with("outbox/"));
    said.map(|entry| entry.activity).collect()
}

fn of<'a>(said: &'a [Value], verb: &str) -> Vec<&'a Value> {
    said.iter().filter(|activity| activity["type"] == verb).collect()
}

/// A folder with one behaviour.
fn behaviour(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let behaviours = folder.path().join("behaviours");
    std::fs::create_dir_all(&behaviours).expect("a folder");
    std::fs::write(behaviours.join("behaviour.yaml"), text).expect("a file");
    folder
}

async fn apply(domain: &Domain, folder: &Path) {
    let folder = folder.display().to_string();
    domain.run(&["genesis", "apply", &folder]).await.assert_code(0);
}

#[tokio::test]
async fn a_blog_checks_what_it_receives_and_sends_nothing_on() {
    let (first, second) = tokio::join!(Node::blog(), Node::blog());
    second.follow("author", &first.actor("author")).await;
    settle(&[&first, &second]).await;
    let before = said(&second).await.len();
    let article = ["--actor", "author", "--type", "Article", "--name", "Gig Night"];
    let article = first.publish_with(&article).await;
    for (blog, text) in [(&first, "published: Gig Night"), (&second, "received: Gig Night")] {
        let flow = over(blog, "publish", &article.cid).await;
        assert_eq!(flow["status"], "completed", "{flow}");
        assert_eq!(flow["steps"][0]["value"], json!({"valid": true}));
        assert_eq!(flow["steps"][2]["value"]["text"], text);
    }
    settle(&[&first, &second]).await;
    assert_eq!(said(&second).await.len(), before, "it said nothing by itself");
}

#[tokio::test]
async fn what_is_no_event_of_ours_or_full_is_not_joined_and_places_are_never_given_twice() {
    let events = Node::events().await;
    let event = |name: &str, more: Value| {
        let mut object = json!({
            "type": "Event", "name": name, "id": events.url(&format!("/objects/{name}")),
            "startTime": "2026-12-24T20:00:00Z", "endTime": "2026-12-24T23:00:00Z",
            "attributedTo": events.actor("main"),
        });
        let more = more.as_object().cloned().unwrap_or_default();
        object.as_object_mut().unwrap().extend(more);
        json!({"type": "Create", "object": object, "to": ["as:Public"]})
    };
    let gig = event("gig", json!({"joinMode": "free", "maximumAttendeeCapacity": 20}));
    let dinner = event(
        "dinner",
        json!({"joinMode": "restricted", "maximumAttendeeCapacity": 2}),
    );
    for draft in [gig, dinner] {
        events.publish_draft(Some("main"), &draft).await.assert_code(0);
    }
    let stranger = Stranger::new().await;
    let join = |guest: &str, event: &str| {
        let event = events.url(&format!("/objects/{event}"));
        stranger.seal(
            guest,
            &json!({"type": "Join", "object": event, "to": [events.actor("main")]}),
        )
    };
    stream::iter(0..200)
        .for_each_concurrent(32, async |guest| {
            let join = join(&format!("guest-{guest}"), "gig");
            // Every guest's key has to be fetched, which is limited.
            eventually("the Join is taken", SOON, async || {
                let answer = stranger.post(&events, &join).await;
                answer.status.is_success().then_some(()).ok_or(answer.to_string())
            })
            .await;
        })
        .await;
    let answers = async |verb: &str| stranger.received_verbs(verb).len();
    eventually("everybody is answered", SOON, async || {
        let (yes, no) = (answers("Accept").await, answers("Reject").await);
        (yes + no == 200).then_some(()).ok_or(format!("{yes} and {no}"))
    })
    .await;
    assert_eq!((answers("Accept").await, answers("Reject").await), (20, 180));

    let ask = join("alice", "dinner");
    stranger.post(&events, &ask).await.assert_status(202);
    let asked = flow(&events, "rsvp", ask["id"].as_str().unwrap(), "waiting").await;
    let id = asked["id"].as_str().unwrap();
    events
        .run(&["flows", "resume", id, "--value", "true"])
        .await
        .assert_code(0);
    eventually("alice is let in", SOON, async || {
        let yes = answers("Accept").await;
        (yes == 21).then_some(()).ok_or(yes)
    })
    .await;
    stranger
        .post(&events, &join("bob", "nowhere"))
        .await
        .assert_status(202);
    settle(&[&events]).await;
    assert_eq!((answers("Accept").await, answers("Reject").await), (21, 180));
}

/// Each answers whatever the other says to it.
#[tokio::test]
async fn two_domains_that_answer_each_other_fall_silent_and_say_why() {
    let folder = behaviour(
        "
name: answer
on: {verbs: [Create], types: [Note]}
when: entry.stream == 'inbox'
steps:
  - id: again
    effect: emit
    with:
      activity:
        type: Create
        object: {type: Note, name: =activity.object.name + '!'}
        to: [=activity.actor]
",
    );
    let (blog, events) = tokio::join!(Node::blog(), Node::events());
    for domain in [&blog, &events] {
        apply(domain, folder.path()).await;
    }
    let base = events.base();
    let flags = ["--actor", "author", "--name", "Hello", "--direct", "--to", &base];
    blog.publish_with(&flags).await;
    eventually("one of them stops", SOON, async || {
        let told = events.json(&["flows", "list", "--status", "failed"]).await;
        let found = told["flows"][0].clone();
        (!found.is_null()).then_some(()).ok_or(told)
    })
    .await;
    let failed = events.json(&["flows", "list", "--status", "failed"]).await;
    assert!(failed.to_string().contains("chain_too_long"), "{failed}");
    settle(&[&blog, &events]).await;
    let notes = |said: &[Value]| {
        of(said, "Create")
            .iter()
            .filter(|said| said["object"]["type"] == "Note")
            .count()
    };
    let (there, back) = (notes(&said(&blog).await), notes(&said(&events).await));
    assert_eq!((there, back), (5, 4), "the first, and eight answers");
}

/// The process dies whenever another step has been done, and what comes of it in the end is what one does that nobody disturbs.
#[tokio::test]
async fn killed_at_every_step_a_flow_does_each_of_them_once() {
    let steps: String = (0..10)
        .map(|step| {
            format!(
                "
  - id: say-{step}
    effect: emit
    with: {{actor: author, activity: {{type: Create, object: {{type: Note, name: 'step-{step}'}}}}}}
  - id: count-{step}
    effect: put
    with: {{key: =activity.id, value: \"=current == null ? 1 : current + 1\"}}"
            )
        })
        .collect();
    let folder = behaviour(&format!(
        "name: ten\non: {{verbs: [Create], types: [Article]}}\nsteps:{steps}\n"
    ));
    let mut blog = Node::blog().await;
    apply(&blog, folder.path()).await;
    let article = ["--actor", "author", "--type", "Article", "--name", "Gig Night"];
    let undisturbed = over(&blog, "ten", &blog.publish_with(&article).await.cid).await;
    let article = blog.publish_with(&article).await;
    for step in 0..10 {
        let name = format!("step-{step}");
        eventually(&name, SOON, async || {
            let said = said(&blog).await;
            let done = said.iter().filter(|said| said["object"]["name"] == *name).count();
            (done == 2).then_some(()).ok_or(done)
        })
        .await;
        blog.kill9();
        blog.start().await;
    }
    let flow = over(&blog, "ten", &article.cid).await;
    let record = |flow: &Value| -> Vec<Value> {
        let steps = flow["steps"].as_array().cloned().unwrap_or_default().into_iter();
        steps
            .map(|step| match step["kind"].as_str() {
                // What was published has another id each time.
                Some("emit") => json!([step["id"], step["stand"]]),
                _ => json!([step["id"], step["stand"], step["value"]]),
            })
            .collect()
    };
    assert_eq!(record(&flow), record(&undisturbed));
    let said = said(&blog).await;
    for step in 0..10 {
        let name = format!("step-{step}");
        let times = said.iter().filter(|said| said["object"]["name"] == *name).count();
        assert_eq!(times, 2, "{name}");
    }
}
