//! A server whose machine is gone without a word.

use futures::FutureExt as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::*;
use crate::testing::node::eventually;

/// A way to the server. Connections that were on it when it was cut stay open, and nothing comes on them ever again.
struct Way(watch::Sender<bool>);

impl Way {
    /// The way, and the URL that leads over it.
    async fn to(url: &str) -> (Self, String) {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxied = url.replacen(&server, &listener.local_addr().unwrap().to_string(), 1);
        assert_ne!(proxied, url);
        let cut = watch::Sender::new(false);
        let way = Self(cut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, cut.subscribe()));
            }
        });
        (way, proxied)
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, mut cut: watch::Receiver<bool>) {
    let gone = async {
        let _ = cut.wait_for(|cut| *cut).await;
    };
    tokio::select! {
        biased;
        () = gone => std::future::pending().await,
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
    }
}

#[tokio::test]
async fn no_call_waits_for_ever_and_the_next_one_gets_another_connection() {
    let database = Database::create().await;
    let (way, url) = Way::to(database.url()).await;
    let options = open(&url).await.unwrap().pool.connect_options();
    let pool = PgPoolOptions::new()
        // What one call leaves behind, the next has to wait for.
        .max_connections(1)
        // The connection is lost after it was lent.
        .test_before_acquire(false)
        .connect_with((*options).clone());
    let store = Postgres {
        pool: pool.await.unwrap(),
        patience: Duration::from_secs(2),
        clock: None,
    };
    let leases = leases(&store).await;
    let first = [step(lease_of(&leases, "x"), 1, &["x"])];
    let group = group();
    let calls = [
        async { store.hold(&group, "a", TERM).await.err() }.boxed(),
        async { store.commit(&first).await.err() }.boxed(),
        async { store.row(&first[0].shard, "x").await.err() }.boxed(),
        async { store.resign(&group, "a").await.err() }.boxed(),
    ];
    for call in calls {
        store.shards().await.unwrap();
        eventually("the pool's again", async || store.pool.num_idle() == 1).await;
        way.0.send_replace(true);
        let error = call.await.unwrap();
        assert_eq!(error.to_string(), "the store failed to answer in time");
        way.0.send_replace(false);
    }
    store.shards().await.unwrap();
}
