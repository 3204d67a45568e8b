//! The client, against real servers on loopback.

use axum::{Router, http::StatusCode, routing::get};

use super::*;

mod inside;

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

fn fetcher(plain: &[&str]) -> Fetcher {
    Fetcher::new(Policy::new(plain.iter().map(|origin| (*origin).to_owned())).unwrap()).unwrap()
}

#[tokio::test]
async fn a_listed_peer_is_fetched_and_a_stranger_on_loopback_is_not() {
    let origin = serve(Router::new().route("/", get(|| async { "hello" }))).await;
    let document = fetcher(&[&origin]).get(&origin, "*/*").await.unwrap();
    assert_eq!(&document.body[..], b"hello");
    assert!(matches!(
        fetcher(&[]).get(&origin, "*/*").await,
        Err(FetchError::Forbidden(_))
    ));
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let to = [("location", "http://10.0.0.1/secret")];
    let origin = serve(Router::new().route("/", get(move || async move { (StatusCode::FOUND, to) }))).await;
    assert!(matches!(
        fetcher(&[&origin]).get(&origin, "*/*").await,
        Err(FetchError::Forbidden(_))
    ));
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_refused() {
    assert!(matches!(
        fetcher(&[]).get("https://localhost:1/", "*/*").await,
        Err(FetchError::Forbidden(PolicyError::PrivateAddress(_)))
    ));
}

#[tokio::test]
async fn an_endless_document_is_cut_off() {
    let origin = serve(Router::new().route("/", get(|| async { vec![b'x'; MAX_DOCUMENT + 1] }))).await;
    assert_eq!(
        fetcher(&[&origin]).get(&origin, "*/*").await.unwrap_err(),
        FetchError::TooLarge(MAX_DOCUMENT)
    );
    let (few, enough) = (MAX_DOCUMENT - 1, MAX_DOCUMENT + 1);
    let error = fetcher(&[&origin]).get_within(&origin, "*/*", few).await;
    assert_eq!(error.unwrap_err(), FetchError::TooLarge(few));
    let document = fetcher(&[&origin]).get_within(&origin, "*/*", enough).await;
    assert_eq!(document.unwrap().body.len(), enough);
}

#[tokio::test]
async fn an_endless_redirect_ends() {
    let router = Router::new().route("/", get(|| async { (StatusCode::FOUND, [("location", "/")]) }));
    let origin = serve(router).await;
    assert_eq!(
        fetcher(&[&origin]).get(&origin, "*/*").await.unwrap_err(),
        FetchError::Redirects
    );
}

#[tokio::test]
async fn a_closed_port_is_unreachable_with_its_cause() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = fetcher(&[&origin]).get(&origin, "*/*").await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Unreachable(cause) if cause.contains("refused")),
        "{error}"
    );
}
