//! Flows of a domain of separate processes, all of which are killed on their way.

use fedsx_e2e::{
    Deployment, Plan, Scripted, Stranger,
    smtp::{Moment, Server},
};
use serde_json::{Value, json};

use super::lose;
use crate::steps::{behaves, flow, over, said, tried};

const STEPS: usize = 10;

const SAYS: &str = "
  - id: step-#
    effect: emit
    with: {actor: author, activity: {type: Create, object: {type: Note, name: step-#}}}";
const COUNTS: &str = "
  - id: step-#
    effect: put
    with: {key: \"=activity.id + '#'\", value: '=current == null ? 1 : current + 1'}";
const MAILS: &str = "
  - id: gate-#
    effect: mail
    with: {to: gate-#@example.org, subject: Step #, text: Done}";

/// Ten steps, and after each a mail to somebody of its own, by whom the flow can be held there.
fn ten() -> String {
    let steps = (0..STEPS).map(|step| {
        let does = if step % 2 == 0 { SAYS } else { COUNTS };
        [does, MAILS].concat().replace('#', &step.to_string())
    });
    let steps: String = steps.collect();
    format!("name: ten\non: {{verbs: [Create], types: [Article]}}\nsteps:{steps}\n")
}

fn gate(step: usize) -> String {
    format!("gate-{step}@example.org")
}

/// What has become of each step. What was published or mailed has another id each time.
fn record(flow: &Value) -> Vec<Value> {
    let steps = flow["steps"].as_array().into_iter().flatten();
    let record = steps.map(|step| match step["kind"].as_str() {
        Some("put") => json!([step["id"], step["stand"], step["value"]]),
        _ => json!([step["id"], step["stand"]]),
    });
    record.collect()
}

async fn article(blog: &Deployment) -> String {
    let article = ["--actor", "author", "--type", "Article", "--name", "Gig Night"];
    blog.publish_with(&article).await.cid
}

/// Every process dies between any two steps, and what comes of it in the end is what one does that nobody disturbs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_a_flow_does_each_of_them_once() {
    let server = Server::start().await;
    let mut blog = Plan::of("blog").set("smtp", &server.url()).started().await;
    behaves(&blog, &ten()).await;
    let first = article(&blog).await;
    let undisturbed = over(&blog, "ten", &first).await;

    let gates: Vec<_> = (0..STEPS)
        .map(|step| server.holds(Moment::Recipient(gate(step))))
        .collect();
    let second = article(&blog).await;
    for gate in gates {
        gate.reached().await;
        lose(&mut blog);
        drop(gate);
        blog.start().await;
    }
    assert_eq!(record(&over(&blog, "ten", &second).await), record(&undisturbed));
    let said = said(&blog).await;
    for step in (0..STEPS).step_by(2) {
        let name = format!("step-{step}");
        let times = said.iter().filter(|said| said["object"]["name"] == *name).count();
        assert_eq!(times, 2, "{name}");
    }
    let mailed: Vec<String> = server.mails().iter().map(|mail| mail.to.join(" ")).collect();
    let once: Vec<String> = (0..STEPS).map(gate).collect();
    assert_eq!(mailed, [once.clone(), once].concat());
}

/// Delivery posts it, and the flow goes on by what came of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_posted_until_it_is_taken_and_its_flow_goes_on_by_the_answer() {
    let (mut blog, stranger) = tokio::join!(Deployment::blog(), Stranger::new());
    let calls = format!(
        "
name: calls
on: {{verbs: [Create], types: [Article]}}
steps:
  - id: call
    effect: webhook
    with: {{url: '{}hooks/articles', actor: author, body: {{name: =activity.object.name}}}}
  - id: told
    effect: notify
    with: {{to: author, text: \"='they said ' + string(steps.call.status)\"}}
",
        stranger.base()
    );
    behaves(&blog, &calls).await;
    stranger.answers(Scripted::Status(503));
    let cid = article(&blog).await;
    tried(&blog, 1).await;
    assert_eq!(
        flow(&blog, "calls", &cid, "waiting").await["steps"][0]["stand"],
        "sent"
    );
    lose(&mut blog);
    stranger.answers(Scripted::Accept);
    blog.start().await;

    let told = over(&blog, "calls", &cid).await;
    assert_eq!(told["steps"][0]["value"], json!({"status": 202}));
    assert_eq!(told["steps"][1]["value"]["text"], "they said 202");
    let received = stranger.received();
    assert_eq!(received.len(), 1);
    let posted = &received[0];
    assert_eq!(
        (posted.path.as_str(), &posted.activity),
        ("/hooks/articles", &json!({"name": "Gig Night"}))
    );
    let key = format!("\"{}/call\"", told["id"].as_str().unwrap());
    assert_eq!(posted.headers["idempotency-key"], *key);
    let input = posted.headers["signature-input"].to_str().unwrap();
    assert!(input.contains(&blog.actor("author")), "{input}");

    // What is refused stops the flow, until somebody says that it be posted again.
    stranger.answers(Scripted::Status(410));
    let cid = article(&blog).await;
    let refused = flow(&blog, "calls", &cid, "failed").await;
    assert!(
        refused["steps"][0]["cause"].to_string().contains("410"),
        "{refused}"
    );
    stranger.answers(Scripted::Accept);
    let id = refused["id"].as_str().unwrap();
    blog.run(&["flows", "retry", id]).await.assert_code(0);
    over(&blog, "calls", &cid).await;
    let keys: Vec<_> = stranger
        .received()
        .iter()
        .map(|posted| posted.headers["idempotency-key"].clone())
        .collect();
    assert!(
        keys.len() == 2 && keys[1] == *format!("\"{id}/call\""),
        "{keys:?}"
    );
}
