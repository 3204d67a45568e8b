//! What a node's services say of its state, over its internal gRPC server.

use std::time::Duration;

use fedsx_proto::v1::{
    DescribeRequest, GetProgressRequest, ListDeliveriesRequest, ListViewsRequest, PublishRequest,
    ReadRequest, ViewState, delivery_client::DeliveryClient, log_client::LogClient,
    projection_client::ProjectionClient, publish_response::Outcome,
};
use fedsx_runtime::{
    token::Credentials,
    transport::{self, MAX_MESSAGE},
};
use serde_json::{Value, json};
use tonic::{Status, service::interceptor::InterceptedService, transport::Channel};

use super::{Node, Published};
use crate::eventually;

type Authorised = InterceptedService<Channel, Credentials>;

/// The most of a page that the services give.
const PAGE: u32 = 1000;
/// Two debug nodes work off a few hundred deliveries within this time.
const REST: Duration = Duration::from_secs(60);

/// A ledger row.
pub type Delivery = fedsx_proto::v1::DeliveryRow;

/// An entry of a node's log.
#[derive(Debug, Clone)]
pub struct Entry {
    pub position: u64,
    pub stream: String,
    pub version: u64,
    pub cid: String,
    pub id: String,
    pub public: bool,
    pub body: Vec<u8>,
    pub activity: Value,
    pub verified_by: String,
}

impl Entry {
    /// The activity's type.
    pub fn verb(&self) -> &str {
        self.activity["type"].as_str().unwrap_or_default()
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.activity["object"]["name"].as_str().unwrap_or_default()
    }
}

/// Publishes under load, each call answered by the log itself.
#[derive(Debug, Clone)]
pub struct Publisher {
    log: LogClient<Authorised>,
    actor: String,
}

impl Publisher {
    /// Publishes a public Note of this name; the name is the idempotency key too.
    ///
    /// # Errors
    /// What the log, or the lack of one, answered.
    pub async fn publish(&mut self, name: &str) -> Result<Published, Status> {
        let public = fedsx_kernel::activity::PUBLIC;
        let followers = format!("{}/followers", self.actor);
        let object = json!({ "type": "Note", "name": name, "attributedTo": self.actor });
        let draft = json!({ "type": "Create", "object": object, "to": [public], "cc": [followers] });
        let request = PublishRequest {
            actor: self.actor.clone(),
            draft: draft.to_string().into(),
            idempotency_key: name.to_owned(),
            ..PublishRequest::default()
        };
        let (id, cid, position, duplicate) = match self.log.publish(request).await?.into_inner().outcome {
            Some(Outcome::Appended(at)) => (at.activity_id, at.cid, at.position, false),
            Some(Outcome::Duplicate(at)) => (at.activity_id, at.cid, at.position, true),
            other => panic!("the log answered {other:?}"),
        };
        Ok(Published {
            id,
            cid,
            position,
            duplicate,
        })
    }
}

impl Node {
    fn channel(&self) -> (Channel, Credentials) {
        let path = self.connect_file();
        let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let connection: Value = serde_json::from_slice(&file).expect("connect.json");
        let text = |key: &str| connection[key].as_str().unwrap_or_default();
        (
            transport::channel(text("grpc")).expect("a URL"),
            Credentials::new(text("token")),
        )
    }

    fn authorised(&self) -> Authorised {
        let (channel, credentials) = self.channel();
        InterceptedService::new(channel, credentials)
    }

    fn log_client(&self) -> LogClient<Authorised> {
        LogClient::new(self.authorised()).max_decoding_message_size(MAX_MESSAGE)
    }

