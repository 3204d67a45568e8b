//! An SMTP server in this process, on a loopback port of its own, which does what a test says.
//!
//! It keeps every message that it takes, and is stricter than most: what RFC 5321 and RFC 5322 forbid, it refuses. It can
//! refuse more, hold an answer back, and go away and come back, and so show each way in which a mail goes wrong.

mod authority;
mod hold;
mod mail;
mod session;
mod stream;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use authority::Authority;
pub use hold::Held;
use hold::Holds;
pub use mail::Mail;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::Port;

/// Where in a dialogue something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// Somebody has connected, and waits to be greeted.
    Greeting,
    /// This recipient is named.
    Recipient(String),
    /// The message has come, and the sender waits to hear so.
    Message,
}

/// Whether a server speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    #[default]
    Clear,
    /// From STARTTLS on, and nothing is taken before.
    StartTls,
    /// From the beginning.
    Tls,
}

/// What a server is like for as long as it runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    pub security: Security,
    /// Who may send; none: anybody.
    pub credentials: Option<(&'static str, &'static str)>,
}

/// A server; it ends when this is dropped, or with the runtime that started it.
#[derive(Debug)]
pub struct Server {
    port: Port,
    state: Arc<State>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

/// What its sessions share.
#[derive(Debug)]
struct State {
    setup: Setup,
    authority: Option<Authority>,
    mails: Mutex<Vec<Mail>>,
    answers: Mutex<Vec<(Moment, String)>>,
    holds: Holds,
    opened: AtomicUsize,
}

impl Server {
    /// A running server in the clear, for anybody.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// A running server.
    pub async fn start_with(setup: Setup) -> Self {
        let server = Self {
            port: Port::reserve(),
            state: Arc::new(State {
                setup,
                authority: (setup.security != Security::Clear).then(Authority::new),
                mails: Mutex::default(),
                answers: Mutex::default(),
                holds: Holds::default(),
                opened: AtomicUsize::new(0),
            }),
            serving: Mutex::default(),
        };
        server.comes_back().await;
        server
    }

    /// What the setting `smtp` takes, with its credentials: `smtp://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        let setup = self.state.setup;
        let who = setup
            .credentials
            .map(|(name, secret)| format!("{name}:{secret}@"));
        let (who, address) = (who.unwrap_or_default(), self.port.address());
        match setup.security {
            Security::Clear => format!("smtp://{who}{address}"),
            Security::StartTls => format!("smtp://{who}{address}?tls=required"),
            Security::Tls => format!("smtps://{who}{address}"),
        }
    }

    /// A file with the certificate of the authority that it is known by. Only a server that speaks TLS has one.
    pub fn authority(&self) -> &std::path::Path {
        let authority = self.state.authority.as_ref();
        authority.expect("a server that speaks TLS").file()
    }

    /// The messages that it has taken, in order.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.state.mails).clone()
    }

    /// How often somebody has connected.
    pub fn opened(&self) -> usize {
        self.state.opened.load(Ordering::SeqCst)
    }

    /// From now on it answers so at a moment: `550 5.1.1 no such user`.
    pub fn answers(&self, moment: Moment, reply: &str) {
        lock(&self.state.answers).push((moment, reply.to_owned()));
    }

    /// It answers as usual again.
    pub fn relents(&self) {
        lock(&self.state.answers).clear();
    }

    /// From now on nobody hears anything at a moment until what this returns is dropped. A message has been kept then.
    pub fn holds(&self, moment: Moment) -> Held {
        self.state.holds.at(moment)
    }

    /// Refuses connections, and ends those that are open in the middle of whatever they are at.
    pub async fn goes_away(&self) {
        let serving = lock(&self.serving).take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Serves on the same port again.
    pub async fn comes_back(&self) {
        let listener = TcpListener::bind(self.port.address()).await.expect("its port");
        let serving = tokio::spawn(serve(listener, self.state.clone()));
        *lock(&self.serving) = Some(serving);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(serving) = lock(&self.serving).take() {
            serving.abort();
        }
    }
}

impl State {
    /// What it was told to answer.
    fn told(&self, moment: &Moment) -> Option<String> {
        let answers = lock(&self.answers);
        let told = answers.iter().rev().find(|(at, _)| at == moment);
        told.map(|(_, reply)| reply.clone())
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // They end with this task.
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                state.opened.fetch_add(1, Ordering::SeqCst);
                sessions.spawn(session::run(stream, state.clone()));
            }
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
