//! `fedsx peers`: the domains that this one sends to, and those it wants nothing to do with.

use std::time::Duration;

use clap::{Args, Subcommand};
use fedsx_kernel::{follow, origin::Origin};
use fedsx_proto::v1::{
    GetProgressRequest, ListPeersRequest, Peer, ProbePeerRequest, ProbePeerResponse, ReadRequest,
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::{
    connect::{Running, Target},
    output::{moment, print, table},
};

/// Peers that are asked for at once.
const PAGE: u32 = 1000;
/// How long is waited until a decision is in force.
const IN_FORCE: Duration = Duration::from_secs(5);

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
    /// Try a peer now, whatever it is held for: with what it is owed first, or by fetching its base
    Probe(Probe),
    /// Refuse what a peer sends, end its follows and send it nothing more
    Block(Named),
    /// Lift a block; follows that it ended stay ended
    Unblock(Named),
}

#[derive(Debug, Args)]
struct Probe {
    /// The peer's origin, https://blog.example
    origin: Origin,
    /// Wait for what comes of it, and tell
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    target: Target,
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
        Some(Action::Probe(probe)) => probe.run().await,
        Some(Action::Block(named)) => named.block().await,
        Some(Action::Unblock(named)) => named.unblock().await,
        None => list(&peers.target).await,
    }
}

async fn list(target: &Target) -> anyhow::Result<()> {
    let mut domain = target.open().await?;
    let (mut peers, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListPeersRequest {
            limit: PAGE,
            page_token,
        };
        let answer = domain.clients.delivery.list_peers(request).await;
        let answer = answer.map_err(Refusal::from)?.into_inner();
        peers.extend(answer.peers);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if domain.output.json {
        return print(&Value::from_iter(peers.iter().map(as_json)).to_string());
    }
    print(&as_table(&peers))
}

fn as_table(peers: &[Peer]) -> String {
    let heading = [
        "PEER",
        "STATE",
        "PENDING",
        "BEHIND",
        "REFUSED",
        "DEAD",
        "FAILING SINCE",
        "HELD UNTIL",
        "PARKED SINCE",
        "NEXT PROBE",
    ];
    let cells = |peer: &Peer| {
        [
            peer.origin.clone(),
            state(peer).to_owned(),
            peer.pending.to_string(),
            peer.behind.to_string(),
            peer.refused.to_string(),
            peer.dead.to_string(),
            moment(peer.failing_since_ms),
            moment(peer.hold_until_ms),
            moment(peer.parked_since_ms),
            moment(peer.next_probe_ms),
        ]
    };
    table(heading, peers.iter().map(cells).collect())
}

fn state(peer: &Peer) -> &str {
    if peer.blocked { "blocked" } else { &peer.state }
}

fn as_json(peer: &Peer) -> Value {
    json!({
        "origin": peer.origin, "state": state(peer), "pending": peer.pending, "behind": peer.behind,
        "refused": peer.refused, "dead": peer.dead, "aliveAtMillis": peer.alive_at_ms,
        "failingSinceMillis": peer.failing_since_ms, "parkedSinceMillis": peer.parked_since_ms,
        "holdUntilMillis": peer.hold_until_ms, "nextProbeMillis": peer.next_probe_ms,
    })
}

impl Probe {
    async fn run(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = ProbePeerRequest {
            origin: self.origin.to_string(),
            wait: self.wait,
        };
        let answer = domain.clients.delivery.probe_peer(request).await;
        let answer = answer.map_err(Refusal::from)?.into_inner();
        let peer = answer.peer.as_ref().map(as_json);
        let mut value = json!({ "origin": self.origin, "peer": peer });
        if self.wait {
            let told = json!({
                "outcome": answer.outcome, "status": answer.status, "cause": answer.cause,
                "cid": answer.cid, "inbox": answer.inbox,
            });
            value["probe"] = told;
        }
        domain.output.one(&value, || told(&self.origin, &answer))
    }
}

/// What came of a probe, in a sentence.
fn told(origin: &Origin, answer: &ProbePeerResponse) -> String {
    let why = match (answer.status, answer.cause.as_str()) {
        (0, cause) => cause.to_owned(),
        (status, "") => status.to_string(),
        (_, cause) => cause.to_owned(),
    };
    let what = match answer.outcome.as_str() {
        "" => return format!("{origin} is being tried"),
        "busy" => "is being tried already".to_owned(),
        "answered" => format!("answers ({why}), and nothing is owed to it"),
        "delivered" => format!("took what it was owed first ({why})"),
        "refused" => format!("refuses what it was owed first ({why})"),
        "gone" => format!("says that the inbox is gone ({why})"),
        "throttled" => format!("wants to be left alone ({why})"),
        "origin_failed" => format!("does not answer ({why})"),
        _ => format!("did not take what it is owed first ({why})"),
    };
    let state = answer.peer.as_ref().map(state).unwrap_or_default();
    format!("{origin} {what}; it is {state}")
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
        let in_force = decide(&mut domain, &block).await?;
        let value =
            json!({ "origin": self.origin, "blocked": true, "activity": block.id(), "inForce": in_force });
        domain
            .output
            .one(&value, || decided("blocked", &self.origin, in_force))
    }

    async fn unblock(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let blocks = blocks(&mut domain, &self.origin).await?;
        let Some(block) = blocks.last() else {
            return Err(Refusal::new(Code::NotFound, format!("{} is not blocked", self.origin)).into());
        };
        let undo = follow::unblock(&domain.origin, block, jiff::Timestamp::now())?;
        let in_force = decide(&mut domain, &undo).await?;
        let value =
            json!({ "origin": self.origin, "blocked": false, "activity": undo.id(), "inForce": in_force });
        domain
            .output
            .one(&value, || decided("unblocked", &self.origin, in_force))
    }
}

