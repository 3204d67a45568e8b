//! A way to the log on which an answer gets lost, or is late.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::{Request, Response};
use tokio::sync::Notify;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Spoils the answer to the next call of a method, which the log has carried out.
#[derive(Clone, Default)]
pub(crate) struct Losing(Arc<Mutex<Option<Spoiled>>>);

struct Spoiled {
    method: &'static str,
    how: How,
}

enum How {
    /// As a server does that goes away.
    Lost,
    Late(Late),
}

/// An answer that waits.
#[derive(Clone, Default)]
pub(crate) struct Late {
    ready: Arc<Notify>,
    wanted: Arc<Notify>,
}

impl Late {
    /// The log has carried out the call.
    pub(crate) async fn is_ready(&self) {
        self.ready.notified().await;
    }

    pub(crate) fn answer(&self) {
        self.wanted.notify_one();
    }
}

impl Losing {
    pub(crate) fn lose_one(&self, method: &'static str) {
        *self.0.lock().unwrap() = Some(Spoiled {
            method,
            how: How::Lost,
        });
    }

    pub(crate) fn delay_one(&self, method: &'static str) -> Late {
        let late = Late::default();
        let how = How::Late(late.clone());
        *self.0.lock().unwrap() = Some(Spoiled { method, how });
        late
    }

    fn spoils(&self, path: &str) -> Option<How> {
        let spoiled = self
            .0
            .lock()
            .unwrap()
            .take_if(|spoiled| path.ends_with(spoiled.method))?;
        Some(spoiled.how)
    }
}

impl<S> Layer<S> for Losing {
    type Service = Way<S>;

    fn layer(&self, inner: S) -> Way<S> {
        Way {
            inner,
            losing: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Way<S> {
    inner: S,
    losing: Losing,
}

impl<S, B> Service<Request<B>> for Way<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let how = self.losing.spoils(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            match how {
                Some(How::Lost) => return Ok(Status::unavailable("the connection broke").into_http()),
                Some(How::Late(late)) => {
                    late.ready.notify_one();
                    late.wanted.notified().await;
                }
                None => {}
            }
            Ok(answer)
        })
    }
}
