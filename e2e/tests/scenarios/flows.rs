//! What a domain does on activities is seen and moved by people: by commands, over HTTP, and by strangers only in outline.

use fedsx_e2e::{Node, ask, eventually};
use serde_json::{Value, json};

use crate::steps::{SOON, behaves};

const READING: &str = "
name: reading
on: {verbs: [Create], types: [Note]}
steps:
  - {id: tell, effect: notify, with: {to: author, text: \"='new: ' + activity.object.name\"}}
  - {id: read, suspend: {person: Read it}}
  - {id: told, effect: notify, with: {to: author, text: \"='they say ' + steps.read.value\"}}
";

/// A blog whose notes are read by a person, beside its bundle.
async fn blog() -> Node {
    let blog = Node::blog().await;
    behaves(&blog, READING).await;
    blog
}

/// The id of the flow of an activity, once it waits.
async fn waiting(blog: &Node, activity: &str) -> String {
    eventually("the flow waits", SOON, async || {
        let list = ["flows", "list", "--activity", activity, "--status", "waiting"];
        let told = blog.json(&list).await;
        let id = told["flows"][0]["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| told.to_string())
    })
    .await
}

#[tokio::test]
async fn a_person_lets_a_flow_go_on_by_a_command() {
    let blog = blog().await;
    let note = blog.publish("author", "Gig Night").await;
    let id = waiting(&blog, &note.id).await;
    let flow = blog.json(&["flows", "show", &id[..8]]).await;
    assert_eq!(
        (&flow["id"], &flow["behaviour"], &flow["activityCid"]),
        (&json!(id), &json!("reading"), &json!(note.cid))
    );
    let stands = |flow: &Value| {
        let steps = flow["steps"].as_array().into_iter().flatten();
        steps
            .map(|step| step["stand"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(stands(&flow), ["done", "waiting", "later"], "{flow}");
    assert_eq!(flow["steps"][1]["person"], "Read it");
    let told = blog.json(&["flows", "behaviours"]).await;
    let behaviours = told["behaviours"].as_array().expect("a list");
    let reading = behaviours.iter().find(|behaviour| behaviour["name"] == "reading");
    assert_eq!(
        reading.expect("the behaviour")["steps"],
        json!(["tell: notify", "read: suspend", "told: notify"])
    );
    assert_eq!(told["runners"].as_array().map(Vec::len), Some(1), "{told}");

    let resume = ["flows", "resume", &id[..8], "--text", "fine", "--wait", "60"];
    let resumed = blog.json(&resume).await;
    assert_eq!(resumed["status"], "completed", "{resumed}");
    blog.run(&resume)
        .await
        .assert_code(3)
        .assert_says("waits for a person");
    let author = format!("{} ", blog.actor("author"));
    // The latest first: before them is what the seeded article had told.
    let rows = blog
        .json(&[
            "views",
            "rows",
            "notifications",
            "--prefix",
            &author,
            "--limit",
            "2",
        ])
        .await;
    let texts: Vec<_> = rows
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| &row["value"]["text"])
        .collect();
    // The bundle's own behaviour has told of the welcome before.
    assert_eq!(texts[..2], ["they say fine", "new: Gig Night"], "{rows}");
    assert_eq!(rows[0]["value"]["flow"], json!(id));

    let none = blog.run(&["flows", "show", "aaaa"]).await.assert_code(3);
    none.assert_says("no flow's id begins with \"aaaa\"");
    let short = blog.run(&["flows", "show", "a"]).await.assert_code(3);
    short.assert_says("ID is \"a\"");
}

#[tokio::test]
async fn flows_are_moved_over_http_by_who_has_a_token() {
    let blog = blog().await;
    let token = blog.token();
    let public = waiting(&blog, &blog.publish("author", "Gig Night").await.id).await;
    let private = ["--actor", "author", "--name", "Secret", "--followers-only"];
    let private = waiting(&blog, &blog.publish_with(&private).await.id).await;

    let page = blog
        .get("/flows?behaviour=reading")
        .await
        .assert_status(200)
        .json();
    assert_eq!(page["flows"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!(page["flows"][0]["id"], public);
    for (path, says) in [
        ("/flows?limit=0", "`limit` is 0"),
        ("/flows?lmit=1", "lmit"),
        ("/behaviours?limit=1", "limit"),
    ] {
        let refused = ask(&blog.url(path), Some(&token), None).await;
        refused.assert_refused(400, "malformed");
        assert!(refused.json().to_string().contains(says), "{refused}");
    }
    assert!(!page.to_string().contains("Read it"), "{page}");
    blog.get(&format!("/flows/{public}")).await.assert_status(200);
    blog.get(&format!("/flows/{private}"))
        .await
        .assert_refused(404, "not_found");
    for at in [blog.url("/flows"), blog.internal_url("/flows")] {
        let whole = ask(&format!("{at}/{private}"), Some(&token), None).await;
        let whole = whole.assert_status(200).json();
        assert_eq!(
            (&whole["steps"][1]["person"], &whole["transitions"][0]["version"]),
            (&json!("Read it"), &json!(1))
        );
        ask(&format!("{at}/{private}"), Some("nobodys"), None)
            .await
            .assert_refused(401, "unauthenticated");
    }

    let resume = blog.url(&format!("/flows/{public}/resume"));
    let said = json!({ "value": "fine" });
    for token in [None, Some("nobodys")] {
        let refused = ask(&resume, token, Some(&said)).await;
        refused.assert_refused(401, "unauthenticated");
    }
    ask(&resume, Some(&token), Some(&said)).await.assert_status(200);
    ask(&resume, Some(&token), Some(&said))
        .await
        .assert_refused(409, "flow_state");
    let cancel = blog.internal_url(&format!("/flows/{private}/cancel"));
    let why = json!({ "reason": "nobody reads it" });
    let cancelled = ask(&cancel, Some(&token), Some(&why)).await;
    assert_eq!(cancelled.assert_status(200).json()["status"], "cancelled");
    let statuses = async || {
        let told = blog.json(&["flows", "list", "--behaviour", "reading"]).await;
        let flows = told["flows"].as_array().into_iter().flatten();
        flows.map(|flow| flow["status"].clone()).collect::<Vec<_>>()
    };
    eventually("both flows are over", SOON, async || {
        let statuses = statuses().await;
        (statuses == ["cancelled", "completed"])
            .then_some(())
            .ok_or_else(|| format!("{statuses:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_flow_that_fails_says_so_and_is_ended() {
    let blog = blog().await;
    let note = blog
        .publish_with(&["--actor", "author", "--name", "Gig Night", "--type", "Event"])
        .await;
    let start = [
        "flows",
        "start",
        "reading",
        &note.position.to_string(),
        "--wait",
        "60",
    ];
    let started = blog.json(&start).await;
    assert_eq!(
        (&started["status"], started.get("existed")),
        (&json!("waiting"), None)
    );
    let again = blog.json(&start).await;
    assert_eq!((&again["id"], &again["existed"]), (&started["id"], &json!(true)));

    // What is said is no text, so that what comes after it has no value.
    let id = started["id"].as_str().expect("an id");
    let resumed = blog
        .run(&["flows", "resume", id, "--value", "7", "--wait", "60"])
        .await
        .assert_code(1);
    resumed.assert_says("the flow has failed: told:");
    let retried = blog
        .run(&["flows", "retry", id, "--wait", "60"])
        .await
        .assert_code(1);
    assert_eq!(retried.json()["status"], "failed", "{retried}");
    let failed = blog
        .json(&[
            "flows",
            "list",
            "--status",
            "failed",
            "--object",
            &object(&blog, &note.cid).await,
        ])
        .await;
    assert_eq!(failed["flows"][0]["id"], json!(id), "{failed}");
    blog.json(&["flows", "cancel", id, "--reason", "no such text"])
        .await;
    let told = blog.json(&["flows", "show", id]).await;
    let last = told["transitions"].as_array().and_then(|all| all.last());
    assert_eq!(
        last.expect("a transition")["events"],
        json!([{"event": "cancelled", "reason": "no such text"}])
    );
    blog.run(&["flows", "retry", id]).await.assert_code(3);
    let unknown = blog
        .run(&["flows", "start", "riding", &note.id])
        .await
        .assert_code(3);
    unknown.assert_says("there is no behaviour \"riding\"; there are");

    let list = blog.json(&["flows", "list", "--status", "cancelled"]).await;
    assert_eq!(list["flows"][0]["cause"], "no such text", "{list}");
    let none = blog
        .run(&["flows", "list", "--behaviour", "riding"])
        .await
        .assert_code(3);
    none.assert_says("there is no behaviour \"riding\", and no flow of one; there are");
    let silent = ["flows", "cancel", id, "--reason", " "];
    blog.run(&silent)
        .await
        .assert_code(2)
        .assert_says("it says nothing");
}

#[tokio::test]
async fn a_flow_starts_on_what_an_actor_says_and_by_a_behaviour_that_does_something() {
    let blog = blog().await;
    let note = blog
        .publish_with(&[
            "--actor",
            "author",
            "--name",
            "Gig Night",
            "--object",
            "gig-night",
        ])
        .await;
    let id = waiting(&blog, &note.id).await;
    let by_object = ["flows", "list", "--object", "gig-night", "--behaviour", "reading"];
    assert_eq!(blog.json(&by_object).await["flows"][0]["id"], json!(id));
    let told = blog.json(&["flows", "show", &id]).await;
    let transition = told["transitions"][0]["position"].to_string();
    let refused = blog
        .run(&["flows", "start", "reading", &transition])
        .await
        .assert_code(3);
    refused.assert_says("is no activity of an actor, but a Transition in the stream flow/");

    let off = "name: reading\non: {verbs: [Create]}\nsteps: []\n";
    behaves(&blog, off).await;
    eventually("it is switched off", SOON, async || {
        let told = blog.json(&["flows", "behaviours"]).await;
        let mut behaviours = told["behaviours"].as_array().into_iter().flatten();
        let off = behaviours.any(|one| one["name"] == "reading" && one["steps"] == json!([]));
        off.then_some(()).ok_or(told)
    })
    .await;
    let other = blog.publish("author", "Second Night").await;
    let refused = blog
        .run(&["flows", "start", "reading", &other.id])
        .await
        .assert_code(3);
    refused.assert_says("the behaviour \"reading\" is switched off: it has no steps");
}

/// The id of an activity's object.
async fn object(blog: &Node, cid: &str) -> String {
    let activity = blog.get(&format!("/activities/{cid}")).await.json();
    activity["object"]["id"].as_str().expect("an id").to_owned()
}
