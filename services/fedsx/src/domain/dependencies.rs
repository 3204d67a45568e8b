//! What a role cannot work without, asked again and again, so that readiness names what is away and not only what suffers.

use std::time::Duration;

use fedsx_proto::v1::DescribeRequest;
use fedsx_runtime::{code::Refusal, database, health::Readiness, token::Role};

use super::{LogClient, clients, process::Process};

/// How often the log is asked, and for how long it may think about it.
const ASK: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(2);

/// Watches the database and the log of a role that has no readiness of its own for them.
pub(super) fn watch(process: &Process, role: Role) -> anyhow::Result<()> {
    let (shutdown, readiness) = (&process.context.shutdown, &process.context.readiness);
    let log = clients::log(process.channel(Role::Log)?, &process.credentials(role)?);
    let (stop, told) = (shutdown.token(), readiness.clone());
    shutdown.spawn(async move { stop.run_until_cancelled(watch_log(log, &told)).await });
    if let Some(url) = process.settings.database.clone() {
        let (stop, told) = (shutdown.token(), readiness.clone());
        shutdown.spawn(async move {
            stop.run_until_cancelled(database::postgres::watch(&url, &told))
                .await
        });
    }
    Ok(())
}

async fn watch_log(mut log: LogClient, readiness: &Readiness) {
    loop {
        match tokio::time::timeout(ANSWER, log.describe(DescribeRequest {})).await {
            Ok(Ok(_)) => readiness.has("log"),
            Ok(Err(status)) => readiness.lacks("log", Refusal::from(status).to_string()),
            Err(_) => readiness.lacks("log", format!("it has not answered for {ANSWER:?}")),
        }
        tokio::time::sleep(ASK).await;
    }
}
