//! Real PostgreSQL, RabbitMQ, S3 and SMTP for tests and benchmarks.
//!
//! Most tests want room on a server that runs already: [`postgres::Database::create`] and [`rabbitmq::Vhost::create`] make
//! an empty database or vhost on the servers that `FEDSX_TEST_POSTGRES`, `FEDSX_TEST_RABBITMQ` and
//! `FEDSX_TEST_RABBITMQ_API` name, and remove it when they are dropped. `fedsx-test-servers -- cargo test` starts such
//! servers, runs a command with these variables and ends the servers again. A test that kills, freezes or empties a server
//! starts one of its own: [`postgres::Server`], [`rabbitmq::Server`]. S3 and SMTP servers are light enough that every test that
//! needs one has its own, in its process: [`s3::Server`], [`smtp::Server`].
//!
//! Everything here fails by panicking with a sentence that says what to do, since that fails the test. To add another
//! kind of server, write a folder like `postgres/` over `process::Process`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of it runs inside tests alone"
)]

mod account;
mod aside;
mod folder;
mod port;
pub mod postgres;
mod process;
mod program;
pub mod rabbitmq;
pub mod s3;
mod shared;
pub mod smtp;

pub use port::Port;
pub use shared::{POSTGRES, RABBITMQ, RABBITMQ_API};
