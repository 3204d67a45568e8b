//! Where a benchmark's domain keeps its state.

use anyhow::Context as _;
use clap::Args;
use sqlx::{Connection as _, PgConnection};

/// The embedded default, or servers.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Backend {
    /// PostgreSQL instead of SQLite: postgres://user@host/name, where a scratch database is made and removed
    #[arg(long, env = "FEDSX_BENCH_DATABASE", value_name = "URL", global = true)]
    database: Option<String>,
    /// RabbitMQ instead of a queue in memory: amqp://user@host/vhost
    #[arg(long, env = "FEDSX_BENCH_BROKER", value_name = "URL", global = true)]
    pub(super) broker: Option<String>,
}

/// A database of this run alone.
#[derive(Debug)]
pub(super) struct Scratch {
    server: String,
    name: String,
}

impl Backend {
    /// How it is told in a report.
    pub(super) fn name(&self) -> &'static str {
        match (&self.database, &self.broker) {
            (None, None) => "SQLite, queue in memory",
            (Some(_), None) => "PostgreSQL, queue in memory",
            (None, Some(_)) => "SQLite, RabbitMQ",
            (Some(_), Some(_)) => "PostgreSQL, RabbitMQ",
        }
    }

    /// Makes the scratch database.
    pub(super) async fn scratch(&self) -> anyhow::Result<Option<Scratch>> {
        let Some(server) = &self.database else {
            return Ok(None);
        };
        let scratch = Scratch {
            server: server.clone(),
            name: format!("fedsx_bench_{:016x}", rand::random::<u64>()),
        };
        scratch.execute("CREATE DATABASE").await?;
        Ok(Some(scratch))
    }
}

impl Scratch {
    pub(super) fn url(&self) -> anyhow::Result<String> {
        let mut url = url::Url::parse(&self.server).context("--database")?;
        url.set_path(&self.name);
        Ok(url.into())
    }

    pub(super) async fn remove(&self) -> anyhow::Result<()> {
        self.execute("DROP DATABASE").await
    }

    async fn execute(&self, what: &str) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.server).await.context("--database")?;
        let statement = format!("{what} \"{}\"", self.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .with_context(|| format!("{what} {}", self.name))?;
        Ok(connection.close().await?)
    }
}
