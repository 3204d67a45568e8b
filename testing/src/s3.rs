//! An S3-compatible server in this process, on a free loopback port, with one bucket in a temporary folder.

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

/// A server with one bucket; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    endpoint: String,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Server {
    /// Its one bucket.
    pub const BUCKET: &str = "blobs";
    /// The keys that it knows.
    pub const ACCESS_KEY_ID: &str = "test";
    pub const SECRET_ACCESS_KEY: &str = "secret";
    pub const REGION: &str = "us-east-1";

    /// A running server. It ends with the runtime that starts it, at the latest.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("fedsx-s3-")
            .tempdir()
            .expect("a folder");
        std::fs::create_dir(folder.path().join(Self::BUCKET)).expect("a bucket");
        let files = s3s_fs::FileSystem::new(folder.path()).expect("a file system");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(
            Self::ACCESS_KEY_ID,
            Self::SECRET_ACCESS_KEY,
        ));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Builder::new(TokioExecutor::new());
                let connection = server.serve_connection(TokioIo::new(stream), service.clone());
                let connection = connection.into_owned();
                tokio::spawn(async move {
                    let _ = connection.await;
                });
            }
        });
        Self {
            endpoint,
            serving,
            _folder: folder,
        }
    }

    /// `http://127.0.0.1:<port>`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What the environment of a process says that uses it.
    pub fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_REGION", Self::REGION),
            ("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", Self::SECRET_ACCESS_KEY),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
