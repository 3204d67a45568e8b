//! What the domains' own behaviours do, read back from their flows.

use anyhow::Context as _;
use fedsx_kernel::activity::PUBLIC;
use fedsx_proto::v1::{Flow, GetFlowRequest, ListFlowsRequest, ResumeFlowRequest};
use fedsx_runtime::code::Refusal;
use serde_json::{Value, json};

use super::{eventually, narrator::Narrator};
use crate::{
    asked::{Published, entry_of, publish},
    domain::Domain,
    drafts,
};

/// Blog's own behaviour on an article that was published.
pub(super) async fn checked(narrator: &Narrator, blog: &Domain, article: &Published) -> anyhow::Result<()> {
    let flow = over(blog, "publish", &article.cid).await?;
    let valid = &value(&flow, "check")["valid"];
    anyhow::ensure!(valid == true, "step \"publish\": the article is not valid");
    let told = value(&flow, "tell");
    narrator.step(
        "blog",
        "  checked by its behaviour",
        "publish: it is what an Article has to be",
    );
    notified(narrator, &told);
    Ok(())
}

fn notified(narrator: &Narrator, told: &Value) {
    let text = told["text"].as_str().unwrap_or_default();
    narrator.step("blog", "  the author is notified", &format!("{text:?}"));
}

/// The calendar's own behaviour on an article that is allocated to it, and what comes of it at the article's home.
pub(super) async fn linked(
    narrator: &Narrator,
    blog: &Domain,
    events: &Domain,
    allocated: &Published,
) -> anyhow::Result<()> {
    let flow = over(events, "link", &allocated.cid).await?;
    let link = value(&flow, "link")["id"].clone();
    let link = link.as_str().context("step \"link\": nothing was published")?;
    narrator.step(
        "events",
        "the calendar's own behaviour fires",
        &format!("flow {}", flow.id),
    );
    let entry = eventually("the link is logged", || entry_of(&events.clients, link)).await?;
    let said: Value = serde_json::from_slice(&entry.body)?;
    let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
    narrator.step("events", "  main links it", &text("object"));
    narrator.step("events", "  and names its origin", &text("origin"));
    let heard = eventually("blog hears of the link", || entry_of(&blog.clients, link)).await?;
    narrator.step(
        "blog",
        "  hears of it",
        &format!("position {}, caused by {}", heard.position, text("causedBy")),
    );
    let told = value(&over(blog, "linked", link).await?, "tell");
    notified(narrator, &told);
    Ok(())
}

/// An update for the newsletter waits for a person, who releases it.
pub(super) async fn digested(narrator: &Narrator, blog: &Domain, mut article: Value) -> anyhow::Result<()> {
    article["category"] = "newsletter".into();
    let author = blog.origin.actor("author");
    let draft = json!({
        "type": "Update", "object": article, "to": [PUBLIC], "cc": [drafts::followers_of(&author)],
    });
    let sent = publish(&blog.clients, "author", "demo/newsletter", &draft).await?;
    narrator.step("blog", "the author marks it for the newsletter", &sent.id);
    let flow = eventually("the digest waits", || async {
        let flow = flow(blog, "blog-digest", &sent.cid).await?;
        Ok(flow.filter(|flow| flow.status == "waiting" || flow.status == "completed"))
    })
    .await?;
    if flow.status == "waiting" {
        let asked = flow.steps.iter().find(|step| !step.person.is_empty());
        let asked = asked.map(|step| step.person.clone()).unwrap_or_default();
        narrator.step("blog", "  the digest waits for a person", &format!("{asked:?}"));
        let request = ResumeFlowRequest {
            id: flow.id.clone(),
            ..ResumeFlowRequest::default()
        };
        let resumed = blog.clients.flows.clone().resume_flow(request).await;
        resumed
            .map_err(Refusal::from)
            .context("step \"the digest is released\"")?;
        narrator.step(
            "blog",
            "  a person releases it",
            &format!("fedsx flows resume {}", flow.id),
        );
    }
    let flow = over(blog, "blog-digest", &sent.cid).await?;
    let sent = value(&flow, "digest-sent");
    let told = match (sent["mails"].as_u64(), sent["failed"].as_u64()) {
        (Some(0), Some(0)) => "0 mails: nobody has subscribed".to_owned(),
        (Some(mails), Some(failed)) => format!("{mails} mails, {failed} not delivered"),
        _ => anyhow::bail!("step \"digest-sent\": it does not say how many"),
    };
    narrator.step("blog", "  digest-sent is recorded", &told);
    Ok(())
}

/// The flow of a behaviour on an activity, once it has completed.
async fn over(domain: &Domain, behaviour: &str, activity: &str) -> anyhow::Result<Flow> {
    let flow = eventually(behaviour, || async {
        let flow = flow(domain, behaviour, activity).await?;
        Ok(flow.filter(|flow| flow.status == "completed" || flow.status == "failed"))
    })
    .await?;
    anyhow::ensure!(
        flow.status == "completed",
        "step \"{behaviour}\" failed: {}",
        flow.cause
    );
    Ok(flow)
}

async fn flow(domain: &Domain, behaviour: &str, activity: &str) -> Result<Option<Flow>, Refusal> {
    let mut client = domain.clients.flows.clone();
    let request = ListFlowsRequest {
        behaviour: behaviour.to_owned(),
        activity: activity.to_owned(),
        ..ListFlowsRequest::default()
    };
    let listed = client.list_flows(request).await?.into_inner().flows;
    let Some(found) = listed.into_iter().next() else {
        return Ok(None);
    };
    // A list leaves the values out.
    let request = GetFlowRequest {
        id: found.id,
        ..GetFlowRequest::default()
    };
    let shown = client.get_flow(request).await?;
    Ok(shown.into_inner().flow)
}

/// The value of a step that is done; null where it is not.
fn value(flow: &Flow, step: &str) -> Value {
    let step = flow.steps.iter().find(|known| known.id == step);
    step.and_then(|step| serde_json::from_slice(&step.value).ok())
        .unwrap_or_default()
}
