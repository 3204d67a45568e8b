//! `fedsx dead-letters`: what peers refused, and what was given up.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use fedsx_proto::v1::{DeadLettersRequest, DropDeadLettersResponse, ReplayDeadLettersResponse};
use fedsx_runtime::code::Refusal;
use serde_json::json;

use super::{
    connect::{Running, Target},
    deliveries::{Page, Show, Which, cid, list, names},
};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// What was refused or is dead, newest first
    List(List),
    /// One dead letter with every detail, and what it sends
    Show(Show),
    /// Send again, from the first attempt on, beside what the inbox is owed since
    Replay(Decide),
    /// Forget for good
    Drop(Decide),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only in this state
    #[arg(long = "state", value_enum)]
    state: Option<State>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Refused,
    Dead,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("chosen").args(["peer", "cid", "inbox", "state", "all"]).required(true).multiple(true))]
pub(crate) struct Decide {
    #[command(flatten)]
    which: Which,
    /// Only in this state
    #[arg(long = "state", value_enum)]
    state: Option<State>,
    /// All of them
    #[arg(long, conflicts_with_all = ["peer", "cid", "inbox", "state"])]
    all: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(letters: DeadLetters) -> anyhow::Result<()> {
    let both = names(State::value_variants());
    match letters {
        DeadLetters::List(letters) => {
            let states = letters.state.map_or(both, |state| names(&[state]));
            list(&letters.target, &states, &letters.which, letters.page).await
        }
        DeadLetters::Show(show) => show.run(&both).await,
        DeadLetters::Replay(decide) => decide.replay().await,
        DeadLetters::Drop(decide) => decide.forget().await,
    }
}

impl Decide {
    async fn replay(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = self.request(&mut domain).await?;
        let answer = domain.clients.delivery.replay_dead_letters(request).await;
        let answer = answer.map_err(Refusal::from)?.into_inner();
        let value = json!({ "replayed": answer.replayed, "blocked": answer.blocked });
        domain.output.one(&value, || sent_again(&answer))
    }

    async fn forget(self) -> anyhow::Result<()> {
        let mut domain = self.target.open().await?;
        let request = self.request(&mut domain).await?;
        let answer = domain.clients.delivery.drop_dead_letters(request).await;
        let answer = answer.map_err(Refusal::from)?.into_inner();
        let value = json!({ "dropped": answer.dropped });
        domain.output.one(&value, || dropped(&answer))
    }

    async fn request(&self, domain: &mut Running) -> anyhow::Result<DeadLettersRequest> {
        Ok(DeadLettersRequest {
            states: self.state.map(|state| names(&[state])).unwrap_or_default(),
            origin: self.which.origin(),
            cid: cid(domain, &self.which.cid).await?,
            inbox: self.which.inbox.clone(),
            all: self.all,
        })
    }
}

fn sent_again(answer: &ReplayDeadLettersResponse) -> String {
    let stay = match answer.blocked {
        0 => String::new(),
        blocked => format!("; {blocked} to blocked peers stay"),
    };
    format!("sent again: {} deliveries{stay}", answer.replayed)
}

fn dropped(answer: &DropDeadLettersResponse) -> String {
    format!("dropped: {} deliveries", answer.dropped)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        letters: DeadLetters,
    }

    #[test]
    fn everything_must_be_meant() {
        let parses = |line: &str| Line::try_parse_from(line.split(' ')).is_ok();
        for decision in ["replay", "drop"] {
            assert!(!parses(&format!("fedsx {decision}")));
            assert!(parses(&format!("fedsx {decision} --all")));
            assert!(parses(&format!(
                "fedsx {decision} --peer https://peer.example --state dead"
            )));
            assert!(parses(&format!(
                "fedsx {decision} --activity bafyone --inbox https://peer.example/inbox"
            )));
            assert!(!parses(&format!("fedsx {decision} --all --state dead")));
            assert!(!parses(&format!("fedsx {decision} --state pending")));
        }
        assert!(parses("fedsx list"));
    }

    #[test]
    fn counts_are_told() {
        let answer = |replayed, blocked| sent_again(&ReplayDeadLettersResponse { replayed, blocked });
        assert_eq!(answer(12, 0), "sent again: 12 deliveries");
        assert_eq!(answer(0, 3), "sent again: 0 deliveries; 3 to blocked peers stay");
    }
}
