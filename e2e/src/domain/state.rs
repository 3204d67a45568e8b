//! What a domain's services say of its state.

use fedsx_proto::v1::{DescribeRequest, ListDeliveriesRequest, ReadRequest};
use tonic::Status;

use super::{Domain, Entry};

/// The most of a page that the services give.
const PAGE: u32 = 1000;

/// A ledger row.
pub type Delivery = fedsx_proto::v1::DeliveryRow;

impl Domain {
    /// The log's head.
    pub async fn head(&self) -> u64 {
        let head = self.try_head().await;
        head.unwrap_or_else(|status| panic!("{}: {status}", self.origin))
    }

    pub(super) async fn try_head(&self) -> Result<u64, Status> {
        let answer = self.log_client().describe(DescribeRequest {}).await;
        Ok(answer?.into_inner().head)
    }

    /// The whole log.
    pub async fn log(&self) -> Vec<Entry> {
        let log = self.try_log().await;
        log.unwrap_or_else(|status| panic!("{}: {status}", self.origin))
    }

    pub(super) async fn try_log(&self) -> Result<Vec<Entry>, Status> {
        let mut client = self.log_client();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let request = ReadRequest {
                from: entries.last().map_or(0, |entry| entry.position),
                limit: PAGE,
                ..ReadRequest::default()
            };
            let page = client.read(request).await?.into_inner().entries;
            if page.is_empty() {
                return Ok(entries);
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

    /// What this domain accepted from a remote actor, in the order of its log.
    pub async fn received(&self, actor: &str) -> Vec<Entry> {
        self.stream(&format!("inbox/{actor}")).await
    }

    /// What a local actor published, by its name, but for the objects of the first day, which nobody followed yet.
    pub async fn outbox(&self, actor: &str) -> Vec<Entry> {
        let mut entries = self.whole_outbox(actor).await;
        entries.retain(|entry| !entry.is_seed());
        entries
    }

    /// All that a local actor published, by its name.
    pub async fn whole_outbox(&self, actor: &str) -> Vec<Entry> {
        self.stream(&format!("outbox/{}", self.actor(actor))).await
    }

    /// The whole ledger, the oldest first.
    pub async fn deliveries(&self) -> Vec<Delivery> {
        let ledger = self.try_deliveries().await;
        ledger.unwrap_or_else(|status| panic!("{}: {status}", self.origin))
    }

    async fn try_deliveries(&self) -> Result<Vec<Delivery>, Status> {
        let mut client = self.delivery_client();
        let mut rows = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListDeliveriesRequest {
                limit: PAGE,
                page_token,
                ..ListDeliveriesRequest::default()
            };
            let page = client.list_deliveries(request).await?.into_inner();
            rows.extend(page.deliveries);
            if page.next_page_token.is_empty() {
                rows.reverse();
                return Ok(rows);
            }
            page_token = page.next_page_token;
        }
    }
}