fn decided(what: &str, origin: &Origin, in_force: bool) -> String {
    let yet = if in_force {
        ""
    } else {
        "; delivery has not come to it yet"
    };
    format!("{what} {origin}{yet}")
}

/// Writes an operator's decision down, and waits a little for delivery to take it up. False: it has not yet, and will.
async fn decide(domain: &mut Running, decision: &fedsx_kernel::activity::Activity) -> anyhow::Result<bool> {
    let position = domain.decide(decision).await?;
    let taken_up = async {
        loop {
            let progress = domain.clients.delivery.get_progress(GetProgressRequest {}).await;
            if progress.is_ok_and(|progress| progress.into_inner().cursor >= position) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    Ok(tokio::time::timeout(IN_FORCE, taken_up).await.is_ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, state: &str) -> Peer {
        Peer {
            origin: format!("https://{name}.example"),
            state: state.to_owned(),
            ..Peer::default()
        }
    }

    #[test]
    fn peers_are_listed_with_their_backlog() {
        let parked = Peer {
            pending: 3,
            behind: 1_200,
            dead: 7,
            parked_since_ms: 1_763_721_600_000,
            next_probe_ms: 1_763_721_660_000,
            ..peer("away", "parked")
        };
        let failing = Peer {
            pending: 1,
            failing_since_ms: 1_763_721_600_000,
            hold_until_ms: 1_763_721_608_500,
            ..peer("failing", "live")
        };
        let blocked = Peer {
            refused: 2,
            blocked: true,
            ..peer("spam", "live")
        };
        insta::assert_snapshot!(as_table(&[parked, failing, blocked, peer("well", "live")]), @r"
        PEER                     STATE    PENDING  BEHIND  REFUSED  DEAD  FAILING SINCE         HELD UNTIL            PARKED SINCE          NEXT PROBE
        https://away.example     parked   3        1200    0        7     -                     -                     2025-11-21T10:40:00Z  2025-11-21T10:41:00Z
        https://failing.example  live     1        0       0        0     2025-11-21T10:40:00Z  2025-11-21T10:40:08Z  -                     -
        https://spam.example     blocked  0        0       2        0     -                     -                     -                     -
        https://well.example     live     0        0       0        0     -                     -                     -                     -
        ");
    }

    #[test]
    fn a_probe_tells_what_came_of_it() {
        let answer = |outcome: &str, status, cause: &str, state| ProbePeerResponse {
            outcome: outcome.to_owned(),
            status,
            cause: cause.to_owned(),
            peer: Some(peer("away", state)),
            ..ProbePeerResponse::default()
        };
        let origin: Origin = "https://away.example".parse().unwrap();
        let sentences = [
            answer("", 0, "", "parked"),
            answer("busy", 0, "", "live"),
            answer("answered", 200, "", "live"),
            answer("delivered", 202, "", "catching_up"),
            answer(
                "refused",
                403,
                "403 not_addressed: nobody here follows alice",
                "live",
            ),
            answer("retry", 500, "500 Internal Server Error", "live"),
            answer("throttled", 429, "429 Too Many Requests", "live"),
            answer("gone", 410, "410 Gone", "live"),
            answer("origin_failed", 0, "Connection refused (os error 111)", "parked"),
        ]
        .map(|answer| told(&origin, &answer));
        insta::assert_snapshot!(sentences.join("\n"), @r"
        https://away.example is being tried
        https://away.example is being tried already; it is live
        https://away.example answers (200), and nothing is owed to it; it is live
        https://away.example took what it was owed first (202); it is catching_up
        https://away.example refuses what it was owed first (403 not_addressed: nobody here follows alice); it is live
        https://away.example did not take what it is owed first (500 Internal Server Error); it is live
        https://away.example wants to be left alone (429 Too Many Requests); it is live
        https://away.example says that the inbox is gone (410 Gone); it is live
        https://away.example does not answer (Connection refused (os error 111)); it is parked
        ");
    }
}
