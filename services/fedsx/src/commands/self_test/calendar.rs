//! "Gig Night": an article, offered to a calendar of another domain, which takes it up.

use anyhow::Context as _;
use fedsx_kernel::{origin::Origin, stream::Stream};
use fedsx_proto::v1::{Entry, ListRowsRequest, ReadRequest};
use fedsx_runtime::code::Refusal;
use serde_json::{Value, json};

use super::{Test, activity, report::Report};
use crate::{
    asked::{self, Published},
    commands::follow::Relation,
    drafts,
};

/// Publishes an article for the calendar's domain, allocates it, and waits for the calendar's answer.
pub(super) async fn gig_night(test: &mut Test, report: &mut Report, calendar: &str) -> anyhow::Result<()> {
    let peer = Origin::of(calendar)?;
    followed(test, report, &peer).await?;
    let id = test.object("gig-night");
    let mut article = drafts::gig_night(&id, &test.actor, &format!("Gig Night {}", test.run));
    article["to"] = json!([peer.base()]);
    let publishing = async {
        let published = test.create(article, &peer.base()).await?;
        Ok(((), format!("{id} at position {}", published.position)))
    };
    let look_at = "the code: fedsx types show Article says what one has to be";
    report
        .step("an article is published", look_at, publishing)
        .await?;
    // The calendar takes up what is allocated publicly.
    test.is_known_to_all(&id);
    let allocating = async {
        let mut draft = drafts::allocate(&test.actor, &id, calendar, true)?;
        // Followers are spared a test.
        draft["cc"] = json!([fedsx_kernel::activity::PUBLIC]);
        let published = test.say(&draft).await?;
        let detail = format!("{} at position {}", published.id, published.position);
        Ok((published, detail))
    };
    let look_at = "the code: the verb Allocate has to be declared, as the bundle blog does";
    let allocated = report
        .step("it is allocated to the calendar", look_at, allocating)
        .await?;
    test.show(report, &allocated).await?;
    activity::delivered(test, report, &allocated, &peer).await?;
    answered(test, report, calendar, &allocated).await
}

/// A calendar takes up at once what comes from whom its domain follows. A new domain does that in its first minutes, so this
/// waits for it, and goes on without.
async fn followed(test: &Test, report: &mut Report, peer: &Origin) -> anyhow::Result<()> {
    let look_at = "the view: fedsx followers list";
    let waiting = async {
        let follower = asked::within(test.patience, || follower(test, peer)).await?;
        let detail = follower.unwrap_or_else(|| {
            let waited = test.patience.as_secs();
            format!("nobody there after {waited} s: a person there decides what is taken up")
        });
        Ok(((), detail))
    };
    report
        .step("who of the calendar's domain follows the actor", look_at, waiting)
        .await
}

/// Who of that domain follows the actor.
async fn follower(test: &Test, peer: &Origin) -> Result<Option<String>, Refusal> {
    let request = ListRowsRequest {
        view: "followers".to_owned(),
        prefix: format!("{} {}", test.actor, peer.base()),
        limit: 50,
        ..ListRowsRequest::default()
    };
    let mut projection = test.domain.clients.projection.clone();
    let rows = projection.list_rows(request).await?.into_inner().rows;
    let relations = rows
        .iter()
        .filter_map(|row| serde_json::from_slice::<Relation>(&row.value).ok());
    Ok(relations
        .filter(|relation| relation.state == "accepted")
        .map(|relation| relation.follower)
        .next())
}

/// Waits for the activity by which the calendar takes the article up.
async fn answered(
    test: &Test,
    report: &mut Report,
    calendar: &str,
    allocated: &Published,
) -> anyhow::Result<()> {
    let look_at = format!(
        "the flows of the calendar's domain: fedsx flows list --behaviour link. Where nobody there follows {}, one waits for \
         a person. Then the deliveries of that domain to this one",
        test.actor
    );
    let answering = async {
        let answer = asked::within(test.patience, || answer(test, calendar, &allocated.id)).await?;
        let (entry, said) = answer.with_context(|| format!("nothing after {} s", test.patience.as_secs()))?;
        let verb = said["type"].as_str().unwrap_or_default();
        Ok((
            (),
            format!("{verb} at position {}, {}", entry.position, entry.activity_id),
        ))
    };
    report.step("the calendar answers", &look_at, answering).await
}

/// What the calendar has said that the Allocate has caused.
async fn answer(test: &Test, calendar: &str, allocate: &str) -> Result<Option<(Entry, Value)>, Refusal> {
    let request = ReadRequest {
        stream: Stream::Inbox(calendar.to_owned()).to_string(),
        descending: true,
        limit: 50,
        ..ReadRequest::default()
    };
    let page = test.domain.clients.log.clone().read(request).await?.into_inner();
    let said = page.entries.into_iter().filter_map(|entry| {
        let said = serde_json::from_slice(&entry.body).ok()?;
        Some((entry, said))
    });
    Ok(said
        .into_iter()
        .find(|(_, said): &(Entry, Value)| said["causedBy"] == allocate))
}
