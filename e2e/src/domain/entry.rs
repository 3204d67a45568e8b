//! Entries of a log.

use serde_json::Value;

/// An entry of a domain's log.
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
    pub remarks: Vec<String>,
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

    /// Whether it made an object that the built-in bundles have from the first day.
    pub fn is_seed(&self) -> bool {
        let id = self.activity["object"]["id"].as_str().unwrap_or_default();
        let is_of_bundle = ["/objects/welcome", "/objects/main"]
            .iter()
            .any(|path| id.ends_with(path));
        self.verb() == "Create" && is_of_bundle
    }
}

impl From<fedsx_proto::v1::Entry> for Entry {
    fn from(entry: fedsx_proto::v1::Entry) -> Self {
        let meta = entry.meta.unwrap_or_default();
        Self {
            position: entry.position,
            stream: entry.stream,
            version: entry.version,
            cid: entry.cid,
            id: entry.activity_id,
            public: entry.public,
            activity: serde_json::from_slice(&entry.body).expect("a JSON body"),
            body: entry.body.to_vec(),
            verified_by: meta.verified_by,
            remarks: meta.remarks,
        }
    }
}
