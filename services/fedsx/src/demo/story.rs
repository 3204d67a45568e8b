//! The story, step by step. Every line is read back from a log, a view or the ledger before it is told.

use anyhow::Context as _;
use fedsx_kernel::activity::PUBLIC;
use fedsx_proto::v1::{Entry, GetRowRequest};
use fedsx_runtime::code::Refusal;
use serde_json::{Value, json};

use super::{eventually, flows, narrator::Narrator};
use crate::{
    asked::{Published, deliveries, entry, entry_of, found, publish},
    domain::Domain,
    drafts,
};

/// Tells the whole story, or names the step that failed.
pub(super) async fn tell(narrator: &Narrator, blog: &Domain, events: &Domain) -> anyhow::Result<()> {
    let author = blog.origin.actor("author");
    follow(narrator, blog, events, &author).await?;

    let article = drafts::gig_night(&blog.origin.object("gig-night"), &author, "Gig Night");
    let draft = json!({
        "type": "Create", "object": &article, "to": [PUBLIC], "cc": [drafts::followers_of(&author)],
    });
    let what = "publishes \"Gig Night\"";
    let sent = journey(narrator, blog, events, what, "demo/gig-night", draft).await?;
    flows::checked(narrator, blog, &sent).await?;

    // Directed: the base of events takes it whether events follows or not. Public too, so that both show it.
    let calendar = events.origin.actor("main");
    let draft = drafts::allocate(&author, &blog.origin.object("gig-night"), &calendar, true)?;
    let what = "allocates it to the calendar main";
    let sent = journey(narrator, blog, events, what, "demo/allocate", draft).await?;
    flows::linked(narrator, blog, events, &sent).await?;
    flows::digested(narrator, blog, article).await
}

async fn follow(narrator: &Narrator, blog: &Domain, events: &Domain, author: &str) -> anyhow::Result<()> {
    let base = events.origin.base();
    let asked = publish(&events.clients, "", "demo/follow", &drafts::follow(author))
        .await
        .context("step \"events follows\"")?;
    narrator.step("events", "follows the author of blog", &at(&asked));
    let accepted = eventually("blog accepts", || {
        row(blog, "followers", format!("{author} {base}"))
    })
    .await?;
    narrator.step(
        "blog",
        "accepts",
        &format!(
            "its followers: {}",
            accepted["follower"].as_str().unwrap_or_default()
        ),
    );
    let learnt = eventually("events learns it", || {
        row(events, "following", format!("{base} {author}"))
    })
    .await?;
    narrator.step(
        "events",
        "learns it",
        &format!("it follows {}", learnt["followed"].as_str().unwrap_or_default()),
    );
    Ok(())
}

/// One activity's way from the author's draft into events' log.
async fn journey(
    narrator: &Narrator,
    blog: &Domain,
    events: &Domain,
    what: &str,
    key: &str,
    draft: Value,
) -> anyhow::Result<Published> {
    let step = |name: &str| format!("{name} ({what})");
    let sent = publish(&blog.clients, "author", key, &draft)
        .await
        .with_context(|| format!("step \"the author {what}\""))?;
    narrator.step("blog", &format!("the author {what}"), &sent.id);
    let entry = eventually(&step("sealed and logged"), || entry(&blog.clients, &sent.cid)).await?;
    let suite = proof_suite(&entry)?;
    narrator.step("blog", "  sealed", &format!("{} {suite}", sent.cid));
    narrator.step("blog", "  logged", &at(&sent));
    let row = eventually(&step("fanned out and delivered"), || delivered(blog, &sent.cid)).await?;
    narrator.step("blog", "  fanned out", &format!("to {}", row.inbox));
    let tries = if row.attempts == 1 { "attempt" } else { "attempts" };
    narrator.step(
        "blog",
        "  delivered",
        &format!(
            "{} after {} {tries}, trace {}",
            row.status, row.attempts, row.trace_id
        ),
    );
    let received = eventually(&step("verified and logged at events"), || {
        entry_of(&events.clients, &sent.id)
    })
    .await?;
    let meta = received.meta.clone().unwrap_or_default();
    narrator.step(
        "events",
        "  verified",
        &format!("{} by {}", meta.verified_by, meta.key_id),
    );
    anyhow::ensure!(
        received.cid == sent.cid,
        "step \"{what}\": events logged {}, blog sealed {}",
        received.cid,
        sent.cid
    );
    narrator.step(
        "events",
        "  logged",
        &format!("position {} of events' log, the same CID", received.position),
    );
    Ok(sent)
}

fn at(published: &Published) -> String {
    let before = if published.duplicate {
        " (from an earlier demo)"
    } else {
        ""
    };
    format!("position {}{before}", published.position)
}

fn proof_suite(entry: &Entry) -> anyhow::Result<String> {
    let activity: Value = serde_json::from_slice(&entry.body)?;
    Ok(activity["proof"]["cryptosuite"]
        .as_str()
        .context("the entry has no proof")?
        .to_owned())
}

/// A row that says `accepted`.
async fn row(domain: &Domain, view: &str, key: String) -> Result<Option<Value>, Refusal> {
    let request = GetRowRequest {
        view: view.to_owned(),
        key,
        at_least: 0,
    };
    let answer = found(domain.clients.projection.clone().get_row(request).await)?;
    let row = answer
        .and_then(|answer| answer.row)
        .and_then(|row| serde_json::from_slice::<Value>(&row.value).ok());
    Ok(row.filter(|row| row["state"] == "accepted"))
}

async fn delivered(domain: &Domain, cid: &str) -> Result<Option<fedsx_proto::v1::DeliveryRow>, Refusal> {
    let rows = deliveries(&domain.clients, cid).await?;
    Ok(rows.into_iter().find(|row| row.state == "delivered"))
}
