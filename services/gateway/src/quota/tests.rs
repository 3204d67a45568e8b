use fedsx_proto::v1::log_client::LogClient;
use fedsx_runtime::{
    Context,
    keyring::MasterKey,
    token::{Credentials, Guard, Role, Tokens},
    transport,
};
use tonic::{service::interceptor::InterceptedService, transport::Server};

use self::losing::Losing;
use super::*;
use crate::measure::Measures;

#[allow(dead_code, reason = "here answers get lost alone")]
#[path = "../../tests/gateway/losing.rs"]
mod losing;

const LIMIT: u64 = 1024 * GRANTS;

/// A log whose answers may get lost.
async fn log(losing: &Losing) -> Log {
    let (tokens, context) = (Tokens::generate(), Context::default());
    let master_key = Arc::new(MasterKey::parse(&MasterKey::generate()).unwrap());
    let store = Arc::new(fedsx_log::store::sqlite::memory().await.unwrap());
    let settings = fedsx_log::Settings::new("https://events.example".parse().unwrap(), master_key);
    let server = fedsx_log::start(settings, store, context.clone()).await.unwrap();
    let (memory, incoming) = transport::memory();
    let server = Server::builder()
        .layer(losing.clone())
        .add_service(InterceptedService::new(server, Guard(tokens.clone())))
        .serve_with_incoming(incoming);
    tokio::spawn(server);
    let credentials = Credentials::of(&tokens, Role::Gateway);
    let client = LogClient::with_interceptor(memory.channel(), credentials);
    let measures = Measures::register(&context.metrics).unwrap();
    Log::new(client, measures.appends)
}

#[test]
fn a_stored_count_is_decimal_text() {
    assert_eq!(parse(b"1024"), 1024);
    assert_eq!(parse(b"x"), 0);
}

#[test]
fn what_was_not_stored_can_be_given_back() {
    let account = Arc::new(Account::default());
    account.left.store(15, Ordering::Relaxed);
    let reserve = |bytes| {
        account.take(bytes).then(|| Reservation {
            account: account.clone(),
            bytes,
        })
    };
    assert!(reserve(16).is_none());
    reserve(10).unwrap().give_back();
    drop(reserve(5).unwrap());
    assert_eq!(account.left.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn a_grant_is_given_back_once_though_the_answer_is_lost() {
    let (losing, quota) = (Losing::default(), StrangerQuota::new(LIMIT));
    let log = log(&losing).await;
    let origin: Origin = "https://stranger.example".parse().unwrap();
    let counted = async || {
        let stored = log.kv(SPACE, origin.as_str()).await.unwrap();
        parse(&stored.unwrap().value)
    };
    // What the one gateway would give back twice, the other has.
    let other = StrangerQuota::new(LIMIT);
    let _stored = other.reserve(&log, &origin, 1024).await.unwrap();
    let _ = quota.reserve(&log, &origin, 24).await.unwrap();
    assert_eq!(counted().await, 2048);
    losing.lose_one("/ChangeKv");
    quota.give_back_all(&log).await;
    assert_eq!(counted().await, 1048);
    quota.give_back_idle(&log).await;
    assert_eq!(counted().await, 1048);
}

#[tokio::test]
async fn a_grant_that_was_not_given_back_is_given_back_later() {
    let (losing, quota) = (Losing::default(), StrangerQuota::new(LIMIT));
    let log = log(&losing).await;
    let origin: Origin = "https://stranger.example".parse().unwrap();
    let _stored = quota.reserve(&log, &origin, 24).await.unwrap();
    losing.lose_one("/GetKv");
    quota.give_back_all(&log).await;
    quota.give_back_idle(&log).await;
    let stored = log.kv(SPACE, origin.as_str()).await.unwrap();
    assert_eq!(parse(&stored.unwrap().value), 24);
}
