//! Has delivery post a document.

use fedsx_kernel::{
    definition::{Effect, EffectKind, Step, is_hook},
    flow::{Event, Webhook},
};

use super::{Undone, actor, required, text};
use crate::flows::{Engine, FlowError, commit::Written, run::Run};

impl Engine {
    pub(super) async fn webhook(
        &self,
        run: &mut Run,
        step: &Step,
        effect: &Effect,
    ) -> Result<Written, FlowError> {
        match self.to_be_sent(run, step, effect) {
            Ok(webhook) => {
                let attempt = run.state(&step.id).map_or(0, |state| state.attempts) + 1;
                let item = run.item(&step.id);
                run.happens(Event::Sent {
                    step: step.id.clone(),
                    item,
                    attempt,
                    webhook,
                });
            }
            Err(undone) => self.outcome(run, EffectKind::Webhook, step, Err(undone))?,
        }
        // A transition has one webhook: it is one delivery.
        Ok(self.writer.write(run).await?)
    }

    fn to_be_sent(&self, run: &Run, step: &Step, effect: &Effect) -> Result<Webhook, Undone> {
        let url = required(run, step, effect, "url")?;
        if !is_hook(&url) {
            return Err(Undone::wrong("`url` is no URL of a web server"));
        }
        Ok(Webhook {
            url,
            actor: actor(self, text(run, step, effect, "actor")?.as_deref()),
            body: run.around(&step.id).said(effect, "body")?.unwrap_or_default(),
        })
    }
}
