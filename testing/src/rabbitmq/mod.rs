//! RabbitMQ: vhosts on a server that runs already, and servers of a test's own.

mod api;
mod server;
mod vhost;

pub use server::Server;
pub use vhost::Vhost;
