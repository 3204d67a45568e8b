//! Publishing without the cost of a process for each.

use fedsx_proto::v1::{PublishRequest, log_client::LogClient, publish_response::Outcome};
use fedsx_runtime::transport::Authorised;
use serde_json::json;
use tonic::Status;

use super::{Domain, Published};

/// Publishes under load, each call answered by the log itself.
#[derive(Debug, Clone)]
pub struct Publisher {
    log: LogClient<Authorised>,
    actor: String,
}

impl Domain {
    /// Publishes as a local actor.
    pub fn publisher(&self, actor: &str) -> Publisher {
        Publisher {
            log: self.log_client(),
            actor: self.actor(actor),
        }
    }
}

impl Publisher {
    /// Publishes a public Note of this name; the name is the idempotency key too.
    ///
    /// # Errors
    /// What the log, or the lack of one, answered.
    pub async fn publish(&mut self, name: &str) -> Result<Published, Status> {
        let public = fedsx_kernel::activity::PUBLIC;
        let followers = format!("{}/followers", self.actor);
        let object = json!({ "type": "Note", "name": name, "attributedTo": self.actor });
        let draft = json!({ "type": "Create", "object": object, "to": [public], "cc": [followers] });
        let request = PublishRequest {
            actor: self.actor.clone(),
            draft: draft.to_string().into(),
            idempotency_key: name.to_owned(),
            ..PublishRequest::default()
        };
        let (id, cid, position, duplicate) = match self.log.publish(request).await?.into_inner().outcome {
            Some(Outcome::Appended(at)) => (at.activity_id, at.cid, at.position, false),
            Some(Outcome::Duplicate(at)) => (at.activity_id, at.cid, at.position, true),
            other => panic!("the log answered {other:?}"),
        };
        Ok(Published {
            id,
            cid,
            position,
            duplicate,
        })
    }
}
