//! A way to the server that loses an answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Passes everything on, until it is told to lose the answer to the next COMMIT, and the connection with it.
pub(super) struct Proxy {
    loses: Arc<AtomicBool>,
}

impl Proxy {
    /// A way to the server of a URL.
    pub(super) async fn start(url: &str) -> (Self, String) {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxied = url.replacen(&server, &address.to_string(), 1);
        assert_ne!(proxied, url);
        let loses = Arc::<AtomicBool>::default();
        let proxy = Self {
            loses: Arc::clone(&loses),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&loses)));
            }
        });
        (proxy, proxied)
    }

    pub(super) fn lose_an_answer(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, loses: Arc<AtomicBool>) {
    let (mut from_client, mut from_server) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            Ok(read) = client.read(&mut from_client) => {
                let sent = &from_client[..read];
                if read == 0 || server.write_all(sent).await.is_err() {
                    return;
                }
                // One small message, hence in one piece.
                let is_commit = sent.windows(6).any(|word| word == b"COMMIT");
                if is_commit && loses.swap(false, Ordering::SeqCst) {
                    // Answered: it has happened.
                    let _ = server.read(&mut from_server).await;
                    return;
                }
            }
            Ok(read) = server.read(&mut from_server) => {
                if read == 0 || client.write_all(&from_server[..read]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}
