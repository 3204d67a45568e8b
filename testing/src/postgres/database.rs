//! An empty database for one test.

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use url::Url;

use crate::{aside, shared};

/// An empty database, removed with everything in it when this is dropped.
#[derive(Debug)]
pub struct Database {
    server: Url,
    name: String,
    url: String,
}

impl Database {
    /// A new database on the server that `FEDSX_TEST_POSTGRES` names.
    pub async fn create() -> Self {
        Self::create_at(shared::url(shared::POSTGRES)).await
    }

    /// A new database beside another one, whose role may create databases.
    pub(super) async fn create_at(server: Url) -> Self {
        let name = format!("fedsx_test_{:016x}", rand::random::<u64>());
        create(&server, &name)
            .await
            .unwrap_or_else(|error| panic!("{server}: {error}"));
        let mut url = server.clone();
        url.set_path(&name);
        Self {
            server,
            name,
            url: url.into(),
        }
    }

    /// `postgres://…/<database>`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements as somebody who has the database's password.
    pub async fn execute(&self, statements: &str) {
        let url = Url::parse(&self.url);
        let url = url.unwrap_or_else(|error| panic!("{}: {error}", self.url));
        execute(&url, statements.to_owned())
            .await
            .unwrap_or_else(|error| panic!("{statements}: {error}"));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let server = self.server.clone();
        let drop = format!("drop database if exists {} with (force)", self.name);
        aside::run(format!("{} stays behind", self.url), async move {
            execute(&server, drop).await
        });
    }
}

/// Whether a database can sort by another provider than the operating system, which may know nothing but the bytes' order.
const SORTS: &str = "select current_setting('server_version_num')::int >= 150000 \
                     and exists (select from pg_collation where collprovider = 'i')";

/// Makes a database that sorts text as English does, like those in use, so that nothing relies on the order of bytes
/// without saying so. It is made of template0, since nobody can be connected to that, which would forbid the copy.
async fn create(server: &Url, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnectOptions::from_url(server)?.connect().await?;
    let sorts: bool = sqlx::query_scalar(SORTS).fetch_one(&mut connection).await?;
    let order = if sorts {
        "locale_provider icu icu_locale 'en-US'"
    } else {
        ""
    };
    let create = format!("create database {name} template template0 encoding 'UTF8' {order}");
    sqlx::raw_sql(AssertSqlSafe(create))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Runs one statement on a connection of its own.
pub(super) async fn execute(server: &Url, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnectOptions::from_url(server)?.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await
}