    fn delivery_client(&self) -> DeliveryClient<Authorised> {
        DeliveryClient::new(self.authorised()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// Publishes as a local actor without the cost of a process for each.
    pub fn publisher(&self, actor: &str) -> Publisher {
        Publisher {
            log: self.log_client(),
            actor: self.actor(actor),
        }
    }

    /// The log's head.
    pub async fn head(&self) -> u64 {
        let answer = self.log_client().describe(DescribeRequest {}).await;
        answer
            .unwrap_or_else(|status| panic!("{}: {status}", self.origin()))
            .into_inner()
            .head
    }

    /// The whole log.
    pub async fn log(&self) -> Vec<Entry> {
        let mut client = self.log_client();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let from = entries.last().map_or(0, |entry| entry.position);
            let request = ReadRequest {
                from,
                limit: PAGE,
                ..ReadRequest::default()
            };
            let page = client
                .read(request)
                .await
                .expect("a page of the log")
                .into_inner()
                .entries;
            if page.is_empty() {
                return entries;
            }
            entries.extend(page.into_iter().map(Entry::from));
        }
    }

    /// The entries of one stream: `outbox/<actor>`, `inbox/<actor>`, `domain`.
    pub async fn stream(&self, name: &str) -> Vec<Entry> {
        self.log()
            .await
            .into_iter()
            .filter(|entry| entry.stream == name)
            .collect()
    }

    /// What this node accepted from a remote actor, in the order of its log.
    pub async fn received(&self, actor: &str) -> Vec<Entry> {
        self.stream(&format!("inbox/{actor}")).await
    }

    /// What a local actor published, by its name.
    pub async fn outbox(&self, actor: &str) -> Vec<Entry> {
        self.stream(&format!("outbox/{}", self.actor(actor))).await
    }

    /// The whole ledger, the oldest first.
    pub async fn deliveries(&self) -> Vec<Delivery> {
        let mut client = self.delivery_client();
        let mut rows = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListDeliveriesRequest {
                limit: PAGE,
                page_token,
                ..ListDeliveriesRequest::default()
            };
            let page = client
                .list_deliveries(request)
                .await
                .expect("a page of the ledger")
                .into_inner();
            rows.extend(page.deliveries);
            if page.next_page_token.is_empty() {
                rows.reverse();
                return rows;
            }
            page_token = page.next_page_token;
        }
    }

    /// The log's head, if fan-out and every view have reached it, every Follow has been considered and nothing is owed;
    /// else what is under way.
    async fn at_rest(&self) -> Result<u64, String> {
        let head = self.head().await;
        let progress = self.delivery_client().get_progress(GetProgressRequest {}).await;
        let progress = progress.map_err(|status| status.to_string())?.into_inner();
        if progress.cursor < head || progress.pending > 0 {
            let (cursor, pending) = (progress.cursor, progress.pending);
            return Err(format!(
                "{}: fan-out at {cursor} of {head}, {pending} pending",
                self.origin
            ));
        }
        let log = self.log().await;
        let asked = log
            .iter()
            .rfind(|entry| entry.verb() == "Follow" && entry.stream.starts_with("inbox/"))
            .map_or(0, |entry| entry.position);
        let mut client = ProjectionClient::new(self.authorised());
        let views = client
            .list_views(ListViewsRequest {})
            .await
            .map_err(|status| status.to_string())?;
        for ViewState { view, shards } in views.into_inner().views {
            // A reaction writes its cursor when it has answered something, and else only now and then.
            let goal = if view.starts_with("reaction/") {
                asked
            } else {
                head
            };
            if let Some(shard) = shards.iter().find(|shard| shard.position < goal) {
                return Err(format!("{}: {view} at {} of {goal}", self.origin, shard.position));
            }
        }
        Ok(head)
    }
}

impl From<fedsx_proto::v1::Entry> for Entry {
    fn from(entry: fedsx_proto::v1::Entry) -> Self {
        Self {
            position: entry.position,
            stream: entry.stream,
            version: entry.version,
            cid: entry.cid,
            id: entry.activity_id,
            public: entry.public,
            activity: serde_json::from_slice(&entry.body).expect("a JSON body"),
            body: entry.body.to_vec(),
            verified_by: entry.meta.unwrap_or_default().verified_by,
        }
    }
}

/// Waits until nothing is under way at these nodes or between them: each view and fan-out at the head, nothing owed, and
/// no head moved while that was found out. Returns the heads. What has not happened then does not happen any more.
pub async fn settle(nodes: &[&Node]) -> Vec<u64> {
    let mut before = Vec::new();
    eventually("everything is at rest", REST, async || {
        let mut heads = Vec::new();
        for node in nodes {
            heads.push(node.at_rest().await?);
        }
        let known = std::mem::replace(&mut before, heads.clone());
        (known == heads)
            .then_some(heads)
            .ok_or(format!("the heads moved from {known:?}"))
    })
    .await
}
