//! The kernel's errors as refusals with their codes.

use fedsx_kernel::{activity::ActivityError, actor::ActorError, draft::DraftError, json::JsonError};
use fedsx_runtime::code::{Code, Refusal};

/// The request is not what the contract describes.
pub(crate) fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Code::Malformed, detail)
}

pub(crate) fn activity(error: ActivityError) -> Refusal {
    let code = match &error {
        ActivityError::Json(error) => json(error),
        ActivityError::Envelope { .. } => Code::Malformed,
        ActivityError::CidMismatch { .. } => Code::CidMismatch,
    };
    Refusal::new(code, error.to_string())
}

pub(crate) fn draft(error: DraftError) -> Refusal {
    let code = match &error {
        DraftError::Json(error) => json(error),
        DraftError::Field { .. } => Code::Malformed,
        DraftError::TooLarge(_) => Code::TooLarge,
    };
    Refusal::new(code, error.to_string())
}

pub(crate) fn actor(error: ActorError) -> Refusal {
    malformed(format!("object: {error}"))
}

fn json(error: &JsonError) -> Code {
    match error {
        JsonError::TooLarge(_) | JsonError::TooManyValues => Code::TooLarge,
        _ => Code::Malformed,
    }
}
