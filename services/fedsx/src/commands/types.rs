//! `fedsx types`: the types that objects are checked by, those defined here and peers'.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fedsx_kernel::{
    cid::Cid,
    definition::{MAX_CHAIN, MAX_RECORD, TYPE_DOC},
    origin::Origin,
};
use fedsx_proto::v1::{
    EvictPeerTypeRequest, GetTypeRequest, KeepPeerTypeRequest, KeepPeerTypeResponse, KnownType,
    ListDefinitionsRequest, ListPeerTypesRequest, MissingTypesRequest,
};
use fedsx_runtime::{
    code::{Code, Refusal},
    fetch::{Fetcher, Policy},
};
use serde_json::{Value, json};

use super::{
    connect::{Running, Target},
    output::moment,
    resolve::{Resolve, listed},
};

/// Peers' types that are asked for at once.
const PAGE: u32 = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Types {
    /// List the types that have a name here, and those of peers that are kept
    List(List),
    /// Show a type: any that was ever defined here, or a peer's that is kept
    Show(Named),
    /// Fetch a type, and those that it is an instance of, from a domain that has it
    Fetch(Fetch),
    /// Drop a peer's type; it is fetched again when it is needed
    Evict(Named),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The type's CID
    cid: Cid,
    #[command(flatten)]
    target: Target,
}

/// It is asked for from here, not by the domain, and whether or not the domain fetches types by itself.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// The type's CID
    cid: Cid,
    /// The origin of a domain that has it, https://blog.example
    #[arg(long, value_name = "ORIGIN")]
    from: Origin,
    /// An origin that may be plain http and at a private address, http://127.0.0.1:8002; its port may be *. Repeatable
    #[arg(
        long = "plain-peer",
        env = "FEDSX_PLAIN_PEERS",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    plain_peers: Vec<String>,
    #[command(flatten)]
    resolve: Resolve,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(types: Types) -> anyhow::Result<()> {
    match types {
        Types::List(list) => list.run().await,
        Types::Show(named) => named.show().await,
        Types::Fetch(fetch) => fetch.run().await,
        Types::Evict(named) => named.evict().await,
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let mut types = own(&mut domain).await?;
        types.extend(peers(&mut domain).await?);
        let rows: Vec<_> = types.iter().map(as_json).collect();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let heading = ["NAME", "FROM", "FETCHED", "USED", "CID"];
        domain.output.many(heading, &rows, |row| {
            ["name", "origin", "fetchedAt", "usedAt", "cid"].map(|key| text(row, key))
        })
    }
}

/// The types that have a name here.
async fn own(domain: &mut Running) -> anyhow::Result<Vec<KnownType>> {
    let defined = domain
        .clients
        .log
        .list_definitions(ListDefinitionsRequest::default());
    let defined = defined.await.map_err(Refusal::from)?.into_inner().definitions;
    let types = defined.into_iter().filter(|definition| definition.kind == "type");
    Ok(types
        .map(|definition| KnownType {
            bytes: u64::try_from(definition.body.len()).unwrap_or(u64::MAX),
            cid: definition.cid,
            name: definition.name,
            ..KnownType::default()
        })
        .collect())
}

async fn peers(domain: &mut Running) -> anyhow::Result<Vec<KnownType>> {
    let mut types: Vec<KnownType> = Vec::new();
    loop {
        let request = ListPeerTypesRequest {
            after: types.last().map_or_else(String::new, |last| last.cid.clone()),
            limit: PAGE,
        };
        let page = domain.clients.log.list_peer_types(request).await;
        let page = page.map_err(Refusal::from)?.into_inner().types;
        if page.is_empty() {
            return Ok(types);
        }
        types.extend(page);
    }
}

