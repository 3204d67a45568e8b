//! Publishing a bundle's objects: once, and again where their files have changed.
//!
//! The log's kv says what was published: the space [`SPACE`] holds `object/<bundle>/<name>`, changed with the publish itself,
//! so that of replicas that start together one publishes, and a start publishes nothing that was published before: neither
//! what an operator has changed since, nor what an older version of the bundle had.

use std::collections::BTreeMap;

use fedsx_kernel::{origin::Origin, stream::Stream};
use fedsx_proto::v1::{
    DescribeRequest, KvChange, ListKvRequest, PublishRequest, ReadRequest, publish_response::Outcome,
};
use fedsx_runtime::code::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Bundle, Done, Manner, object::Object};
use crate::domain::clients::LogClient;

const SPACE: &str = "genesis";
/// Digests of one object that are kept: those that were published last.
const KEPT: usize = 100;
/// Entries of an outbox that are asked for at once, and at most, for whether somebody else has changed an object.
const PAGE: u32 = 500;
const MOST: usize = 200_000;

/// What was published of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seeded {
    /// Of the files, the last one last.
    digests: Vec<String>,
    /// The log's head before the last was published.
    after: u64,
    /// Of the row.
    #[serde(skip)]
    version: u64,
}

impl Seeded {
    /// What was published last.
    pub(crate) fn last(&self) -> Option<&str> {
        self.digests.last().map(String::as_str)
    }
}

/// What was published of a bundle's objects, by their names.
///
/// # Errors
/// The log's refusal; a row that cannot be read.
pub(crate) async fn seeded(log: &mut LogClient, bundle: &Bundle) -> anyhow::Result<BTreeMap<String, Seeded>> {
    let mut found = BTreeMap::new();
    let Some(manifest) = bundle.manifest.as_ref().filter(|_| !bundle.objects.is_empty()) else {
        return Ok(found);
    };
    let prefix = format!("object/{}/", manifest.name);
    let mut request = ListKvRequest {
        space: SPACE.to_owned(),
        prefix: prefix.clone(),
        limit: 1000,
        ..ListKvRequest::default()
    };
    loop {
        let items = log.list_kv(request.clone()).await.map_err(Refusal::from)?;
        let items = items.into_inner().items;
        let Some(last) = items.last() else {
            return Ok(found);
        };
        request.after = last.key.clone();
        for item in items {
            let mut seeded: Seeded = serde_json::from_slice(&item.value)
                .map_err(|error| anyhow::anyhow!("kv {SPACE:?} {:?}: {error}", item.key))?;
            seeded.version = item.version;
            let name = item.key.strip_prefix(&prefix).unwrap_or_default();
            found.insert(name.to_owned(), seeded);
        }
    }
}

/// Publishes an object, where `known` is what was published of it.
///
/// # Errors
/// The log's refusal.
pub(super) async fn publish(
    log: &mut LogClient,
    origin: &Origin,
    object: &Object,
    known: Option<&Seeded>,
    manner: Manner,
) -> anyhow::Result<Done> {
    let digest = object.cid.to_string();
    let mut key = format!("genesis/object/{}/{}", object.bundle, object.name);
    let verb = match known {
        None => "Create",
        Some(known) if manner == Manner::Once => {
            if known.digests.contains(&digest) || changed(log, origin, object, known.after).await? {
                return Ok(Done::Left);
            }
            "Update"
        }
        Some(_) => "Update",
    };
    let known = known.cloned().unwrap_or_default();
    if verb == "Update" {
        key = format!("{key}/{digest}/{}", known.version);
    }
    let described = log.describe(DescribeRequest {}).await.map_err(Refusal::from)?;
    let kv = vec![put(object, known, digest, described.into_inner().head)?];
    let request = PublishRequest {
        actor: origin.actor(&object.actor),
        draft: serde_json::to_vec(&object.draft(verb, origin))?.into(),
        idempotency_key: key,
        kv,
        ..PublishRequest::default()
    };
    let answer = match log.publish(request).await.map_err(Refusal::from) {
        // An operator has given the type another meaning. The domain starts all the same.
        Err(refusal) if manner == Manner::Once && is_of_the_object(refusal.code) => {
            tracing::warn!(object = object.name, "not seeded: {refusal}");
            return Ok(Done::Left);
        }
        answer => answer?,
    };
    match answer.into_inner().outcome {
        Some(Outcome::Appended(at)) => Ok(Done::Published(at.position)),
        Some(Outcome::Duplicate(_) | Outcome::KvConflict(_)) => Ok(Done::Found),
        other => anyhow::bail!("the log answered {other:?}"),
    }
}

fn is_of_the_object(code: Code) -> bool {
    matches!(
        code,
        Code::SchemaRefused | Code::TypeUnknown | Code::AlreadyExists
    )
}

fn put(object: &Object, known: Seeded, digest: String, after: u64) -> anyhow::Result<KvChange> {
    let mut digests = known.digests;
    digests.retain(|other| *other != digest);
    digests.push(digest);
    digests.drain(..digests.len().saturating_sub(KEPT));
    let seeded = Seeded {
        digests,
        after,
        version: 0,
    };
    Ok(KvChange {
        space: SPACE.to_owned(),
        key: format!("object/{}/{}", object.bundle, object.name),
        value: Some(serde_json::to_vec(&seeded)?.into()),
        expected_version: Some(known.version),
    })
}

/// Whether somebody has changed an object here since a start published it last: its actor's outbox says more of it since than
/// that. One that is too long to be read counts as well: nothing of an operator's is overwritten.
async fn changed(log: &mut LogClient, origin: &Origin, object: &Object, after: u64) -> anyhow::Result<bool> {
    let id = object.id(origin);
    let mut request = ReadRequest {
        stream: Stream::Outbox(origin.actor(&object.actor)).to_string(),
        from: after,
        limit: PAGE,
        ..ReadRequest::default()
    };
    let (mut said, mut read) = (0, 0);
    while read < MOST {
        let page = log
            .read(request.clone())
            .await
            .map_err(Refusal::from)?
            .into_inner();
        let Some(last) = page.entries.last() else {
            return Ok(said > 1);
        };
        request.from = last.position;
        read += page.entries.len();
        said += page
            .entries
            .iter()
            .filter(|entry| is_about(&entry.body, &id))
            .count();
    }
    Ok(true)
}

fn is_about(body: &[u8], id: &str) -> bool {
    let Ok(activity) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return false;
    };
    let is_change = activity
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|verb| ["Create", "Update", "Delete"].contains(&verb));
    is_change
        && fedsx_kernel::definition::objects(&activity)
            .iter()
            .any(|object| object.get("id").unwrap_or(object) == id)
}
