//! Mails of flows, beside a real log and a real SMTP server.

use fedsx_projection::flows::mail::Mailer;
use fedsx_proto::v1::{Flow, FlowStep};
use fedsx_testing::smtp::{Held, Moment, Server};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::{
    domain::{ALICE, origin, replica::eventually, single::Single},
    hold,
};

const FIRST: &str = "anna@example.org";
const SECOND: &str = "bob@example.org";
const THIRD: &str = "carla@example.org";

/// A domain whose mails are taken by a server.
async fn domain_of(server: &Server) -> Single {
    let mailer = Mailer::new(&server.url(), Some("Blog <blog@blog.example>"), &origin()).unwrap();
    Single::start_with(move |settings| settings.mailer = Some(mailer.clone())).await
}

fn mail(id: &str, to: &str) -> Value {
    json!({"id": id, "effect": "mail", "with": {
        "to": to, "subject": "='New: ' + activity.object.name", "text": "=activity.object.content"}})
}

/// To each of the three.
fn newsletter() -> Value {
    let mut step = mail("send", "=item");
    step["each"] = json!(format!("['{FIRST}', '{SECOND}', '{THIRD}']"));
    step
}

async fn publish(single: &Single) {
    let note = json!({"id": "https://blog.example/objects/gig", "type": "Note", "name": "Gig Night",
        "content": "Doors at eight.\nSee you — there!"});
    single
        .domain
        .publish(ALICE, json!({"type": "Create", "object": note}))
        .await;
}

/// The only flow, once its step stands so.
async fn stands(single: &Single, stand: &str) -> Flow {
    eventually(stand, async || {
        let Some(flow) = single.flows().await.pop() else {
            return false;
        };
        step(&single.show(&flow.id).await).stand == stand
    })
    .await;
    let id = single.flows().await.remove(0).id;
    single.show(&id).await
}

/// Its last step.
fn step(flow: &Flow) -> &FlowStep {
    flow.steps.last().unwrap()
}

fn recipients(server: &Server) -> Vec<String> {
    server.mails().iter().map(|mail| mail.to.join(" ")).collect()
}

fn ids(server: &Server) -> Vec<String> {
    server
        .mails()
        .iter()
        .map(|mail| mail.header("Message-ID"))
        .collect()
}

#[tokio::test]
async fn a_mail_says_what_the_flow_says() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    single
        .define("tell", "Create", json!([mail("send", "Bob <bob@example.org>")]))
        .await;
    publish(&single).await;
    let flow = single.flow("completed").await;
    let [sent] = server.mails().try_into().unwrap();
    assert_eq!(
        (&*sent.from, sent.to.join(" ")),
        ("blog@blog.example", SECOND.to_owned())
    );
    assert_eq!(sent.subject(), "New: Gig Night");
    assert_eq!(sent.text().trim_end(), "Doors at eight.\r\nSee you — there!");
    let id = format!("<{}/send@blog.example>", flow.id);
    assert_eq!(sent.header("Message-ID"), id);
    let value: Value = serde_json::from_slice(&step(&flow).value).unwrap();
    assert_eq!(value, json!({"messageId": id}));
    // Whoever reads the log again sends nothing again.
    let single = single.again("another.db").await;
    single.flow("completed").await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn of_many_a_refused_one_is_put_right_and_nobody_is_told_twice() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    server.answers(Moment::Recipient(SECOND.to_owned()), "550 5.1.1 no such user");
    single.define("tell", "Create", json!([newsletter()])).await;
    publish(&single).await;
    let flow = single.flow("failed").await;
    assert!(flow.cause.contains("no such user"), "{}", flow.cause);
    assert_eq!(
        (&*step(&flow).stand, step(&flow).items_done, step(&flow).items),
        ("failed", 1, 3)
    );
    assert_eq!(recipients(&server), [FIRST]);
    server.relents();
    single.retry(&flow.id).await.unwrap();
    let flow = single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST, SECOND, THIRD]);
    let expected = [0, 1, 2].map(|place| format!("<{}/send/{place}@blog.example>", flow.id));
    assert_eq!(ids(&server), expected);
}

#[tokio::test]
async fn where_a_step_may_fail_a_dead_mailbox_keeps_nobody_from_theirs() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    server.answers(Moment::Recipient(SECOND.to_owned()), "550 5.1.1 no such user");
    let mut letters = newsletter();
    letters["continueOnError"] = json!(true);
    let count = json!({"id": "count", "effect": "put", "with": {
        "key": "failed", "value": "=size(steps.send.filter(letter, has(letter.error)))"}});
    single.define("tell", "Create", json!([letters, count])).await;
    publish(&single).await;
    let flow = single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST, THIRD]);
    let letters: Value = serde_json::from_slice(&flow.steps[0].value).unwrap();
    let error = letters[1]["error"].as_str().unwrap();
    assert!(error.contains("no such user"), "{letters}");
    assert_eq!(single.state("failed").await, Some(json!(1)));
    // Whoever reads the log again comes to the same.
    let single = single.again("another.db").await;
    assert_eq!(single.flow("completed").await, flow);
    assert_eq!(recipients(&server), [FIRST, THIRD]);
}

