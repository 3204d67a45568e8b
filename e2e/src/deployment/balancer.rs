//! One origin for several gateways.

use std::net::SocketAddr;

use fedsx_testing::Port;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// Passes each connection on to the next gateway that takes it, as a Kubernetes Service does.
#[derive(Debug)]
pub(super) struct Balancer {
    _port: Port,
    stop: CancellationToken,
}

impl Balancer {
    pub(super) async fn start(port: Port, gateways: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind(port.address())
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", port.address()));
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(accept(listener, gateways, stop.clone())),
        );
        Self { _port: port, stop }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, mut gateways: Vec<SocketAddr>, stop: CancellationToken) {
    loop {
        let (client, _) = listener.accept().await.expect("a connection");
        gateways.rotate_left(1);
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(join(client, gateways.clone())),
        );
    }
}

/// Where no gateway takes it, the connection is closed.
async fn join(mut client: TcpStream, gateways: Vec<SocketAddr>) {
    for gateway in gateways {
        if let Ok(mut server) = TcpStream::connect(gateway).await {
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
