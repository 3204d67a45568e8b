//! A thread for the task that writes.

use std::{io, thread, time::Duration};

use tokio::{
    runtime::{self, Handle},
    sync::oneshot,
    time::{sleep, timeout},
};

/// How long what the task has started may go on after it.
const END: Duration = Duration::from_secs(1);

/// Runs the task on a thread of its own, and ends with it. A batch waits for the database four times, and the task would each
/// time stand in line behind the requests that are being read and verified: all wait for it, so it goes first.
///
/// # Errors
/// Where no thread can be had.
pub fn apart(task: impl Future<Output = ()> + Send + 'static) -> io::Result<impl Future<Output = ()>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (ending, ended) = oneshot::channel::<()>();
    thread::Builder::new().name("commit".to_owned()).spawn(move || {
        runtime.block_on(async {
            task.await;
            let _ = timeout(END, others_end()).await;
        });
        drop(ending);
    })?;
    Ok(async {
        // Told by the end of the channel.
        let _ = ended.await;
    })
}

/// A connection goes back to its pool by a task of its own.
async fn others_end() {
    while Handle::current().metrics().num_alive_tasks() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}