#[tokio::test]
async fn what_is_no_mailbox_is_not_tried() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    let to = format!("='{FIRST}, {SECOND}'");
    single.define("tell", "Create", json!([mail("send", &to)])).await;
    publish(&single).await;
    let flow = single.flow("failed").await;
    assert!(flow.cause.contains("`to` is no single mailbox"), "{}", flow.cause);
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    server.goes_away().await;
    single
        .define("tell", "Create", json!([mail("send", FIRST)]))
        .await;
    publish(&single).await;
    let flow = stands(&single, "failing").await;
    assert!(flow.due_at_us > flow.moved_at_us, "at a time of its own");
    server.comes_back().await;
    single.retry(&flow.id).await.unwrap();
    single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST]);
}

#[tokio::test]
async fn what_failed_for_now_is_done_by_itself_later() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    server.answers(Moment::Recipient(FIRST.to_owned()), "451 4.3.0 not now");
    single
        .define("tell", "Create", json!([mail("send", FIRST)]))
        .await;
    publish(&single).await;
    let flow = stands(&single, "failing").await;
    assert!(flow.cause.contains("451"), "{}", flow.cause);
    server.relents();
    let flow = single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST]);
    assert!(!step(&flow).value.is_empty());
}

/// It cannot be known whether the server has taken it.
#[tokio::test]
async fn killed_before_it_was_recorded_a_mail_comes_twice_under_one_id() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    single.define("tell", "Create", json!([newsletter()])).await;
    let held = server.holds(Moment::Message);
    publish(&single).await;
    held.reached().await;
    let single = single.again("projection.db").await;
    eventually("it comes again", async || server.mails().len() == 2).await;
    drop(held);
    single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST, FIRST, SECOND, THIRD]);
    let ids = ids(&server);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn killed_before_it_was_sent_a_mail_comes_once() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    single.define("tell", "Create", json!([newsletter()])).await;
    let held = server.holds(Moment::Recipient(SECOND.to_owned()));
    publish(&single).await;
    held.reached().await;
    let single = single.again("projection.db").await;
    drop(held);
    single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST, SECOND, THIRD]);
}

#[tokio::test]
async fn what_a_person_lets_go_after_everybody_died_is_mailed() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    single
        .define("digest", "Create", json!([hold(), newsletter()]))
        .await;
    publish(&single).await;
    single.flow("waiting").await;
    let single = single.again("projection.db").await;
    let flow = single.flow("waiting").await;
    assert_eq!(server.opened(), 0);
    single.resume(&flow.id, "").await.unwrap();
    single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST, SECOND, THIRD]);
}

/// A flow that waits for a person, and beside that has handed a mail over, whose answer is held back.
async fn mailing() -> (Server, Single, Held) {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    let mut letter = mail("send", FIRST);
    letter["after"] = json!([]);
    single.define("tell", "Create", json!([hold(), letter])).await;
    let held = server.holds(Moment::Message);
    publish(&single).await;
    held.reached().await;
    (server, single, held)
}

#[tokio::test]
async fn moved_by_a_person_while_it_mails_a_flow_mails_once() {
    let (server, single, held) = mailing().await;
    let flow = single.flows().await.remove(0);
    single.resume(&flow.id, "").await.unwrap();
    drop(held);
    single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST]);
}

/// Who answers the person may be another process than the one that mails.
#[tokio::test]
async fn a_flow_that_one_process_works_on_is_left_to_it_by_the_others() {
    let (server, single, held) = mailing().await;
    let mailer = Mailer::new(&server.url(), Some("Blog <blog@blog.example>"), &origin()).unwrap();
    let other = single
        .beside("other", move |settings| settings.mailer = Some(mailer.clone()))
        .await;
    let flow = single.flows().await.remove(0);
    let resume = fedsx_proto::v1::ResumeFlowRequest {
        id: flow.id.clone(),
        step: "hold".to_owned(),
        value: Vec::new().into(),
    };
    other.flows.clone().resume_flow(resume).await.unwrap();
    assert_eq!(server.mails().len(), 1);
    drop(held);
    single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST]);
}

/// A database that was restored: its flow seems to be under way.
#[tokio::test]
async fn what_the_log_says_was_mailed_is_not_mailed_by_an_older_store() {
    let server = Server::start().await;
    let single = domain_of(&server).await;
    single
        .define("tell", "Create", json!([mail("send", FIRST)]))
        .await;
    publish(&single).await;
    let flow = single.flow("completed").await;
    let stopped = single.dies();
    let older =
        "UPDATE flow SET version = 1, last_position = position, status = 'running', state = CAST('{\"steps\":{}}' AS BLOB),
                 needs = 'mail', due = 0 WHERE id = ?";
    let file = stopped.folder.path().join("projection.db");
    let mut store = SqliteConnection::connect(&file.display().to_string())
        .await
        .unwrap();
    let set = sqlx::query(older)
        .bind(flow.id)
        .execute(&mut store)
        .await
        .unwrap();
    assert_eq!(set.rows_affected(), 1);
    let single = stopped.again("projection.db").await;
    single.flow("completed").await;
    assert_eq!(recipients(&server), [FIRST]);
}
