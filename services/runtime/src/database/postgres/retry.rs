//! What is run again: a transaction that the database ended in favour of another one.

use crate::database::{Result, StoreError};

/// Who loses so often loses to something that does not pass.
const ATTEMPTS: u32 = 5;

/// Runs it until it is not ended by a deadlock (40P01) or a serialization failure (40001), five times at most. Either
/// rolls everything back, so that nothing is done twice.
///
/// # Errors
/// Those of the last time.
pub async fn retried<T, F>(mut run: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for _ in 1..ATTEMPTS {
        match run().await {
            Err(error) if lost(&error) => {
                tracing::debug!(%error, "a transaction lost to another; trying again");
            }
            done => return done,
        }
    }
    run().await
}

fn lost(error: &StoreError) -> bool {
    let StoreError::Driver { source, .. } = error else {
        return false;
    };
    let database = source
        .downcast_ref::<sqlx::Error>()
        .and_then(sqlx::Error::as_database_error);
    database
        .and_then(|error| error.code())
        .is_some_and(|code| code == "40P01" || code == "40001")
}
