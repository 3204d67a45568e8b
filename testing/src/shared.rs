//! The servers that run already, as the environment names them.

use url::Url;

/// A database of a PostgreSQL server, as a role that may create databases.
pub const POSTGRES: &str = "FEDSX_TEST_POSTGRES";
/// A RabbitMQ server over AMQP, as a user that is an administrator.
pub const RABBITMQ: &str = "FEDSX_TEST_RABBITMQ";
/// The same server's management API, as the same user.
pub const RABBITMQ_API: &str = "FEDSX_TEST_RABBITMQ_API";

/// The URL in a variable.
pub(crate) fn url(variable: &str) -> Url {
    let Ok(value) = std::env::var(variable) else {
        panic!(
            "{variable} is not set: run the tests by e2e/test.sh, or by \
             `cargo run -p fedsx-testing --bin fedsx-test-servers -- cargo test`, or let {POSTGRES}, {RABBITMQ} and \
             {RABBITMQ_API} name servers that run"
        );
    };
    value
        .parse()
        .unwrap_or_else(|error| panic!("{variable} is {value:?}, not a URL: {error}"))
}
