//! The gateway's part of readiness: whether the log and the views answer.

use std::time::Duration;

use fedsx_runtime::{code::Refusal, health::Readiness};

use crate::App;

/// The services that a gateway cannot do without, as parts of readiness.
const LOG: &str = "log";
const PROJECTION: &str = "projection";
/// How long after an answer the next is asked for.
const EVERY: Duration = Duration::from_secs(2);
/// A service that has not answered within this time is not reachable.
const PATIENCE: Duration = Duration::from_secs(2);

/// Until the first answers nothing is known.
pub(crate) fn begin(readiness: &Readiness) {
    for part in [LOG, PROJECTION] {
        readiness.lacks(part, "it has not been asked yet");
    }
}

/// Keeps readiness informed, until shutdown.
pub(crate) async fn keep(app: App) {
    let (readiness, stop) = (&app.context.readiness, app.context.shutdown.token());
    let probing = async {
        loop {
            let (log, projection) = tokio::join!(probe(app.log.head()), probe(app.views.reachable()));
            tell(readiness, LOG, log);
            tell(readiness, PROJECTION, projection);
            tokio::time::sleep(EVERY).await;
        }
    };
    stop.run_until_cancelled(probing).await;
}

fn tell(readiness: &Readiness, part: &'static str, answer: Result<(), String>) {
    match answer {
        Ok(()) => readiness.has(part),
        Err(reason) => readiness.lacks(part, reason),
    }
}

async fn probe<T>(call: impl Future<Output = Result<T, Refusal>>) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(refusal.detail),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
