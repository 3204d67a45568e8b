//! Which role may do what: the arrows of the design, held by the log.

use fedsx_kernel::stream::Stream;
use fedsx_runtime::{
    code::{Code, Refusal},
    token::Role,
};

use crate::store::{KEY_SPACE, UNIQUE_SPACE};

/// Which snapshots of views are kept.
const SNAPSHOT_SPACE: &str = fedsx_kernel::snapshot::SPACE;

/// Spaces that begin so belong to the gateway: what it knows about peers.
const PEER_SPACES: &str = "peer";
/// What delivery remembers beside its ledger, so that a ledger that was lost is told from a new one.
const LEDGER_SPACE: &str = "delivery";

/// What a caller wants to do. Reading entries and types is open to every role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    Append(&'a Stream),
    Publish,
    ReadKv { space: &'a str },
    WriteKv { space: &'a str },
    KeepPeerType,
    EvictPeerType,
    PutBlob,
    GetBlob,
    DropBlob,
}

/// Admits an action.
///
/// # Errors
/// [`Code::Forbidden`]
pub fn check(role: Role, action: Action<'_>) -> Result<(), Refusal> {
    if allows(role, action) {
        return Ok(());
    }
    let what = match action {
        Action::Append(stream) => format!("append to {stream}"),
        Action::Publish => "publish".to_owned(),
        Action::ReadKv { space } => format!("read the kv space {space:?}"),
        Action::WriteKv { space } => format!("write the kv space {space:?}"),
        Action::KeepPeerType => "keep a peer's type".to_owned(),
        Action::EvictPeerType => "evict a peer's type".to_owned(),
        Action::PutBlob => "put a blob".to_owned(),
        Action::GetBlob => "get a blob".to_owned(),
        Action::DropBlob => "drop a blob".to_owned(),
    };
    Err(Refusal::new(
        Code::Forbidden,
        format!("the role {} may not {what}", role.as_str()),
    ))
}

fn allows(role: Role, action: Action<'_>) -> bool {
    use Role::{Delivery, Gateway, Operator, Projection, Site};
    match action {
        // Outboxes are written by sealing alone.
        Action::Append(Stream::Outbox(_)) => false,
        Action::Append(Stream::Inbox(_)) => role == Gateway,
        Action::Append(Stream::Flow(_)) => matches!(role, Projection | Delivery),
        Action::Append(Stream::Domain) => matches!(role, Delivery | Operator),
        Action::Publish => matches!(role, Projection | Site | Operator),
        // Delivery signs requests; the gateway signs its fetches.
        Action::ReadKv { space: KEY_SPACE } => matches!(role, Delivery | Gateway),
        Action::ReadKv { .. } => true,
        // Signing keys are written by sealing alone, and what is unique is claimed by publishing.
        Action::WriteKv {
            space: KEY_SPACE | UNIQUE_SPACE,
        } => false,
        Action::WriteKv { space } if space.starts_with(PEER_SPACES) => role == Gateway,
        Action::WriteKv { space: LEDGER_SPACE } => role == Delivery,
        Action::WriteKv {
            space: SNAPSHOT_SPACE,
        } => matches!(role, Projection | Operator),
        Action::WriteKv { .. } => matches!(role, Projection | Site | Operator),
        Action::KeepPeerType => matches!(role, Gateway | Operator),
        Action::EvictPeerType => role == Operator,
        // The gateway, which strangers reach, shows blobs and stores none.
        Action::PutBlob => matches!(role, Projection | Site | Operator),
        Action::GetBlob => matches!(role, Gateway | Projection | Site | Operator),
        // What snapshots are kept no longer.
        Action::DropBlob => matches!(role, Projection | Operator),
    }
}

#[cfg(test)]
mod tests {
    use Role::{Delivery, Gateway, Log, Operator, Projection, Site};

    use super::*;

    #[test]
    fn every_arrow_of_the_design_is_allowed_and_no_other() {
        let outbox = Stream::Outbox("https://blog.example/actors/alice".to_owned());
        let inbox = Stream::Inbox("https://events.example/actors/bob".to_owned());
        let flow = Stream::Flow("1".to_owned());
        let table: [(Action<'_>, &[Role]); 18] = [
            (Action::Append(&outbox), &[]),
            (Action::Append(&inbox), &[Gateway]),
            (Action::Append(&flow), &[Projection, Delivery]),
            (Action::Append(&Stream::Domain), &[Delivery, Operator]),
            (Action::Publish, &[Projection, Site, Operator]),
            (Action::ReadKv { space: "key" }, &[Delivery, Gateway]),
            (
                Action::ReadKv { space: "peer-actor" },
                &[Gateway, Log, Projection, Delivery, Site, Operator],
            ),
            (Action::WriteKv { space: "key" }, &[]),
            (Action::WriteKv { space: "unique" }, &[]),
            (Action::WriteKv { space: "peer-actor" }, &[Gateway]),
            (Action::WriteKv { space: "delivery" }, &[Delivery]),
            (Action::WriteKv { space: "snapshot" }, &[Projection, Operator]),
            (Action::WriteKv { space: "stock" }, &[Projection, Site, Operator]),
            (Action::KeepPeerType, &[Gateway, Operator]),
            (Action::EvictPeerType, &[Operator]),
            (Action::PutBlob, &[Projection, Site, Operator]),
            (Action::GetBlob, &[Gateway, Projection, Site, Operator]),
            (Action::DropBlob, &[Projection, Operator]),
        ];
        for (action, allowed) in table {
            for role in Role::ALL {
                assert_eq!(
                    check(role, action).is_ok(),
                    allowed.contains(&role),
                    "{role:?} {action:?}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_names_the_role_and_what_it_wanted() {
        let refusal = check(Site, Action::Append(&Stream::Domain)).unwrap_err();
        assert_eq!(
            refusal,
            Refusal::new(Code::Forbidden, "the role site may not append to domain")
        );
    }
}
