//! Who signed: one valid signature of the activity's actor, by HTTP or by proof.
//!
//! A proof says whose the activity is, whoever brings it, so that the HTTP signature beside it is verified only where it
//! makes a difference: where so much was said by an origin that it has to show that it sent this itself.

use std::sync::Arc;

use fedsx_kernel::{http_signature::rfc9421::Candidate, origin::Origin, proof};
use fedsx_runtime::code::{Code, Refusal};

use super::{
    Received, beside,
    evidence::{Claim, Evidence, broken, missing, not_the_actor},
};
use crate::{
    App,
    peers::{PeerActor, PeerKey},
    problem::Problem,
};

/// Who signed an activity, and how that is known.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) actor: Arc<PeerActor>,
    pub(super) signature: Signature,
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key: PeerKey,
    /// `proof`, `rfc9421` or both, separated by a comma.
    pub(super) verified_by: &'static str,
    pub(super) sender: Sender,
}

/// Who sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The activity's actor: its HTTP signature holds.
    Actor,
    /// It says so, by an HTTP signature with a key of the actor that was not verified.
    Claimed,
    /// Somebody else: the proof alone speaks for the actor.
    Other,
}

/// Finds the actor's keys and verifies; counts what the actor's origin sends.
///
/// # Errors
/// [`Code::BadSignature`], [`Code::NotTheActor`], [`Code::UnknownKey`]; [`Code::FetchFailed`] where the keys could not
/// be fetched just now; [`Code::RateLimited`].
pub(super) async fn verify(
    app: &App,
    received: &Arc<Received>,
    evidence: Evidence,
) -> Result<Verified, Problem> {
    let evidence = Arc::new(evidence);
    let mut verified = find(app, received, &evidence).await?;
    let origin = &received.origin;
    match (verified.signature.sender, &evidence.http) {
        (Sender::Actor, _) => app.limits.sent_by(origin)?,
        (Sender::Claimed, Claim::Usable(candidate)) if !app.limits.said_by(origin) => {
            show_sender(received, candidate, &mut verified);
            if verified.signature.sender == Sender::Actor {
                app.limits.sent_by(origin)?;
            }
        }
        // Whoever forwards an activity is not its origin, and must not spend what that may send.
        _ => {}
    }
    Ok(verified)
}

async fn find(app: &App, received: &Arc<Received>, evidence: &Arc<Evidence>) -> Result<Verified, Problem> {
    let client = received.request.client;
    let actor = app.peers.actor(received.activity.actor(), client).await?;
    let refusal = match judged(received, evidence, &actor).await? {
        Ok(signature) => return Ok(Verified { actor, signature }),
        Err(refusal) => refusal,
    };
    // The keys may have changed since they were looked up.
    let Some(actor) = app.peers.again(&actor, client).await? else {
        return Err(refusal.into());
    };
    let signature = judged(received, evidence, &actor).await??;
    Ok(Verified { actor, signature })
}

async fn judged(
    received: &Arc<Received>,
    evidence: &Arc<Evidence>,
    actor: &Arc<PeerActor>,
) -> Result<Result<Signature, Refusal>, Refusal> {
    let (received, evidence, actor) = (received.clone(), evidence.clone(), actor.clone());
    beside(received.body.len(), move || judge(&received, &evidence, &actor)).await
}

/// One valid signature of the actor is enough; a proof that does not hold is refused even where the HTTP signature
/// does.
fn judge(received: &Received, evidence: &Evidence, actor: &PeerActor) -> Result<Signature, Refusal> {
    if let Claim::Usable(key_id) = &evidence.proof {
        let sender = match &evidence.http {
            Claim::Usable(candidate) if actor.key(candidate.key_id()).is_some() => Sender::Claimed,
            _ => Sender::Other,
        };
        // The proof's key is kept with the entry: it is what stays verifiable from the stored bytes.
        return Ok(Signature {
            key: verify_proof(received, key_id, actor)?,
            verified_by: "proof",
            sender,
        });
    }
    match &evidence.http {
        Claim::Usable(candidate) => Ok(Signature {
            key: verify_http(received, candidate, actor)?,
            verified_by: "rfc9421",
            sender: Sender::Actor,
        }),
        Claim::Unusable(refusal) => Err(refusal.clone()),
        Claim::Absent => Err(missing()),
    }
}

/// Verifies the HTTP signature of an activity whose proof holds.
fn show_sender(received: &Received, candidate: &Candidate, verified: &mut Verified) {
    let holds = verify_http(received, candidate, &verified.actor).is_ok();
    let (verified_by, sender) = if holds {
        ("proof,rfc9421", Sender::Actor)
    } else {
        ("proof", Sender::Other)
    };
    verified.signature.verified_by = verified_by;
    verified.signature.sender = sender;
}

fn verify_proof(received: &Received, key_id: &str, actor: &PeerActor) -> Result<PeerKey, Refusal> {
    let key = key_of(actor, key_id, received)?;
    proof::verify(received.activity.document(), &key.key).map_err(|error| broken(&error))?;
    Ok(key.clone())
}

fn verify_http(received: &Received, candidate: &Candidate, actor: &PeerActor) -> Result<PeerKey, Refusal> {
    let key = key_of(actor, candidate.key_id(), received)?;
    received.request.verify(candidate, &key.key)?;
    Ok(key.clone())
}

/// The actor's key with this id. One that its document does not list is unknown if it could be the actor's, and
/// somebody else's otherwise.
fn key_of<'a>(actor: &'a PeerActor, key_id: &str, received: &Received) -> Result<&'a PeerKey, Refusal> {
    actor.key(key_id).ok_or_else(|| {
        let document = key_id.split('#').next().unwrap_or_default();
        if is_same(document, &actor.id, &received.origin) {
            Refusal::new(Code::UnknownKey, format!("{} has no key {key_id}", actor.id))
        } else {
            not_the_actor("signature", key_id, received)
        }
    })
}

fn is_same(document: &str, actor: &str, origin: &Origin) -> bool {
    document == actor || (origin.is_base(document) && origin.is_base(actor))
}
