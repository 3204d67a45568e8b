//! A database whose machine vanishes: nothing is answered any more, and no connection ends.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::*;
use crate::ledger::Leases as _;

/// A way to the database, and what lets it vanish. Connections of before are never heard of again.
async fn way(url: &str) -> (String, watch::Sender<bool>) {
    let mut url: url::Url = url.parse().unwrap();
    let server = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let vanishes = watch::Sender::new(false);
    let vanished = vanishes.subscribe();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (server, mut vanished) = (server.clone(), vanished.clone());
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                let ended = tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => true,
                    _ = vanished.wait_for(|vanished| *vanished) => false,
                };
                if !ended {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (url.into(), vanishes)
}

#[tokio::test]
async fn a_database_that_vanishes_is_waited_for_no_longer_than_it_may_think() {
    let database = Database::create().await;
    let (url, vanishes) = way(database.url()).await;
    let mut ledger = open(&url).await.unwrap();
    ledger.pool = ledger.pool.with_patience(Duration::from_secs(2));
    // Every connection is in the middle of something.
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        held.push(ledger.begin(Durability::Durable).await.unwrap());
    }
    vanishes.send_replace(true);
    let asked = held
        .iter_mut()
        .map(|transaction| sqlx::query("SELECT 1").execute(&mut **transaction));
    let answers = timeout(PATIENCE, futures::future::join_all(asked)).await;
    for answer in answers.expect("one waits") {
        let error = answer.unwrap_err();
        assert!(matches!(error, sqlx::Error::Io(_)), "{error}");
    }
    let commit = held.remove(0).commit();
    timeout(PATIENCE, commit).await.expect("it waits").unwrap_err();
    drop(held);
    vanishes.send_replace(false);
    let answers = async { while ledger.cursor().await.is_err() {} };
    timeout(PATIENCE, answers)
        .await
        .expect("its connections are lost");
}
