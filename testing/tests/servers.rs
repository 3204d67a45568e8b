//! Servers of a test's own.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::{net::SocketAddr, time::Duration};

use fedsx_testing::{postgres, rabbitmq};
use sqlx::{Connection as _, PgConnection};
use tokio::{net::TcpStream, time::timeout};

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(url).await
}

/// Waits until nobody listens: a killed process's sockets are closed while it is taken apart.
async fn refuses(address: SocketAddr) {
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), refused).await.unwrap();
}

#[tokio::test]
async fn what_postgres_committed_survives_every_end_but_the_last() {
    let mut server = postgres::Server::start().await;
    let database = server.database().await;
    let mut connection = connect(database.url()).await.unwrap();
    let create = sqlx::query("create table kept as select 7 as seven");
    create.execute(&mut connection).await.unwrap();
    server.kill9();
    assert!(connect(database.url()).await.is_err());
    server.start_again().await;
    server.stop().await;
    assert!(connect(database.url()).await.is_err());
    server.start_again().await;
    let mut connection = connect(database.url()).await.unwrap();
    let kept = sqlx::query_scalar("select seven from kept");
    let kept: i32 = kept.fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 7);
    let url = database.url().to_owned();
    drop((database, server));
    assert!(connect(&url).await.is_err());
}

#[tokio::test]
async fn a_frozen_postgres_answers_nobody_until_it_is_thawed() {
    let server = postgres::Server::start().await;
    let mut connection = connect(server.url()).await.unwrap();
    server.freeze();
    let mut asked = Box::pin(connection.ping());
    assert!(timeout(Duration::from_millis(300), &mut asked).await.is_err());
    server.thaw();
    asked.await.unwrap();
}

#[tokio::test]
async fn a_broker_comes_back_with_what_it_had_or_wiped() {
    let mut server = rabbitmq::Server::start().await;
    let vhost = server.vhost().await;
    server.kill9();
    refuses(server.address()).await;
    server.start_again().await;
    assert!(vhost.exists().await, "a vhost outlives a kill");
    server.stop().await;
    server.start_again().await;
    assert!(vhost.exists().await);
    server.wipe(&[]).await;
    assert!(!vhost.exists().await);
    server.wipe(&[&vhost]).await;
    assert!(vhost.exists().await);
    let address = server.address();
    drop((vhost, server));
    refuses(address).await;
}
