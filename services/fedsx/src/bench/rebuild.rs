//! `fedsx bench rebuild`.

use std::time::{Duration, Instant};

use clap::Args;
use fedsx_proto::v1::{AppendRequest, Expected, ListViewsRequest, NewEntry, ViewState, expected::Kind};
use fedsx_runtime::{code::Refusal, token::Role};
use serde_json::json;

use super::{
    append::seal,
    backend::Backend,
    report::{Form, Report},
    rig::{Remote, Rig, timed},
};

/// Entries of one append, and appends at a time, while the log is filled.
const TOGETHER: usize = 100;
const WRITERS: usize = 8;
/// Entries that are sealed at a time.
const SEALED: usize = 50_000;
/// How often the views are looked at.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Entries of the log
    #[arg(long, value_parser = super::count, default_value_t = 100_000)]
    entries: usize,
    /// Rows of the view
    #[arg(long, value_parser = super::count, default_value_t = 1000)]
    rows: usize,
    /// Times that the projection is changed, and built anew
    #[arg(long, value_parser = super::count, default_value_t = 3)]
    rounds: usize,
}

pub(super) async fn run(bench: &Rebuild, backend: &Backend, form: Form) -> anyhow::Result<()> {
    let rig = Rig::start(backend).await?;
    let begun = Instant::now();
    fill(&rig, bench.entries).await?;
    wait(&rig, |view| view.position() >= bench.entries).await?;
    eprintln!(
        "{} entries are logged and folded by the views of the bundle after {:.1} s",
        bench.entries,
        begun.elapsed().as_secs_f64()
    );
    for round in 1..=bench.rounds {
        let begun = Instant::now();
        let id = define(&rig, bench.rows, round).await?;
        wait(&rig, |view| view.id != id || view.state == "live").await?;
        wait(&rig, |view| view.view != "by_position" || view.id == id).await?;
        Report {
            what: format!("rebuild of {} rows, round {round}", bench.rows),
            count: bench.entries,
            elapsed: begun.elapsed(),
            latencies: Vec::new(),
        }
        .print(form);
    }
    rig.stop().await
}

/// Counts every Create, each row those of one residue of their positions.
async fn define(rig: &Rig, rows: usize, round: usize) -> anyhow::Result<String> {
    let record = json!({
        "name": "by_position",
        "on": {"verbs": ["Create"]},
        "when": "entry.stream == 'inbox'",
        "key": format!("string(entry.position % {rows})"),
        "seed": {"count": 0},
        "fold": format!("{{'count': state.count + 1, 'last': activity.id, 'round': {round}}}"),
    });
    let draft = json!({"type": "DefineProjection", "object": record});
    rig.publish(&draft).await?;
    loop {
        let views = views(rig).await?;
        let named = views.into_iter().filter(|view| view.view == "by_position");
        // Until the new one is there, the one before is alone; afterwards it is the only one that is built.
        let newest = named.min_by_key(|view| view.position());
        match newest {
            Some(view) if round == 1 || view.state == "building" => return Ok(view.id),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

trait Position {
    fn position(&self) -> usize;
}

impl Position for ViewState {
    fn position(&self) -> usize {
        let lowest = self.shards.iter().map(|shard| shard.position).min().unwrap_or(0);
        usize::try_from(lowest).unwrap_or(usize::MAX)
    }
}

async fn views(rig: &Rig) -> anyhow::Result<Vec<ViewState>> {
    let listed = rig
        .domain
        .clients
        .projection
        .clone()
        .list_views(ListViewsRequest {})
        .await;
    let mut views = listed.map_err(Refusal::from)?.into_inner().views;
    views.retain(|view| !view.id.is_empty());
    Ok(views)
}

/// Waits until something is true of every view.
async fn wait(rig: &Rig, holds: impl Fn(&ViewState) -> bool) -> anyhow::Result<()> {
    while !views(rig).await?.iter().all(&holds) {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Fills the log; answers when the first entries were handed to it, sealed before.
pub(super) async fn fill(rig: &Rig, entries: usize) -> anyhow::Result<Instant> {
    let mut begun = None;
    let remote = Remote::new("https://load.example".parse()?);
    let base = rig.domain.origin.base();
    let log = rig.domain.clients(Role::Gateway)?.log;
    for from in (0..entries).step_by(SEALED) {
        let numbers = from..entries.min(from + SEALED);
        let sealed = numbers.map(|number| {
            let body = seal(&remote, &base, number)?;
            anyhow::Ok(NewEntry { body, meta: None })
        });
        let sealed: Vec<NewEntry> = sealed.collect::<anyhow::Result<_>>()?;
        let (log, stream) = (log.clone(), format!("inbox/{}", remote.id));
        let appends = sealed.len().div_ceil(TOGETHER);
        begun.get_or_insert_with(Instant::now);
        timed(WRITERS, appends, move |number| {
            let (mut log, begin) = (log.clone(), number * TOGETHER);
            let request = AppendRequest {
                stream: stream.clone(),
                expected: Some(Expected {
                    kind: Some(Kind::Any(true)),
                }),
                entries: sealed[begin..sealed.len().min(begin + TOGETHER)].to_vec(),
                kv: Vec::new(),
            };
            async move {
                log.append(request).await.map_err(Refusal::from)?;
                Ok(())
            }
        })
        .await?;
    }
    Ok(begun.unwrap_or_else(Instant::now))
}
