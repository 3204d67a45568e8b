//! An empty vhost for one test.

use url::Url;

use super::api::Api;
use crate::{aside, shared};

/// An empty vhost, removed with its queues when this is dropped.
#[derive(Debug)]
pub struct Vhost {
    api: Api,
    name: String,
    url: String,
}

impl Vhost {
    /// A new vhost on the server that `FEDSX_TEST_RABBITMQ` and `FEDSX_TEST_RABBITMQ_API` name.
    pub async fn create() -> Self {
        let server = shared::url(shared::RABBITMQ);
        let api = Api::new(shared::url(shared::RABBITMQ_API));
        Self::create_at(&server, api).await
    }

    pub(super) async fn create_at(server: &Url, api: Api) -> Self {
        let name = format!("fedsx-test-{:016x}", rand::random::<u64>());
        let mut url = server.clone();
        url.set_path(&name);
        let vhost = Self {
            api,
            name,
            url: url.into(),
        };
        vhost.create_again().await;
        vhost
    }

    /// Makes it, empty, on a server that has lost it.
    pub(super) async fn create_again(&self) {
        let made = self.api.create_vhost(&self.name).await;
        made.unwrap_or_else(|error| panic!("{} cannot be made: {error}", self.url));
    }

    /// Whether its server has it.
    pub async fn exists(&self) -> bool {
        let found = self.api.has_vhost(&self.name).await;
        found.unwrap_or_else(|error| panic!("{}: {error}", self.url))
    }

    /// `amqp://…/<vhost>`
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let (api, name) = (self.api.clone(), self.name.clone());
        aside::run(format!("{} stays behind", self.url), async move {
            api.delete_vhost(&name).await
        });
    }
}
