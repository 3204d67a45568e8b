//! The log as other services meet it: over gRPC, with a role's token, as part of a trace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blobs;

use std::sync::Arc;

use fedsx_log::{Settings, blob::BlobStore, store::sqlite};
use fedsx_proto::v1::{
    AppendManyRequest, AppendRequest, AppendResult, Entry, GetRequest, Meta, NewEntry, PublishRequest,
    ReadRequest, append_response, append_result, get_request::By, log_client::LogClient,
};
use fedsx_runtime::transport::Authorised;
use fedsx_runtime::{
    Context,
    code::{Code, Refusal},
    keyring::MasterKey,
    telemetry,
    token::{Credentials, Guard, Role, Tokens},
    transport::{self, MAX_MESSAGE, Memory},
};
use serde_json::json;
use tonic::service::interceptor::InterceptedService;
use tracing::Instrument as _;

type Client = LogClient<Authorised>;

/// A log that is served over memory.
struct Served {
    memory: Memory,
    tokens: Tokens,
    context: Context,
}

impl Served {
    async fn start() -> Self {
        Self::with(Some(BlobStore::memory())).await
    }

    async fn with(blobs: Option<BlobStore>) -> Self {
        let context = Context::default();
        let master_key = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
        let mut settings = Settings::new("https://blog.example".parse().unwrap(), master_key);
        settings.blobs = blobs;
        let store = Arc::new(sqlite::memory().await.unwrap());
        let log = fedsx_log::start(settings, store, context.clone()).await.unwrap();
        let (memory, incoming) = transport::memory();
        let tokens = Tokens::generate();
        let guarded = InterceptedService::new(log, Guard(tokens.clone()));
        let server = tonic::transport::Server::builder().add_service(guarded);
        let stop = context.shutdown.token().cancelled_owned();
        tokio::spawn(server.serve_with_incoming_shutdown(incoming, stop));
        Self {
            memory,
            tokens,
            context,
        }
    }

    fn client(&self, credentials: Credentials) -> Client {
        LogClient::with_interceptor(self.memory.channel(), credentials)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE)
    }

    fn role(&self, role: Role) -> Client {
        self.client(Credentials::of(&self.tokens, role))
    }
}

fn create_base() -> PublishRequest {
    let draft = json!({"type": "Create", "object": {"type": "Service"}});
    PublishRequest {
        draft: draft.to_string().into(),
        ..PublishRequest::default()
    }
}

fn received(number: usize, content: &str) -> NewEntry {
    let body = json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": format!("https://events.example/notes/{number}"),
        "type": "Create",
        "actor": "https://events.example/actors/bob",
        "object": {"type": "Note", "content": content},
    });
    NewEntry {
        body: body.to_string().into(),
        meta: None,
    }
}

