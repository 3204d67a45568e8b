//! `fedsx peers`: the domains that this one sends to, and those it wants nothing to do with.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use fedsx_kernel::{follow, origin::Origin};
use fedsx_proto::v1::{
    AppendRequest, Expected, ListPeersRequest, ListRowsRequest, NewEntry, Peer, ReadRequest, expected::Kind,
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::{
    connect::{Running, Target},
    output::moment,
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Peers {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Refuse what a peer sends, end its follows and send it nothing more
    Block(Named),
    /// Lift a block; follows that it ended stay ended
    Unblock(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// The peer's origin, https://blog.example
    origin: Origin,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(peers: Peers) -> anyhow::Result<()> {
    match peers.action {
        Some(Action::Block(named)) => named.block().await,
        Some(Action::Unblock(named)) => named.unblock().await,
        None => list(&peers.target).await,
    }
}

async fn list(target: &Target) -> anyhow::Result<()> {
    let mut domain = target.open().await?;
    let answer = domain
        .clients
        .delivery
        .list_peers(ListPeersRequest {})
        .await
        .map_err(Refusal::from)?
        .into_inner();
    let blocks = blocked(&mut domain).await?;
    let known = |origin: &str| answer.peers.iter().any(|peer| peer.origin == origin);
    let strangers = blocks.iter().filter(|origin| !known(origin));
    let strangers = strangers.map(|origin| Peer {
        origin: origin.clone(),
        ..Peer::default()
    });
    let rows: Vec<_> = answer
        .peers
        .iter()
        .cloned()
        .chain(strangers)
        .map(|peer| as_json(&peer, &blocks))
        .collect();
    let heading = [
        "PEER",
        "STATE",
        "PENDING",
        "DEAD",
        "BEHIND",
        "FAILING SINCE",
        "PARKED SINCE",
        "NEXT PROBE",
    ];
    domain.output.many(heading, &rows, |row| {
        let number = |key: &str| row[key].to_string();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let at = |key: &str| moment(row[key].as_i64().unwrap_or_default());
        [
            text("origin"),
            text("state"),
            number("pending"),
            number("dead"),
            number("behind"),
            at("failingSinceMillis"),
            at("parkedSinceMillis"),
            at("nextProbeMillis"),
        ]
    })
}

impl Named {
    async fn block(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let here = &domain.origin;
        anyhow::ensure!(
            self.origin != *here,
            Refusal::new(Code::Malformed, format!("{here} is this domain"))
        );
        let block = follow::block(here, &self.origin, jiff::Timestamp::now())?;
        decide(&mut domain, &block).await?;
        let value = json!({ "origin": self.origin, "blocked": true, "activity": block.id() });
        domain.output.one(&value, || format!("blocked {}", self.origin))
    }

    async fn unblock(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let blocks = blocks(&mut domain, &self.origin).await?;
        let Some(block) = blocks.last() else {
            return Err(Refusal::new(Code::NotFound, format!("{} is not blocked", self.origin)).into());
        };
        let undo = follow::unblock(&domain.origin, block, jiff::Timestamp::now())?;
        decide(&mut domain, &undo).await?;
        let value = json!({ "origin": self.origin, "blocked": false, "activity": undo.id() });
        domain.output.one(&value, || format!("unblocked {}", self.origin))
    }
}

/// Appends an operator's decision to the stream `domain`.
async fn decide(domain: &mut Running, decision: &fedsx_kernel::activity::Activity) -> anyhow::Result<()> {
    let body = serde_json::to_vec(decision.document())?;
    let request = AppendRequest {
        stream: "domain".to_owned(),
        expected: Some(Expected {
            kind: Some(Kind::Any(true)),
        }),
        entries: vec![NewEntry {
            body: body.into(),
            meta: None,
        }],
        kv: Vec::new(),
    };
    domain.clients.log.append(request).await.map_err(Refusal::from)?;
    Ok(())
}

/// The ids of the blocks of a peer that hold, oldest first.
async fn blocks(domain: &mut Running, peer: &Origin) -> anyhow::Result<Vec<String>> {
    let (mut blocks, mut from) = (Vec::new(), 0);
    loop {
        let request = ReadRequest {
            stream: "domain".to_owned(),
            from,
            limit: 1000,
            ..ReadRequest::default()
        };
        let page = domain
            .clients
            .log
            .read(request)
            .await
            .map_err(Refusal::from)?
            .into_inner()
            .entries;
        let Some(last) = page.last() else {
            return Ok(blocks);
        };
        from = last.position;
        for entry in &page {
            let decision: Value = serde_json::from_slice(&entry.body)?;
            let object = decision["object"].as_str().unwrap_or_default();
            match decision["type"].as_str() {
                Some("Block") if peer.is_base(object) => blocks.push(entry.activity_id.clone()),
                // Whichever block is named, lifting it lifts them all.
                Some("Undo") if blocks.iter().any(|block| block == object) => blocks.clear(),
                _ => {}
            }
        }
    }
}

/// The origins that are blocked.
async fn blocked(domain: &mut Running) -> anyhow::Result<BTreeSet<String>> {
    let (mut origins, mut after) = (BTreeSet::new(), String::new());
    loop {
        let request = ListRowsRequest {
            view: "blocks".to_owned(),
            after,
            limit: 1000,
            at_least: domain.head,
            ..Default::default()
        };
        let rows = domain
            .clients
            .projection
            .list_rows(request)
            .await
            .map_err(Refusal::from)?
            .into_inner()
            .rows;
        let Some(last) = rows.last() else {
            return Ok(origins);
        };
        after = last.key.clone();
        origins.extend(rows.into_iter().map(|row| row.key));
    }
}

fn as_json(peer: &Peer, blocks: &BTreeSet<String>) -> Value {
    let state = if blocks.contains(&peer.origin) {
        "blocked"
    } else {
        &peer.state
    };
    json!({
        "origin": peer.origin, "state": state, "pending": peer.pending, "dead": peer.dead, "behind": peer.behind,
        "failingSinceMillis": peer.failing_since_ms, "parkedSinceMillis": peer.parked_since_ms,
        "holdUntilMillis": peer.hold_until_ms, "nextProbeMillis": peer.next_probe_ms,
    })
}
