//! Waiting for what comes to hold.

use std::time::Duration;

/// Waits until something holds; fails with what is the matter where it does not in time.
pub(crate) async fn eventually(holds: impl AsyncFn() -> Result<(), String>) {
    let waiting = async {
        while holds().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(120), waiting)
        .await
        .is_err()
    {
        panic!("{:?}", holds().await);
    }
}
