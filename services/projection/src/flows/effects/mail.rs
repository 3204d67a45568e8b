//! Sends a mail, which nobody can take back: it is sent by who has just asked the log how the flow stands, and what came of it
//! is recorded at once, also where others have moved the flow meanwhile.

use fedsx_kernel::definition::{Effect, EffectKind, Step};
use serde_json::{Value, json};

use super::{NotDone, Undone, key, required};
use crate::flows::{
    Engine, FlowError,
    commit::Written,
    mail::{Mail, NotSent},
    run::Run,
};

/// How often what came of it is recorded anew that others were faster than.
const TRIES: u32 = 100;

impl Engine {
    pub(super) async fn mail(
        &self,
        run: &mut Run,
        step: &Step,
        effect: &Effect,
    ) -> Result<Written, FlowError> {
        // The store may be older than the log, and this be sent already.
        if !self.transitions(&run.id, run.last_position).await?.is_empty() {
            return Ok(Written::Moved);
        }
        let item = run.item(&step.id);
        let sent = self.send(run, step, effect).await;
        for _ in 0..TRIES {
            match &sent {
                Ok(value) => run.done(&step.id, EffectKind::Mail, value.clone()),
                Err(failed) => run.failed(&step.id, failed.clone(), self.clock.now()),
            }
            match self.writer.write(run).await? {
                Written::Moved => {}
                written => return Ok(written),
            }
            match self.refold(&run.id).await? {
                Some(now) => *run = now,
                None => return Ok(Written::Moved),
            }
            if run.item(&step.id) != item {
                return Ok(Written::Yes);
            }
        }
        Ok(Written::Moved)
    }

    async fn send(&self, run: &Run, step: &Step, effect: &Effect) -> Result<Value, NotDone> {
        let Some(mailer) = &self.mailer else {
            return Err(NotDone::wrong("no SMTP server is configured"));
        };
        let text = |key| {
            required(run, step, effect, key).map_err(|undone| match undone {
                Undone::Failed(failed) => failed,
                Undone::Away(error) => NotDone::wrong(error.to_string()),
            })
        };
        let mail = Mail {
            to: &text("to")?,
            subject: &text("subject")?,
            text: &text("text")?,
            key: &key(run, step),
            at: self.clock.now(),
        };
        match mailer.send(&mail).await {
            Ok(id) => Ok(json!({ "messageId": id })),
            Err(NotSent { cause, passes }) => Err(NotDone { cause, passes }),
        }
    }
}
