//! A connection that is made anew whenever it is lost.
//!
//! lapin has a recovery of its own. It is not used: it waits without limit for a broker that accepts but does not answer,
//! it gives up for good after a number of attempts, and it hides from the publisher that the broker is away.

use std::{sync::Arc, time::Duration};

use fedsx_runtime::shutdown::Shutdown;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::{
    sync::CancellationToken,
    task::task_tracker::{TaskTracker, TaskTrackerToken},
};

use super::{
    address::Address,
    health::Health,
    queue,
    session::{Fault, Session, Turns},
};
use crate::broker::BrokerError;

/// Pauses between two attempts to connect grow from the one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(3);
/// A connection that has held for so long was a good one: the pauses begin anew.
const SETTLED: Duration = Duration::from_secs(10);

/// After so many connections on which the queue stored nothing, it is made anew. A quorum queue may be left without a leader
/// for good: RabbitMQ 3.10 does so to one that was declared less than a second before a crash.
const IN_VAIN: u32 = 3;

/// A connection that is made anew whenever it is lost.
#[derive(Debug)]
pub(super) struct Link(watch::Receiver<State>);

#[derive(Debug, Clone)]
enum State {
    /// Nothing has been tried yet.
    Unknown,
    Away(String),
    Here(Arc<Session>),
}

/// A session and the right to keep it: shutdown waits for whoever has one.
#[derive(Debug, Clone)]
pub(super) struct Use {
    pub(super) session: Arc<Session>,
    _token: TaskTrackerToken,
}

/// What the links of a broker share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) health: Health,
    pub(super) users: TaskTracker,
    pub(super) turns: Turns,
    pub(super) shutdown: Shutdown,
}

impl Link {
    /// Starts to connect. RabbitMQ shows the connection under `name`; `purpose` tells it from the broker's others.
    pub(super) fn start(shared: &Shared, purpose: &'static str, name: String) -> Self {
        let (state, receiver) = watch::channel(State::Unknown);
        let keeper = Keeper {
            shared: shared.clone(),
            purpose,
            name,
            stop: shared.shutdown.token(),
            state,
        };
        shared.shutdown.spawn(keeper.run());
        Self(receiver)
    }

    /// The session that there is. While the broker is known to be away the answer is an error, and comes at once.
    pub(super) async fn now(&self, users: &TaskTracker, deadline: Instant) -> Result<Use, BrokerError> {
        self.when(|state| !matches!(state, State::Unknown), users, deadline)
            .await
    }

    /// Waits for a session until the deadline.
    pub(super) async fn soon(&self, users: &TaskTracker, deadline: Instant) -> Result<Use, BrokerError> {
        self.when(|state| matches!(state, State::Here(_)), users, deadline)
            .await
    }

    async fn when(
        &self,
        is_time: impl FnMut(&State) -> bool,
        users: &TaskTracker,
        deadline: Instant,
    ) -> Result<Use, BrokerError> {
        let mut state = self.0.clone();
        // Late or not, what is known by then counts.
        let _ = timeout_at(deadline, state.wait_for(is_time)).await;
        match &*self.0.borrow() {
            State::Here(session) => Ok(Use {
                session: session.clone(),
                _token: users.token(),
            }),
            State::Away(why) => Err(BrokerError(why.clone())),
            State::Unknown => Err(BrokerError("it has not answered yet".to_owned())),
        }
    }
}

/// Keeps a link's connection until shutdown, or until nobody has the link any more.
struct Keeper {
    shared: Shared,
    purpose: &'static str,
    name: String,
    stop: CancellationToken,
    state: watch::Sender<State>,
}

impl Keeper {
    async fn run(self) {
        let (mut pause, mut in_vain) = (FIRST_PAUSE, 0);
        loop {
            let begun = Instant::now();
            let anew = in_vain >= IN_VAIN;
            let session = tokio::select! {
                session = self.open(anew) => session,
                () = self.unwanted() => return,
            };
            match session {
                Ok(session) => {
                    let was_in_vain = self.keep(session).await;
                    in_vain = if was_in_vain && !anew { in_vain + 1 } else { 0 };
                }
                Err(fault) => self.away(&fault.to_string()),
            }
            if begun.elapsed() >= SETTLED {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)) => {}
                () = self.unwanted() => return,
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// A session on a vhost that has the queue.
    async fn open(&self, anew: bool) -> Result<Session, Fault> {
        let Shared { address, turns, .. } = &self.shared;
        let session = Session::open(address, &self.name, turns.clone()).await?;
        queue::provide(&session, anew).await?;
        Ok(session)
    }

    /// Hands a session out until it is lost. Answers whether that was in vain.
    async fn keep(&self, session: Session) -> bool {
        let session = Arc::new(session);
        let health = |state| self.shared.health.report(self.purpose, state);
        health(Ok(()));
        self.state.send_replace(State::Here(session.clone()));
        let lost = session.lost(|alarm| health(alarm.map_err(|fault| self.text(&fault.to_string()))));
        let why = tokio::select! {
            why = lost => why,
            () = self.unused() => "this process has ended its work".to_owned(),
        };
        self.away(&why);
        session.close().await;
        session.was_in_vain()
    }

    fn away(&self, why: &str) {
        let why = self.text(why);
        self.state.send_replace(State::Away(why.clone()));
        if !self.stop.is_cancelled() {
            self.shared.health.report(self.purpose, Err(why));
        }
    }

    fn text(&self, what: &str) -> String {
        format!("{}: {what}", self.shared.address)
    }

    async fn unwanted(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.state.closed() => {}
        }
    }

    /// Not wanted any more, and whoever still had something to do with the broker has done it.
    async fn unused(&self) {
        self.unwanted().await;
        self.shared.users.close();
        self.shared.users.wait().await;
    }
}
