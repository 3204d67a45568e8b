//! Waiting for conditions.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(50);

/// Looks until there is what was waited for, and panics with the last state where it does not come in time.
pub async fn eventually<T, S: Display>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let begin = Instant::now();
    let end = begin + within;
    loop {
        let state = match look().await {
            Ok(found) => {
                // Shown where the test fails later.
                eprintln!("{what}: after {:?}", begin.elapsed());
                return found;
            }
            Err(state) => state,
        };
        assert!(
            Instant::now() < end,
            "{what}: not within {within:?}; at last: {state}"
        );
        sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looks_until_the_condition_holds() {
        let mut looks = 0;
        let found = eventually("three looks", Duration::from_secs(10), async || {
            looks += 1;
            if looks == 3 { Ok("found") } else { Err(looks) }
        })
        .await;
        assert_eq!(found, "found");
    }

    #[tokio::test]
    #[should_panic(expected = "a miracle: not within 100ms; at last: nothing yet")]
    async fn tells_the_last_state_when_patience_ends() {
        eventually("a miracle", Duration::from_millis(100), async || {
            Err::<(), _>("nothing yet")
        })
        .await;
    }
}
