//! The management API.

use std::{sync::OnceLock, time::Duration};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use url::Url;

/// A request that takes longer has met a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The management API of a server.
#[derive(Debug, Clone)]
pub(super) struct Api(Url);

/// A request failed, or was answered by anything but success.
pub(super) type Error = reqwest::Error;

impl Api {
    /// The API at a URL that holds the user and the password.
    pub(super) fn new(url: Url) -> Self {
        Self(url)
    }

    /// Makes a vhost and lets the API's user do everything there. One that exists stays as it is.
    pub(super) async fn create_vhost(&self, name: &str) -> Result<(), Error> {
        self.send(self.request(Method::PUT, &["vhosts", name])).await?;
        let everything = r#"{"configure":".*","write":".*","read":".*"}"#;
        let permissions = self.request(Method::PUT, &["permissions", name, self.0.username()]);
        self.send(permissions.body(everything)).await
    }

    /// Removes a vhost with its queues. One that is gone already is no error.
    pub(super) async fn delete_vhost(&self, name: &str) -> Result<(), Error> {
        let removed = self.send(self.request(Method::DELETE, &["vhosts", name])).await;
        found(removed).map(drop)
    }

    /// Whether there is a vhost of this name.
    pub(super) async fn has_vhost(&self, name: &str) -> Result<bool, Error> {
        found(self.send(self.request(Method::GET, &["vhosts", name])).await)
    }

    /// Whether the server takes connections at this port.
    pub(super) async fn listens(&self, port: u16) -> Result<(), Error> {
        let port = port.to_string();
        self.send(self.request(Method::GET, &["health", "checks", "port-listener", &port]))
            .await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        static PROVIDER: OnceLock<()> = OnceLock::new();
        PROVIDER.get_or_init(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut url = self.0.clone();
        url.path_segments_mut()
            .expect("an http URL")
            .pop_if_empty()
            .push("api")
            .extend(path);
        // A client's connections live in the runtime that made them, and each test has its own.
        let client = Client::builder().no_proxy().timeout(PATIENCE).build();
        client
            .expect("an HTTP client")
            .request(method, url)
            .header("content-type", "application/json")
    }

    async fn send(&self, request: RequestBuilder) -> Result<(), Error> {
        request.send().await?.error_for_status().map(drop)
    }
}

/// False: 404.
fn found(answer: Result<(), Error>) -> Result<bool, Error> {
    match answer {
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(false),
        other => other.map(|()| true),
    }
}