async fn entry(log: &Served, position: u64) -> Entry {
    let request = GetRequest {
        by: Some(By::Position(position)),
    };
    log.role(Role::Site).get(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_entry_belongs_to_the_trace_of_the_call_that_appended_it() {
    telemetry::start(&telemetry::Settings::default()).unwrap();
    let log = Served::start().await;
    let span = tracing::info_span!(target: "fedsx", "caller");
    let caller = telemetry::traceparent(&span).unwrap();
    log.role(Role::Operator)
        .publish(create_base())
        .instrument(span)
        .await
        .unwrap();
    let meta = entry(&log, 1).await.meta.unwrap();
    assert_eq!(
        telemetry::trace_id(&meta.traceparent),
        telemetry::trace_id(&caller)
    );
    assert_ne!(meta.traceparent, caller, "the append is a span of its own");
}

#[tokio::test]
async fn a_caller_needs_a_token_and_may_do_what_its_role_may() {
    let log = Served::start().await;
    let unknown = log
        .client(Credentials::new("guessed"))
        .publish(create_base())
        .await
        .unwrap_err();
    assert_eq!(Refusal::from(unknown).code, Code::Unauthenticated);
    let delivery = log.role(Role::Delivery).publish(create_base()).await.unwrap_err();
    assert_eq!(Refusal::from(delivery).code, Code::Forbidden);
    log.role(Role::Operator).publish(create_base()).await.unwrap();
}

#[tokio::test]
async fn large_appends_and_pages_fit_into_messages() {
    let log = Served::start().await;
    let body = "x".repeat(1_000_000);
    let request = AppendRequest {
        stream: "inbox/https://events.example/actors/bob".to_owned(),
        entries: (0..24).map(|number| received(number, &body)).collect(),
        ..AppendRequest::default()
    };
    let answer = log
        .role(Role::Gateway)
        .append(request)
        .await
        .unwrap()
        .into_inner()
        .outcome;
    assert!(matches!(answer, Some(append_response::Outcome::Appended(last)) if last.position == 24));
    let (mut seen, mut site) = (0, log.role(Role::Site));
    loop {
        let page = site
            .read(ReadRequest {
                from: seen,
                limit: 1000,
                ..ReadRequest::default()
            })
            .await
            .unwrap();
        let Some(last) = page.get_ref().entries.last() else {
            break;
        };
        seen = last.position;
    }
    assert_eq!(seen, 24);
}

fn one(stream: &str, number: usize) -> AppendRequest {
    AppendRequest {
        stream: stream.to_owned(),
        entries: vec![received(number, "one of many")],
        ..AppendRequest::default()
    }
}

/// The outcome's position, or the code of the refusal.
fn outcome(result: AppendResult) -> Result<(&'static str, u64), String> {
    use append_response::Outcome::{Appended, Duplicate};
    match result.result.unwrap() {
        append_result::Result::Answered(answer) => match answer.outcome.unwrap() {
            Appended(last) => Ok(("appended", last.position)),
            Duplicate(last) => Ok(("duplicate", last.position)),
            other => Err(format!("{other:?}")),
        },
        append_result::Result::Refused(refused) => Err(refused.code),
    }
}

#[tokio::test]
async fn many_appends_of_one_call_have_an_outcome_each_and_their_own_traces() {
    const BOB: &str = "inbox/https://events.example/actors/bob";
    let log = Served::start().await;
    let mut traced = one(BOB, 2);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    traced.entries[0].meta = Some(Meta {
        traceparent: traceparent.to_owned(),
        ..Meta::default()
    });
    let appends = vec![
        one(BOB, 1),
        one("inbox/https://events.example/actors/eve", 1),
        one("domain", 1),
        traced,
        one(BOB, 1),
        AppendRequest::default(),
    ];
    let request = AppendManyRequest { appends };
    let answer = log.role(Role::Gateway).append_many(request).await.unwrap();
    let outcomes: Vec<_> = answer.into_inner().results.into_iter().map(outcome).collect();
    let refused = |code: Code| Err(code.as_str().to_owned());
    assert_eq!(
        outcomes,
        [
            Ok(("appended", 1)),
            refused(Code::Malformed),
            refused(Code::Forbidden),
            Ok(("appended", 2)),
            Ok(("duplicate", 1)),
            refused(Code::Malformed),
        ]
    );
    let meta = entry(&log, 2).await.meta.unwrap();
    assert_eq!(
        telemetry::trace_id(&meta.traceparent),
        telemetry::trace_id(traceparent)
    );
    let batches = String::from_utf8(log.context.metrics.render().unwrap()).unwrap();
    assert!(batches.contains("fedsx_log_batch_requests_count 1"), "{batches}");

    let appends = vec![one(BOB, 3); 1001];
    let greedy = log
        .role(Role::Gateway)
        .append_many(AppendManyRequest { appends })
        .await;
    assert_eq!(Refusal::from(greedy.unwrap_err()).code, Code::Malformed);
}

#[tokio::test]
async fn the_metrics_tell_what_was_written_and_refused() {
    let log = Served::start().await;
    log.role(Role::Operator).publish(create_base()).await.unwrap();
    log.role(Role::Operator).publish(create_base()).await.unwrap_err();
    let text = String::from_utf8(log.context.metrics.render().unwrap()).unwrap();
    for line in [
        "fedsx_log_append_seconds_count{call=\"Publish\"} 2",
        "fedsx_log_batch_requests_count 2",
        "fedsx_log_entries_total{stream=\"outbox\"} 1",
        "fedsx_log_refusals_total{call=\"Publish\",code=\"already_exists\"} 1",
        "fedsx_log_head 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}
