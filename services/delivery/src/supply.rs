//! A worker's share of the queue, through one consumer after another.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;

use crate::broker::{Broker, BrokerError, Consumer, Message, Tag};

/// How long it waits for a broker that is away.
const AWAY: Duration = Duration::from_millis(500);

type Made = Result<Box<dyn Consumer>, BrokerError>;

/// Consumes, anew where the broker went away.
pub(crate) struct Supply {
    broker: Arc<dyn Broker>,
    prefetch: u16,
    state: State,
}

enum State {
    Here(Box<dyn Consumer>),
    /// A consumer is being made. Kept, since whoever asks for messages may stop asking at any time.
    Away(BoxFuture<'static, Made>),
}

impl Supply {
    pub(crate) fn new(broker: Arc<dyn Broker>, prefetch: u16) -> Self {
        let state = State::Away(consume(broker.clone(), prefetch, Duration::ZERO));
        Self {
            broker,
            prefetch,
            state,
        }
    }

    pub(crate) fn is_here(&self) -> bool {
        matches!(self.state, State::Here(_))
    }

    /// Where lanes are given to other workers; none while the broker is away.
    pub(crate) fn broker(&self) -> Option<Arc<dyn Broker>> {
        self.is_here().then(|| self.broker.clone())
    }

    /// Waits for messages, or for a consumer, which brings none yet. Cancelled, it has taken nothing.
    ///
    /// # Errors
    /// [`BrokerError`] where the consumer is lost, and every tag with it. The next call goes on with another.
    pub(crate) async fn next(&mut self) -> Result<Vec<Message>, BrokerError> {
        match &mut self.state {
            State::Here(consumer) => {
                let came = consumer.next().await;
                self.lost(came)
            }
            State::Away(made) => {
                self.state = match made.await {
                    Ok(consumer) => State::Here(consumer),
                    Err(error) => {
                        // The broker has said what is the matter with it.
                        tracing::debug!(%error, "the worker has no queue; the sweeper will find what is due");
                        self.away(AWAY)
                    }
                };
                Ok(Vec::new())
            }
        }
    }

    /// Forgets messages of the consumer that there is.
    ///
    /// # Errors
    /// As [`Supply::next`].
    pub(crate) async fn ack(&mut self, tags: &[Tag]) -> Result<(), BrokerError> {
        let State::Here(consumer) = &mut self.state else {
            return Ok(());
        };
        let acked = consumer.ack(tags).await;
        self.lost(acked)
    }

    fn lost<T>(&mut self, done: Result<T, BrokerError>) -> Result<T, BrokerError> {
        if done.is_err() {
            self.state = self.away(AWAY);
        }
        done
    }

    fn away(&self, pause: Duration) -> State {
        State::Away(consume(self.broker.clone(), self.prefetch, pause))
    }
}

fn consume(broker: Arc<dyn Broker>, prefetch: u16, pause: Duration) -> BoxFuture<'static, Made> {
    Box::pin(async move {
        tokio::time::sleep(pause).await;
        broker.consume(prefetch).await
    })
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supply")
            .field("prefetch", &self.prefetch)
            .field("is_here", &self.is_here())
            .finish_non_exhaustive()
    }
}
