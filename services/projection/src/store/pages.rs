//! Rows on their way out of a store.

use tokio::sync::mpsc;

use super::Row;

/// A page ends with the row with which it has so much. Bytes of keys and values.
const PAGE: usize = 1 << 20;

/// Gathers rows and sends them page by page.
pub(super) struct Pages {
    sender: mpsc::Sender<Vec<Row>>,
    rows: Vec<Row>,
    bytes: usize,
}

impl Pages {
    pub(super) fn new(sender: mpsc::Sender<Vec<Row>>) -> Self {
        Self {
            sender,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    /// False: nobody takes them any more.
    pub(super) async fn push(&mut self, row: Row) -> bool {
        self.bytes += row.key.len() + row.value.len();
        self.rows.push(row);
        self.bytes < PAGE || self.send().await
    }

    /// Sends what is left.
    pub(super) async fn send(&mut self) -> bool {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        rows.is_empty() || self.sender.send(rows).await.is_ok()
    }
}
