//! What every call of ours to another service of the domain shares: a deadline, and an answer that a stranger may see.

use std::time::Duration;

use fedsx_runtime::code::{Code, Refusal};
use tokio::time::error::Elapsed;
use tonic::{Response, Status};

/// A service that has not answered within this time is away. Views may take 5 s to catch up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for a service's answer.
///
/// # Errors
/// What the service refused, where that is the stranger's affair; [`Code::Unavailable`] where it is away or does not
/// let us in, and [`Code::Internal`] for its faults, without their text.
pub(crate) async fn ask<T>(
    service: &'static str,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Refusal> {
    within(DEADLINE, service, call).await
}

/// Waits for a service's answer to somebody whose own token is passed on: whether that is good for it is theirs to know.
///
/// # Errors
/// As [`ask`], and [`Code::Unauthenticated`] and [`Code::Forbidden`] of the token.
pub(crate) async fn ask_for<T>(
    service: &'static str,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Err(status)) => {
            let refusal = Refusal::from(status);
            match refusal.code {
                Code::Unauthenticated | Code::Forbidden => Err(refusal),
                _ => Err(translate(service, refusal)),
            }
        }
        answered => answer(service, answered),
    }
}

async fn within<T>(
    deadline: Duration,
    service: &'static str,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Refusal> {
    answer(service, tokio::time::timeout(deadline, call).await)
}

/// The answer to a call that had a deadline; errors as of [`ask`].
pub(crate) fn answer<T>(
    service: &'static str,
    answered: Result<Result<Response<T>, Status>, Elapsed>,
) -> Result<T, Refusal> {
    match answered {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(translate(service, status.into())),
        Err(_) => Err(away(service, "no answer in time")),
    }
}

/// What a stranger is told of a service's refusal; errors as of [`ask`].
pub(crate) fn translate(service: &'static str, refusal: Refusal) -> Refusal {
    match refusal.code {
        Code::NotFound
        | Code::Malformed
        | Code::CidMismatch
        | Code::TooLarge
        | Code::TypeUnknown
        | Code::SchemaRefused
        | Code::FlowState
        | Code::Damaged
        | Code::NoBlobStore
        | Code::RangeNotSatisfiable => refusal,
        Code::Unavailable => away(service, &refusal.detail),
        // 401 or 403 would tell a peer to give up what our own configuration keeps from it.
        Code::Unauthenticated | Code::Forbidden => {
            tracing::error!(service, detail = %refusal.detail, "a service does not let the gateway in");
            away(service, "it does not let the gateway in")
        }
        _ => {
            tracing::error!(service, code = %refusal.code, detail = %refusal.detail, "a service failed");
            Refusal::new(Code::Internal, format!("the {service} service failed"))
        }
    }
}

pub(crate) fn away(service: &'static str, cause: &str) -> Refusal {
    tracing::debug!(service, cause, "a service is away");
    Refusal::new(
        Code::Unavailable,
        format!("the {service} service is away just now"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_trouble_is_never_the_strangers_fault() {
        for code in [
            Code::Unauthenticated,
            Code::Forbidden,
            Code::Unavailable,
            Code::RateLimited,
        ] {
            let answer = translate("log", Refusal::new(code, "inner detail"));
            assert!(answer.code.http().is_server_error(), "{code}");
            assert!(!answer.detail.contains("inner"), "{code}");
        }
        let code = |status: Status| translate("log", status.into()).code;
        assert_eq!(code(Status::unavailable("x")), Code::Unavailable);
        assert_eq!(code(Status::internal("x")), Code::Internal);
    }

    #[test]
    fn what_the_log_finds_wrong_with_an_activity_is_passed_on() {
        let refused = Refusal::new(Code::SchemaRefused, "`name` is missing");
        assert_eq!(translate("log", refused.clone()), refused);
    }

    #[tokio::test]
    async fn whether_a_token_is_good_is_told_only_to_who_showed_it() {
        let refused = |code: Code| async move { Err::<Response<()>, _>(Refusal::new(code, "why").into()) };
        for code in [Code::Unauthenticated, Code::Forbidden] {
            let theirs = ask_for("projection", refused(code)).await.unwrap_err();
            assert_eq!(theirs, Refusal::new(code, "why"));
            let ours = ask("projection", refused(code)).await.unwrap_err();
            assert_eq!(ours.code, Code::Unavailable);
        }
        let failed = ask_for("projection", refused(Code::Internal)).await.unwrap_err();
        assert_eq!(failed.detail, "the projection service failed");
    }

    #[tokio::test]
    async fn a_silent_service_is_away() {
        let never = std::future::pending::<Result<Response<()>, Status>>();
        assert_eq!(
            within(Duration::ZERO, "log", never).await.unwrap_err().code,
            Code::Unavailable
        );
    }
}
