//! Room on servers that run already.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use fedsx_testing::{postgres::Database, rabbitmq::Vhost};
use sqlx::{Connection as _, PgConnection};

#[tokio::test]
async fn a_database_is_empty_and_ends_with_its_test_whoever_is_connected() {
    let database = Database::create().await;
    let url = database.url().to_owned();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let tables: i64 = sqlx::query_scalar(
        "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(tables, 0);
    drop(database);
    let gone = PgConnection::connect(&url).await.unwrap_err();
    assert!(gone.to_string().contains("does not exist"), "{gone}");
}

#[tokio::test]
async fn a_database_sorts_as_people_do() {
    let database = Database::create().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let sorts: bool = sqlx::query_scalar("select 'a' < 'B'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(sorts, "the server has no other order than that of bytes");
}

#[tokio::test]
async fn a_database_ends_where_its_test_panics() {
    let (told, url) = tokio::sync::oneshot::channel();
    let test = tokio::spawn(async move {
        let database = Database::create().await;
        told.send(database.url().to_owned()).unwrap();
        panic!("as a failing test does");
    });
    assert!(test.await.unwrap_err().is_panic());
    let gone = PgConnection::connect(&url.await.unwrap()).await.unwrap_err();
    assert!(gone.to_string().contains("does not exist"), "{gone}");
}

#[tokio::test]
async fn each_vhost_is_its_own() {
    let (one, other) = tokio::join!(Vhost::create(), Vhost::create());
    assert_ne!(one.url(), other.url());
    assert!(one.url().starts_with("amqp://"));
}
