//! `fedsx allocate`: offers an article to a calendar of another domain.

use clap::Args;
use fedsx_kernel::origin::Origin;

use super::connect::Target;
use crate::drafts;

/// Offers an article to a calendar elsewhere: `Allocate`, to the domain of the calendar, whether it follows or not, and to the
/// actor's followers. What becomes of it, that domain's behaviours say.
#[derive(Debug, Args)]
pub(crate) struct Allocate {
    /// The article: its id, or what stands after /objects/ in it
    article: String,
    /// The calendar, an actor's URL: http://127.0.0.1:8002/actors/main
    #[arg(value_parser = drafts::actor_id)]
    calendar: String,
    /// Who allocates it: name or id; none: the domain's own actor
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Do not show it to the public
    #[arg(long)]
    private: bool,
    /// Idempotency key: the same again publishes nothing
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    key: String,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(allocate: Allocate) -> anyhow::Result<()> {
    let mut domain = allocate.target.open().await?;
    let actor = domain.actor(allocate.actor.as_deref());
    let article = match Origin::of(&allocate.article) {
        Ok(_) => allocate.article.clone(),
        Err(_) => domain.origin.object(&allocate.article),
    };
    let draft = drafts::allocate(&actor, &article, &allocate.calendar, !allocate.private)?;
    let published = domain.publish(&actor, &draft, &allocate.key).await?;
    domain.output.one(&published, || {
        let told = if published.duplicate {
            "allocated before:"
        } else {
            "allocated"
        };
        format!("{told} {} at position {}", published.id, published.position)
    })
}
