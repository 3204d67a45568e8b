//! Asynchronous work where there is no runtime to await it in, or none that may be blocked: in `drop`.

use std::time::Duration;

/// Longer than a healthy server needs; a server that a test has frozen or killed must not hang the test's end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs some work to its end in a thread with a runtime of its own. What goes wrong is told on standard error: a panic in
/// `drop` would hide the one that the test ends with.
pub(crate) fn run<E: std::fmt::Display>(
    what: String,
    work: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    let ran = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        match runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await }) {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    });
    match ran.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("{what}: {error}"),
        Err(_) => eprintln!("{what}: a panic"),
    }
}
