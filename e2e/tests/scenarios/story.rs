//! What the bundles of blog and events do by themselves, from one domain to the other.

use fedsx_e2e::{Node, Stranger, eventually, settle};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::steps::{SOON, behaves, flow, over, pair, said};

fn of<'a>(said: &'a [Value], verb: &str) -> Vec<&'a Value> {
    said.iter().filter(|activity| activity["type"] == verb).collect()
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
    let elsewhere = event("elsewhere", json!({"joinMode": "none"}));
    for draft in [gig, dinner, elsewhere] {
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
    // Nothing that has no id is an event, and neither is what is not ours.
    let nothing = json!({"type": "Join", "object": {}, "to": [events.actor("main")]});
    for odd in [join("bob", "nowhere"), stranger.seal("bob", &nothing)] {
        stranger.post(&events, &odd).await.assert_status(202);
    }
    let ignored = join("bob", "elsewhere");
    stranger.post(&events, &ignored).await.assert_status(202);
    eventually("bob is ignored", SOON, async || {
        let ignores = stranger.received_verbs("Ignore");
        let told = ignores.first().map(|ignore| ignore["object"].clone());
        (told == Some(ignored["id"].clone()))
            .then_some(())
            .ok_or(format!("{told:?}"))
    })
    .await;
    settle(&[&events]).await;
    assert_eq!((answers("Accept").await, answers("Reject").await), (21, 180));
    let failed = events.json(&["flows", "list", "--status", "failed"]).await;
    assert_eq!(failed["flows"], json!([]), "{failed}");

    // A place that somebody gives up is somebody else's.
    let gig = events.url("/objects/gig");
    let attendees = async || {
        let rows = ["views", "rows", "attendees", "--prefix", &gig, "--limit", "100"];
        let rows = events.json(&rows).await;
        let rows = rows.as_array().cloned().unwrap_or_default().into_iter();
        let actors = rows.map(|row| row["value"]["actor"].as_str().unwrap().to_owned());
        actors.collect::<Vec<_>>()
    };
    let seated = attendees().await;
    assert_eq!(seated.len(), 20, "{seated:?}");
    let leaver = seated[0].rsplit('/').next().unwrap();
    let leave = json!({"type": "Leave", "object": gig, "to": [events.actor("main")]});
    let leave = stranger.seal(leaver, &leave);
    stranger.post(&events, &leave).await.assert_status(202);
    over(&events, "leave", leave["id"].as_str().unwrap()).await;
    // However often they ask, and however they say who they are, it is one.
    for n in 0..3 {
        let crowd = json!({"id": stranger.actor("crowd"), "n": n});
        let join = json!({"type": "Join", "actor": crowd, "object": gig, "to": [events.actor("main")]});
        let join = stranger.seal("crowd", &join);
        stranger.post(&events, &join).await.assert_status(202);
        over(&events, "rsvp", join["id"].as_str().unwrap()).await;
    }
    let after = attendees().await;
    assert_eq!(after.len(), 20, "{after:?}");
    assert!(after.contains(&stranger.actor("crowd")) && !after.contains(&seated[0]));
}

#[tokio::test]
async fn the_author_is_told_once_who_has_linked_the_article_and_no_stranger_tells_anything() {
    let (blog, events) = pair().await;
    let stranger = Stranger::new().await;
    let (author, calendar) = (blog.actor("author"), events.actor("main"));
    let (theirs, article) = (stranger.actor("gigs"), blog.url("/objects/gig-night"));
    blog.publish_article("author", "Gig Night", "gig-night").await;
    let allocate = async |calendar: &str| blog.allocate("author", "gig-night", calendar).await;
    let add = || {
        let add = json!({"type": "Add", "object": article, "target": theirs, "to": [author]});
        stranger.seal("gigs", &add)
    };
    let hears = async |add: &Value| {
        stranger.post(&blog, add).await.assert_status(202);
        over(&blog, "linked", add["id"].as_str().unwrap()).await
    };
    let listed = async || {
        let rows = ["views", "rows", "notifications", "--prefix", &author];
        let rows = blog.json(&rows).await;
        let rows = rows.as_array().cloned().unwrap_or_default().into_iter();
        let texts = rows.map(|row| row["value"]["text"].as_str().unwrap().to_owned());
        texts
            .filter(|text| text.starts_with("listed"))
            .collect::<Vec<_>>()
    };

    hears(&add()).await;
    assert_eq!(listed().await, [""; 0], "nothing was allocated to it");
    allocate(&calendar).await;
    let by_main = format!("listed: Gig Night in {calendar}");
    eventually("the author is told", SOON, async || {
        let listed = listed().await;
        (listed == [by_main.as_str()])
            .then_some(())
            .ok_or(format!("{listed:?}"))
    })
    .await;
    hears(&add()).await;
    assert_eq!(listed().await, [by_main.as_str()], "nothing was allocated to it");

    // Who is asked tells it once, however often it answers.
    allocate(&theirs).await;
    for _ in 0..2 {
        hears(&add()).await;
    }
    settle(&[&blog, &events]).await;
    let by_them = format!("listed: Gig Night in {theirs}");
    assert_eq!(listed().await, [by_them.as_str(), by_main.as_str()]);
}

/// Each answers whatever the other says to it.
#[tokio::test]
async fn two_domains_that_answer_each_other_fall_silent_and_say_why() {
    let answer = "
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
";
    let (blog, events) = tokio::join!(Node::blog(), Node::events());
    for domain in [&blog, &events] {
        behaves(domain, answer).await;
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
