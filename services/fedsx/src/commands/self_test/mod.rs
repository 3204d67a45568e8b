//! `fedsx self-test`: whether the domain works, shown by what it does.

mod activity;
mod calendar;
mod report;
mod services;

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use fedsx_kernel::{activity::PUBLIC, origin::Origin};
use fedsx_runtime::shutdown::signal;
use serde_json::{Value, json};

use super::{
    connect::{Running, Target},
    resolve::Resolve,
    trace::{Jaeger, JaegerAt, trace_of},
};
use crate::{
    asked::{self, Published},
    drafts,
};
use report::Report;

/// Shows by real activities that the domain works: every service is ready; what an actor publishes is logged, and seen by the
/// views and the fan-out. With --peer, a Note is delivered to that domain. With --calendar, "Gig Night": an article is published
/// and allocated to the calendar, until that answers.
///
/// Each run makes objects of its own, below /objects/self-test/, and deletes them at the end, whatever came of it; the
/// activities stay in the logs, as all do. None goes to the actor's followers. The Notes are addressed to the domains alone; Allocate
/// and the end of the article are public, and the calendar tells its own followers that it adds and removes the article.
///
/// Exits with 0 where every step passed, and with 1 at the first that did not: it is named, with what to look at
#[derive(Debug, Args)]
pub(crate) struct SelfTest {
    /// Deliver to this domain too: https://events.example.org
    #[arg(long, value_name = "ORIGIN")]
    peer: Option<Origin>,
    /// Have this calendar of another domain take up an article: https://events.example.org/actors/main. It answers at once where
    /// its domain follows the actor, and else when a person there says so
    #[arg(long, value_name = "ACTOR_URL", value_parser = drafts::actor_id)]
    calendar: Option<String>,
    /// Who publishes: name or id; none: a Person of the domain, or whoever there is
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Where the gateway answers, where the domain's origin cannot be reached from here: http://blog-gateway:8000
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    resolve: Resolve,
    /// How long each step may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    jaeger: JaegerAt,
    #[command(flatten)]
    target: Target,
}

/// What the steps share.
struct Test {
    domain: Running,
    /// Who publishes.
    actor: String,
    /// What no other run has in its names.
    run: String,
    patience: Duration,
    jaeger: Option<Jaeger>,
    /// What is to be deleted at the end: an object, and who knows of it.
    left: Vec<(String, Vec<String>)>,
}

pub(crate) async fn run(wanted: SelfTest) -> anyhow::Result<()> {
    let jaeger = wanted.jaeger.of(&wanted.target)?;
    let mut report = Report::new(wanted.target.output());
    let outcome = wanted.all(&mut report, jaeger).await;
    report.end(outcome)
}

impl SelfTest {
    async fn all(&self, report: &mut Report, jaeger: Option<Jaeger>) -> anyhow::Result<()> {
        let patience = Duration::from_secs(self.timeout);
        let domain = services::ready(report, self, patience).await?;
        let actor = services::actor(report, &domain, self.actor.as_deref()).await?;
        let mut test = Test {
            domain,
            actor,
            run: format!("{:08x}", rand::random::<u32>()),
            patience,
            jaeger,
            left: Vec::new(),
        };
        // What was published is deleted also where somebody ends the test.
        let outcome = tokio::select! {
            outcome = test.publish(report, self) => outcome,
            ended = signal() => ended.map_err(anyhow::Error::from).and_then(|_| Err(anyhow!("the self-test was told to end"))),
        };
        let tidied = test.tidy(report).await;
        outcome.and(tidied)
    }
}

impl Test {
    async fn publish(&mut self, report: &mut Report, wanted: &SelfTest) -> anyhow::Result<()> {
        activity::to_itself(self, report).await?;
        if let Some(peer) = &wanted.peer {
            activity::to_peer(self, report, peer).await?;
        }
        if let Some(calendar) = &wanted.calendar {
            calendar::gig_night(self, report, calendar).await?;
        }
        Ok(())
    }

    /// An id for an object of this run.
    fn object(&self, what: &str) -> String {
        self.domain
            .origin
            .object(&format!("self-test/{what}-{}", self.run))
    }

    /// Publishes an object, and remembers to delete it.
    async fn create(&mut self, object: Value, to: &str) -> anyhow::Result<Published> {
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        let draft = json!({ "type": "Create", "object": object, "to": [to] });
        let published = self.say(&draft).await?;
        self.left.push((id, vec![to.to_owned()]));
        Ok(published)
    }

    async fn say(&self, draft: &Value) -> anyhow::Result<Published> {
        asked::publish(&self.domain.clients, &self.actor, "", draft).await
    }

    /// Says where an activity's way is shown.
    async fn show(&self, report: &mut Report, published: &Published) -> anyhow::Result<()> {
        let Some(jaeger) = &self.jaeger else { return Ok(()) };
        if let Some(entry) = asked::entry(&self.domain.clients, &published.cid).await? {
            report.trace(jaeger.link(&trace_of(&entry)));
        }
        Ok(())
    }

    /// Deletes what was published, for all who know of it.
    async fn tidy(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let left = std::mem::take(&mut self.left);
        if left.is_empty() {
            return Ok(());
        }
        let deleting = async {
            for (object, to) in &left {
                self.say(&json!({ "type": "Delete", "object": object, "to": to }))
                    .await?;
            }
            let objects: Vec<&str> = left.iter().map(|(object, _)| object.as_str()).collect();
            Ok(((), objects.join(", ")))
        };
        let look_at = "the cause above; `fedsx publish --file` of a Delete ends an object";
        report
            .step("what was published is deleted", look_at, deleting)
            .await
    }

    /// An object's end is told to the public too, as what was said of it was.
    fn is_known_to_all(&mut self, object: &str) {
        for (_, to) in self.left.iter_mut().filter(|(id, _)| id == object) {
            to.push(PUBLIC.to_owned());
        }
    }
}
