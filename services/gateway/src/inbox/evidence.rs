//! What a request offers to show who sent it, and whether it could: what can be told without asking anybody.

use fedsx_kernel::{
    http_signature::rfc9421::Candidate,
    proof::{self, ProofError},
};
use fedsx_runtime::code::{Code, Refusal};
use jiff::Timestamp;

use super::Received;
use crate::App;

/// What a request offers to show who sent it, not yet verified.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) http: Claim<Candidate>,
    /// The id of the proof's key.
    pub(super) proof: Claim<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Claim<T> {
    Absent,
    Unusable(Refusal),
    Usable(T),
}

/// Reads the signatures and checks what costs nothing: form, coverage, time, and that the keys are at the actor's origin
/// (FEP-fe34).
///
/// # Errors
/// [`Code::Forbidden`] for our own origin; why none of the signatures can be used.
pub(super) fn check(app: &App, received: &Received) -> Result<Evidence, Refusal> {
    if received.origin == app.settings.origin {
        let detail = "what our own actors say is published here, not posted to an inbox";
        return Err(Refusal::new(Code::Forbidden, detail));
    }
    let now = app.context.clock.now();
    let evidence = Evidence {
        http: http_claim(received, now),
        proof: proof_claim(received)?,
    };
    match (&evidence.http, &evidence.proof) {
        (Claim::Usable(_), _) | (_, Claim::Usable(_)) => Ok(evidence),
        (Claim::Unusable(refusal), _) | (Claim::Absent, Claim::Unusable(refusal)) => Err(refusal.clone()),
        (Claim::Absent, Claim::Absent) => Err(missing()),
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

pub(super) fn missing() -> Refusal {
    Refusal::new(Code::MissingSignature, "the activity is not signed")
}

pub(super) fn not_the_actor(what: &str, key_id: &str, received: &Received) -> Refusal {
    let detail = format!(
        "the {what} is by {key_id}, which is no key of {}",
        received.activity.actor()
    );
    Refusal::new(Code::NotTheActor, detail)
}

pub(super) fn broken(error: &ProofError) -> Refusal {
    let code = match error {
        ProofError::BadSignature => Code::BadSignature,
        _ => Code::UnusableSignature,
    };
    Refusal::new(code, format!("the proof: {error}"))
}