/// What is known of a type beside its record; what does not apply to one that was defined here is null.
fn as_json(known: &KnownType) -> Value {
    let is_peers = !known.origin.is_empty();
    let at = |microseconds: i64| is_peers.then(|| moment(microseconds / 1000));
    json!({
        "name": known.name, "cid": known.cid, "bytes": known.bytes,
        "origin": is_peers.then_some(&known.origin),
        "fetchedAt": at(known.fetched_at_us), "usedAt": at(known.used_at_us),
    })
}

impl Named {
    async fn show(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = GetTypeRequest {
            cid: self.cid.to_string(),
        };
        let known = domain.clients.log.get_type(request).await;
        let known = known.map_err(Refusal::from)?.into_inner();
        let record: Value = serde_json::from_slice(&known.body)?;
        let mut value = as_json(&known);
        value["record"] = record.clone();
        let readable = serde_json::to_string_pretty(&record)?;
        domain.output.one(&value, || {
            let from = match known.origin.as_str() {
                "" => "defined here".to_owned(),
                origin => format!("fetched from {origin} at {}", moment(known.fetched_at_us / 1000)),
            };
            format!("{} {}, {from}\n{readable}", known.name, known.cid)
        })
    }

    async fn evict(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = EvictPeerTypeRequest {
            cid: self.cid.to_string(),
        };
        let evicted = domain.clients.log.evict_peer_type(request).await;
        evicted.map_err(Refusal::from)?;
        let value = json!({ "cid": self.cid, "evicted": true });
        domain.output.one(&value, || format!("evicted {}", self.cid))
    }
}

impl Fetch {
    async fn run(self) -> anyhow::Result<()> {
        let policy = Policy::new(listed(&self.plain_peers)).context("--plain-peer")?;
        let fetcher = Fetcher::new(self.resolve.by(policy)?)?;
        let mut domain = self.target.open().await?;
        let mut types = vec![self.fetch(&mut domain, &fetcher, &self.cid).await?];
        while types.len() < MAX_CHAIN
            && let Some(missing) = missing(&mut domain, &self.cid).await?
        {
            types.push(self.fetch(&mut domain, &fetcher, &missing).await?);
        }
        let row =
            |kept: &KeepPeerTypeResponse| json!({ "name": kept.name, "cid": kept.cid, "new": kept.kept });
        let rows: Vec<_> = types.iter().map(row).collect();
        let value = json!({ "origin": self.from, "types": rows });
        domain.output.one(&value, || {
            let line = |kept: &KeepPeerTypeResponse| {
                let what = if kept.kept { "fetched" } else { "known already:" };
                format!("{what} {} {}", kept.name, kept.cid)
            };
            types.iter().map(line).collect::<Vec<_>>().join("\n")
        })
    }

    /// Fetches one type, and has the log keep it.
    async fn fetch(
        &self,
        domain: &mut Running,
        fetcher: &Fetcher,
        cid: &Cid,
    ) -> anyhow::Result<KeepPeerTypeResponse> {
        let url = self.from.type_record(cid);
        let fetched = fetcher.get_within(&url, TYPE_DOC, MAX_RECORD).await;
        let body = fetched.map_err(|error| anyhow::anyhow!("{url}: {error}"))?.body;
        let shown = Cid::of_canonical(&body);
        if shown != *cid {
            let detail = format!("{url} shows the bytes of {shown}");
            return Err(Refusal::new(Code::TypeUnknown, detail).into());
        }
        let request = KeepPeerTypeRequest {
            body,
            origin: self.from.to_string(),
        };
        let kept = domain.clients.log.keep_peer_type(request).await;
        Ok(kept.map_err(Refusal::from)?.into_inner())
    }
}

/// The first of the types that stand behind one and are not here.
async fn missing(domain: &mut Running, cid: &Cid) -> anyhow::Result<Option<Cid>> {
    let request = MissingTypesRequest {
        cids: vec![cid.to_string()],
    };
    let missing = domain.clients.log.missing_types(request).await;
    let missing = missing.map_err(Refusal::from)?.into_inner().cids;
    Ok(missing.first().map(|cid| cid.parse()).transpose()?)
}
