//! A way to the log on which an answer gets lost.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Answers the append it is told to lose as a server does that goes away: the log has carried it out.
#[derive(Clone, Default)]
pub(crate) struct Losing(Arc<AtomicBool>);

impl Losing {
    pub(crate) fn lose_one(&self) {
        self.0.store(true, Ordering::Relaxed);
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
        let loses =
            request.uri().path().ends_with("/AppendMany") && self.losing.0.swap(false, Ordering::Relaxed);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(if loses {
                Status::unavailable("the connection broke").into_http()
            } else {
                answer
            })
        })
    }
}
