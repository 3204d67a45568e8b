//! `fedsx verify`: whether the views are what the log folds to.

use std::{collections::BTreeSet, io::IsTerminal as _};

use clap::Args;
use fedsx_proto::v1::{
    ListViewsRequest, RowDifference, ShardApplied, ShardDifference, VerifyRequest, VerifyVerdict,
    verify_progress::Step,
};
use fedsx_runtime::code::{Code, Refusal};
use serde_json::{Value, json};

use super::{
    connect::{Running, Target},
    output::print,
};

/// Folds the log again from its first entry, beside the view that is kept, and compares them at the moment when the command
/// began. The projection goes on meanwhile; it needs as much room for temporary files as two copies of the view take. One
/// view is verified at a time. Exits with 1 where a view differs
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Views by name, or by id where one is still built; none: all that serve
    #[arg(value_name = "VIEW")]
    views: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// Views are not what the log folds to.
#[derive(Debug, thiserror::Error)]
#[error("{0} of {1} views are not what the log folds to")]
struct Differ(usize, usize);

pub(crate) async fn run(verify: Verify) -> anyhow::Result<()> {
    let mut domain = verify.target.open().await?;
    let views = match verify.views.is_empty() {
        true => all(&mut domain).await?,
        false => verify.views.into_iter().collect(),
    };
    let (mut verdicts, mut differ) = (Vec::new(), 0);
    for view in &views {
        let verdict = verdict(&mut domain, view).await?;
        differ += usize::from(verdict.kept != verdict.folded);
        if domain.output.json {
            verdicts.push(as_json(view, &verdict));
        } else {
            print(&as_text(view, &verdict))?;
        }
    }
    if domain.output.json {
        print(&serde_json::to_string(&verdicts)?)?;
    }
    match differ {
        0 => Ok(()),
        differ => Err(Differ(differ, views.len()).into()),
    }
}

async fn all(domain: &mut Running) -> anyhow::Result<BTreeSet<String>> {
    let answer = domain.clients.projection.list_views(ListViewsRequest {}).await;
    let views = answer.map_err(Refusal::from)?.into_inner().views;
    // What has no record is no view, but a cursor of something that the projection does.
    let defined = views.into_iter().filter(|state| !state.id.is_empty());
    let names: BTreeSet<String> = defined.map(|state| state.view).collect();
    if names.is_empty() {
        // Of none it would be true whatever is kept.
        return Err(Refusal::new(Code::Unavailable, "the projection knows of no views yet").into());
    }
    Ok(names)
}

async fn verdict(domain: &mut Running, view: &str) -> anyhow::Result<VerifyVerdict> {
    let request = VerifyRequest {
        view: view.to_owned(),
    };
    let told = domain.clients.projection.verify(request).await;
    let mut told = told.map_err(Refusal::from)?.into_inner();
    let shows = std::io::stderr().is_terminal();
    while let Some(progress) = told.message().await.map_err(Refusal::from)? {
        match progress.step {
            Some(Step::Verdict(verdict)) => {
                if shows {
                    eprint!("\r\u{1b}[K");
                }
                return Ok(verdict);
            }
            Some(Step::Folded(folded)) if shows => {
                eprint!(
                    "\r{view}: folded {} of {} entries",
                    folded.position, folded.target
                );
            }
            _ => {}
        }
    }
    anyhow::bail!("the projection ended without a verdict on {view}")
}

fn as_json(view: &str, verdict: &VerifyVerdict) -> Value {
    let applied = |at: &Option<ShardApplied>| {
        let at = at.clone().unwrap_or_default();
        json!({"position": at.position, "count": at.count, "digest": at.digest})
    };
    let shard = |shard: &ShardDifference| {
        json!({
            "shard": shard.shard, "kept": applied(&shard.kept), "folded": applied(&shard.folded), "halted": shard.halted,
        })
    };
    let row = |row: &RowDifference| json!({"key": row.key, "kept": row.kept, "folded": row.folded});
    json!({
        "view": view,
        "verified": verdict.kept == verdict.folded,
        "position": verdict.position,
        "rows": verdict.rows,
        "kept": verdict.kept,
        "folded": verdict.folded,
        "shards": verdict.shards.iter().map(shard).collect::<Vec<_>>(),
        "rowsDiffer": verdict.rows_differ,
        "firstRows": verdict.first_rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn as_text(view: &str, verdict: &VerifyVerdict) -> String {
    let VerifyVerdict { position, rows, .. } = verdict;
    if verdict.kept == verdict.folded {
        return format!(
            "{view}: {rows} rows at {position} are what the log folds to, {}",
            verdict.kept
        );
    }
    let mut lines = vec![format!(
        "{view}: {rows} rows at {position} are not what the log folds to: kept {}, folded {}",
        verdict.kept, verdict.folded
    )];
    lines.extend(verdict.shards.iter().map(shard_text));
    lines.extend(verdict.first_rows.iter().map(row_text));
    let unnamed = verdict
        .rows_differ
        .saturating_sub(verdict.first_rows.len() as u64);
    if unnamed > 0 {
        lines.push(format!("  and {unnamed} rows more"));
    }
    lines.join("\n")
}

fn shard_text(shard: &ShardDifference) -> String {
    let applied = |at: &Option<ShardApplied>| {
        let at = at.clone().unwrap_or_default();
        let digest: String = at.digest.chars().take(12).collect();
        format!("{} entries up to {} (digest {digest}…)", at.count, at.position)
    };
    let why = match shard.halted.as_str() {
        "" => String::new(),
        why => format!(": {why}"),
    };
    format!(
        "  shard {}: kept has applied {}, the fold {}{why}",
        shard.shard,
        applied(&shard.kept),
        applied(&shard.folded)
    )
}

fn row_text(row: &RowDifference) -> String {
    let what = match (row.kept, row.folded) {
        (0, folded) => format!("is missing; the entry at {folded} makes it"),
        (kept, 0) => format!("of the entry at {kept} should not be there"),
        (kept, folded) if kept == folded => format!("is not what the entry at {kept} makes of it"),
        (kept, folded) => format!("was changed last by the entry at {kept} instead of {folded}"),
    };
    format!("  row {:?} {what}", row.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_shard_and_row() {
        let applied = |count: u64| {
            Some(ShardApplied {
                position: 9,
                count,
                digest: "0123456789abcdef".to_owned(),
            })
        };
        let row = |key: &str, kept: u64, folded: u64| RowDifference {
            key: key.to_owned(),
            kept,
            folded,
        };
        let verdict = VerifyVerdict {
            kept: "baga1".to_owned(),
            folded: "baga2".to_owned(),
            position: 9,
            rows: 4,
            shards: vec![ShardDifference {
                shard: 3,
                kept: applied(2),
                folded: applied(1),
                halted: String::new(),
            }],
            rows_differ: 6,
            first_rows: vec![row("a", 0, 4), row("b", 5, 0), row("c", 6, 6), row("d", 7, 8)],
        };
        let expected = "\
objects: 4 rows at 9 are not what the log folds to: kept baga1, folded baga2
  shard 3: kept has applied 2 entries up to 9 (digest 0123456789ab…), the fold 1 entries up to 9 (digest 0123456789ab…)
  row \"a\" is missing; the entry at 4 makes it
  row \"b\" of the entry at 5 should not be there
  row \"c\" is not what the entry at 6 makes of it
  row \"d\" was changed last by the entry at 7 instead of 8
  and 2 rows more";
        assert_eq!(as_text("objects", &verdict), expected);
    }
}
