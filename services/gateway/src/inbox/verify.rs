//! Who signed: one valid signature of the activity's actor, by HTTP or by proof.

use std::sync::Arc;

use fedsx_kernel::{
    http_signature::rfc9421::Candidate,
    key::VerifyingKey,
    origin::Origin,
    proof::{self, ProofError},
};
use fedsx_runtime::code::{Code, Refusal};
use jiff::Timestamp;

use super::{Received, beside};
use crate::{App, peers::PeerActor, problem::Problem};

/// What a request offers to show who sent it, not yet verified.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    http: Claim<Candidate>,
    /// The id of the proof's key.
    proof: Claim<String>,
}

#[derive(Debug, Clone)]
enum Claim<T> {
    Absent,
    Unusable(Refusal),
    Usable(T),
}

/// Who signed an activity, and how that is known.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) actor: Arc<PeerActor>,
    pub(super) signature: Signature,
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key_id: String,
    pub(super) key: VerifyingKey,
    /// `proof`, `rfc9421` or both, separated by a comma.
    pub(super) verified_by: &'static str,
    /// The HTTP signature is somebody else's or does not hold: the proof alone speaks for the actor.
    pub(super) forwarded: bool,
}

/// Reads the signatures and checks what costs nothing: form, coverage, time, and that the keys are at the actor's origin
/// (FEP-fe34).
///
/// # Errors
/// Why none of them can be used.
pub(super) fn evidence(received: &Received, now: Timestamp) -> Result<Evidence, Refusal> {
    let evidence = Evidence {
        http: http_claim(received, now),
        proof: proof_claim(received)?,
    };
    match (&evidence.http, &evidence.proof) {
        (Claim::Usable(_), _) | (_, Claim::Usable(_)) => Ok(evidence),
        (Claim::Unusable(refusal), _) | (Claim::Absent, Claim::Unusable(refusal)) => Err(refusal.clone()),
        (Claim::Absent, Claim::Absent) => {
            Err(Refusal::new(Code::MissingSignature, "the activity is not signed"))
        }
    }
}

fn http_claim(received: &Received, now: Timestamp) -> Claim<Candidate> {
    match received.request.candidate(now.as_second(), true) {
        Ok(None) => Claim::Absent,
        Ok(Some(candidate)) if !received.origin.owns(candidate.key_id()) => {
            Claim::Unusable(not_the_actor("HTTP signature", candidate.key_id(), received))
        }
        Ok(Some(candidate)) => Claim::Usable(candidate),
        Err(refusal) => Claim::Unusable(refusal),
    }
}

/// A proof of a suite that is not read here counts as none; one that is broken or another's is refused, whatever else
/// the request offers.
fn proof_claim(received: &Received) -> Result<Claim<String>, Refusal> {
    if !proof::is_present(received.activity.document()) {
        return Ok(Claim::Absent);
    }
    match proof::info(received.activity.document()) {
        Ok(info) if !received.origin.owns(info.verification_method) => {
            Err(not_the_actor("proof", info.verification_method, received))
        }
        Ok(info) => Ok(Claim::Usable(info.verification_method.to_owned())),
        Err(error @ ProofError::Unsupported) => Ok(Claim::Unusable(broken(&error))),
        Err(error) => Err(broken(&error)),
    }
}

/// Finds the actor's keys and verifies.
///
/// # Errors
/// [`Code::BadSignature`], [`Code::NotTheActor`], [`Code::UnknownKey`]; [`Code::FetchFailed`] where the keys could not
/// be fetched just now.
pub(super) async fn verify(
    app: &App,
    received: &Arc<Received>,
    evidence: Evidence,
) -> Result<Verified, Problem> {
    let actor = app.peers.actor(received.activity.actor()).await?;
    let evidence = Arc::new(evidence);
    let refusal = match judged(received, &evidence, &actor).await? {
        Ok(signature) => return Ok(Verified { actor, signature }),
        Err(refusal) => refusal,
    };
    // The keys may have changed since they were fetched.
    let Some(actor) = app.peers.refetch(&actor).await else {
        return Err(refusal.into());
    };
    let signature = judged(received, &evidence, &actor).await??;
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
    let proof = match &evidence.proof {
        Claim::Usable(key_id) => Some(verify_proof(received, key_id, actor)?),
        Claim::Absent | Claim::Unusable(_) => None,
    };
    let http = match &evidence.http {
        Claim::Usable(candidate) => Some(verify_http(received, candidate, actor)),
        Claim::Unusable(refusal) => Some(Err(refusal.clone())),
        Claim::Absent => None,
    };
    let signature = |(key_id, key), verified_by, forwarded| Signature {
        key_id,
        key,
        verified_by,
        forwarded,
    };
    match (proof, http) {
        // The proof's key is kept with the entry: it is what stays verifiable from the stored bytes.
        (Some(key), Some(Ok(_))) => Ok(signature(key, "proof,rfc9421", false)),
        (Some(key), Some(Err(_)) | None) => Ok(signature(key, "proof", true)),
        (None, Some(Ok(key))) => Ok(signature(key, "rfc9421", false)),
        (None, Some(Err(refusal))) => Err(refusal),
        (None, None) => Err(Refusal::new(Code::MissingSignature, "the activity is not signed")),
    }
}

fn verify_proof(
    received: &Received,
    key_id: &str,
    actor: &PeerActor,
) -> Result<(String, VerifyingKey), Refusal> {
    let key = key_of(actor, key_id, received)?;
    proof::verify(received.activity.document(), key).map_err(|error| broken(&error))?;
    Ok((key_id.to_owned(), key.clone()))
}

fn verify_http(
    received: &Received,
    candidate: &Candidate,
    actor: &PeerActor,
) -> Result<(String, VerifyingKey), Refusal> {
    let key = key_of(actor, candidate.key_id(), received)?;
    received.request.verify(candidate, key)?;
    Ok((candidate.key_id().to_owned(), key.clone()))
}

/// The actor's key with this id. One that its document does not list is unknown if it could be the actor's, and
/// somebody else's otherwise.
fn key_of<'a>(actor: &'a PeerActor, key_id: &str, received: &Received) -> Result<&'a VerifyingKey, Refusal> {
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

fn not_the_actor(what: &str, key_id: &str, received: &Received) -> Refusal {
    let detail = format!(
        "the {what} is by {key_id}, which is no key of {}",
        received.activity.actor()
    );
    Refusal::new(Code::NotTheActor, detail)
}

fn broken(error: &ProofError) -> Refusal {
    let code = match error {
        ProofError::BadSignature => Code::BadSignature,
        _ => Code::UnusableSignature,
    };
    Refusal::new(code, format!("the proof: {error}"))
}
