//! One connection, from its making to its loss.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use lapin::{Channel, Connection, ErrorKind, Event, options::ConfirmSelectOptions, protocol::AMQPErrorKind};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    address::Address,
    dial::{self, Grip},
};
use crate::broker::BrokerError;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// A broker that was asked and has said nothing for so long is taken for away.
pub(super) const SILENCE: Duration = Duration::from_secs(1);
/// How often is looked whether the connection still stands, should its end not be told.
const LOOK: Duration = Duration::from_millis(500);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Channels that are kept for the next publisher.
const IDLE: usize = 8;

/// A request to the broker failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Fault {
    #[error("{}", told(.0))]
    Amqp(#[from] lapin::Error),
    #[error("it did not answer in time")]
    Late,
    #[error("it takes no messages: {0}")]
    Blocked(String),
    #[error("{0}")]
    Other(&'static str),
}

impl Fault {
    /// Whether the broker refused with this reply code.
    pub(super) fn is(&self, kind: &AMQPErrorKind) -> bool {
        matches!(self, Self::Amqp(error) if matches!(error.kind(), ErrorKind::ProtocolError(told) if told.kind() == kind))
    }
}

impl From<Fault> for BrokerError {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}

/// What an error says, without lapin's own words around it.
fn told(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::MissingHeartbeatError => "it gave no sign of life".to_owned(),
        _ => error.to_string(),
    }
}

/// Held by whoever declares.
pub(super) type Turns = Arc<tokio::sync::Mutex<()>>;

/// A connection to a vhost.
pub(super) struct Session {
    connection: Connection,
    grip: Grip,
    /// Set where somebody found that the broker does not answer.
    broken: CancellationToken,
    why: OnceLock<String>,
    /// Set where it was the queue that did not answer.
    is_dead: AtomicBool,
    /// What the broker lacks while it takes no messages.
    alarm: Mutex<String>,
    /// Channels in confirm mode that nobody publishes on now.
    idle: Mutex<Vec<Arc<Channel>>>,
    pub(super) turns: Turns,
}

impl Session {
    /// Connects. Sessions that take `turns` do not declare the queue at the same time.
    pub(super) async fn open(address: &Address, name: &str, turns: Turns) -> Result<Self, Fault> {
        let (connection, grip) = dial::connect(address, name, CONNECT).await?;
        Ok(Self {
            connection,
            grip,
            broken: CancellationToken::new(),
            why: OnceLock::new(),
            is_dead: AtomicBool::new(false),
            alarm: Mutex::default(),
            idle: Mutex::default(),
            turns,
        })
    }

    /// Waits for the answer to a request.
    pub(super) async fn answers<T>(
        &self,
        deadline: Instant,
        request: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Fault> {
        let begun = Instant::now();
        if let Ok(answer) = timeout_at(deadline, request).await {
            return Ok(answer?);
        }
        self.takes_messages()?;
        if begun.elapsed() >= SILENCE {
            self.break_off(Fault::Late.to_string());
        }
        Err(Fault::Late)
    }

    /// A new channel.
    pub(super) async fn channel(&self, deadline: Instant) -> Result<Channel, Fault> {
        self.answers(deadline, self.connection.create_channel()).await
    }

    /// A channel in confirm mode, for one publisher at a time.
    pub(super) async fn confirming(&self, deadline: Instant) -> Result<Arc<Channel>, Fault> {
        let idle = lock(&self.idle).pop();
        if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.channel(deadline).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        self.answers(deadline, confirms).await?;
        Ok(Arc::new(channel))
    }

    /// Takes back a channel on which nothing is under way.
    pub(super) fn rest(&self, channel: Arc<Channel>) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE {
            idle.push(channel);
        }
    }

    /// Fails while the broker is short of memory or disk: publishers must wait then, consumers need not.
    pub(super) fn takes_messages(&self) -> Result<(), Fault> {
        if !self.connection.status().blocked() {
            return Ok(());
        }
        Err(Fault::Blocked(lock(&self.alarm).clone()))
    }

    /// Gives the connection up.
    pub(super) fn break_off(&self, why: String) {
        let _ = self.why.set(why);
        self.grip.release();
        self.broken.cancel();
    }

    /// Gives the connection up, since its queue stores nothing.
    pub(super) fn is_in_vain(&self, why: &str) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.break_off(why.to_owned());
    }

    /// Whether the queue stored nothing, though the connection stood.
    pub(super) fn was_in_vain(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Waits until the connection is of no more use, and answers why. Tells whenever the broker begins or ceases to refuse
    /// messages.
    pub(super) async fn lost(&self, changed: impl Fn(Result<(), Fault>)) -> String {
        let mut events = std::pin::pin!(self.connection.events_listener());
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut why = None;
        loop {
            tokio::select! {
                biased;
                () = self.broken.cancelled() => break,
                event = events.next() => match event {
                    Some(Event::Error(error)) => why = Some(told(&error)),
                    Some(Event::ConnectionBlocked(alarm)) => {
                        *lock(&self.alarm) = alarm;
                        changed(self.takes_messages());
                    }
                    Some(Event::ConnectionUnblocked) => changed(self.takes_messages()),
                    Some(_) => {}
                    None => break,
                },
                _ = look.tick() => {}
            }
            if !self.connection.status().connected() {
                break;
            }
            // It was a channel's.
            why = None;
        }
        let why = self.why.get().cloned().or(why);
        why.unwrap_or_else(|| "the connection was lost".to_owned())
    }

    /// Says farewell where the broker still listens, and lets go.
    pub(super) async fn close(&self) {
        let _ = timeout(FAREWELL, self.connection.close(200, "OK".into())).await;
        self.grip.release();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
