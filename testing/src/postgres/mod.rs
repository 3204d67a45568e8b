//! PostgreSQL: databases on a server that runs already, and servers of a test's own.

mod database;
mod server;

pub use database::Database;
pub use server::Server;
