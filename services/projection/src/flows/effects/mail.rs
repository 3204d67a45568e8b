//! Sends a mail.

use fedsx_kernel::definition::{Effect, Step};
use serde_json::{Value, json};

use super::{NotDone, Undone, key, required};
use crate::flows::{
    Engine,
    mail::{Mail, NotSent},
    run::Run,
};

impl Engine {
    pub(super) async fn mail(&self, run: &Run, step: &Step, effect: &Effect) -> Result<Value, Undone> {
        let Some(mailer) = &self.mailer else {
            return Err(Undone::wrong("no SMTP server is configured"));
        };
        let mail = Mail {
            to: &required(run, step, effect, "to")?,
            subject: &required(run, step, effect, "subject")?,
            text: &required(run, step, effect, "text")?,
            key: &key(run, step),
            at: self.clock.now(),
        };
        match mailer.send(&mail).await {
            Ok(id) => Ok(json!({ "messageId": id })),
            Err(NotSent { cause, passes }) => Err(Undone::Failed(NotDone { cause, passes })),
        }
    }
}
