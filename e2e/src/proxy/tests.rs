use std::time::Duration;

use axum::{Router, routing::any};
use tokio::time::{Instant, timeout};

use super::*;
use crate::answer;

/// A proxy in front of a server that echoes bodies.
async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start().await;
    proxy.leads_to(listener.local_addr().unwrap());
    let router = Router::new().route("/echo", any(async |body: String| body));
    tokio::spawn(async move { axum::serve(listener, router).await });
    proxy
}

fn post(proxy: &Proxy) -> reqwest::RequestBuilder {
    answer::client()
        .post(format!("{}/echo", proxy.origin()))
        .body("hello")
}

#[tokio::test]
async fn what_it_passes_on_is_unchanged() {
    let proxy = echo().await;
    let answer = answer::send(post(&proxy)).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"hello"[..]));
    assert_eq!(proxy.asked(), 1);
}

#[tokio::test]
async fn posts_are_answered_for_the_peer_and_the_rest_goes_on() {
    let proxy = echo().await;
    proxy.set(Fault::slow_down(7));
    let answer = answer::send(post(&proxy)).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    let get = answer::client().get(format!("{}/echo", proxy.origin()));
    answer::send(get).await.unwrap().assert_status(200);
    proxy.set(Fault::redirect("http://10.0.0.1/"));
    let answer = answer::send(post(&proxy)).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["location"]),
        (307, &"http://10.0.0.1/".parse().unwrap())
    );
}

#[tokio::test]
async fn a_reset_is_an_error_at_once() {
    let proxy = echo().await;
    proxy.set(Fault::Reset);
    let error = answer::send(post(&proxy)).await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    assert_eq!(proxy.asked(), 1);
}

#[tokio::test]
async fn a_black_hole_answers_nobody_until_it_is_closed() {
    let proxy = echo().await;
    proxy.set(Fault::BlackHole);
    let mut asked = Box::pin(answer::send(post(&proxy)));
    assert!(timeout(Duration::from_millis(200), &mut asked).await.is_err());
    proxy.set(Fault::None);
    asked.await.unwrap_err();
    answer::send(post(&proxy)).await.unwrap().assert_status(200);
}

#[tokio::test]
async fn slow_answers_are_whole() {
    let proxy = echo().await;
    for fault in [
        Fault::Latency(Duration::from_millis(100)),
        Fault::Drip(Duration::from_millis(20)),
    ] {
        proxy.set(fault);
        let start = Instant::now();
        let answer = answer::send(post(&proxy)).await.unwrap();
        assert_eq!(&answer.body[..], b"hello");
        assert!(start.elapsed() >= Duration::from_millis(100));
    }
}
