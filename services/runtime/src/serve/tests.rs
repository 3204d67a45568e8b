//! Clients that take more than their share, in number or in time.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

#[tokio::test]
async fn who_comes_at_the_end_is_refused_and_who_asked_before_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, answer) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (asked.clone(), answer.clone());
    let slow = || async move {
        tell.add_permits(1);
        wait.acquire().await.unwrap().forget();
        "here"
    };
    let stop = Shutdown::default();
    let router = Router::new().route("/", axum::routing::get(slow));
    let server = tokio::spawn(Server::new(router).run(listener, stop.clone()));
    let mut early = TcpStream::connect(address).await.unwrap();
    early
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    asked.acquire().await.unwrap().forget();
    stop.begin();
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused)
        .await
        .unwrap();
    answer.add_permits(1);
    let mut told = [0; 12];
    early.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 200");
    server.await.unwrap();
}

#[tokio::test]
async fn a_client_holds_its_share_of_connections_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
    let stop = Shutdown::default();
    let server = tokio::spawn(Server::new(router).shared(2).run(listener, stop.clone()));
    let ask = async || {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        assert_eq!(&answer, b"HTTP/1.1 200");
        Some(stream)
    };
    let one = ask().await.unwrap();
    let _two = ask().await.unwrap();
    assert!(ask().await.is_none(), "the third is closed");
    drop(one);
    let again = async {
        while ask().await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .unwrap();
    stop.begin();
    server.await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // More than sockets hold.
    let large = || async { vec![0_u8; 64 << 20] };
    let router = Router::new()
        .route("/large", axum::routing::get(large))
        .route("/", axum::routing::get(|| async { "here" }));
    let stop = Shutdown::default();
    let mut patient = Server::new(router).shared(1);
    patient.stall = Duration::from_millis(50);
    let server = tokio::spawn(patient.run(listener, stop.clone()));
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        stream.read_exact(&mut [0; 12]).await.ok()?;
        Some(stream)
    };
    let _silent = ask("/large").await.unwrap();
    let another = async {
        while ask("/").await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), another)
        .await
        .unwrap();
    stop.begin();
    server.await.unwrap();
}
