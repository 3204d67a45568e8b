//! What is said aloud.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

/// Counts the warnings and errors of this thread, on which all tasks of a `#[tokio::test]` run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Warnings {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
    /// While there is one subscriber alone, another thread that comes to an event first turns it off for all.
    _second: Dispatch,
}

impl Warnings {
    pub(crate) fn listen() -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        Self {
            _second: Dispatch::new(Counter(count.clone())),
            _guard: tracing::subscriber::set_default(Counter(count.clone())),
            count,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

struct Counter(Arc<AtomicUsize>);

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN && metadata.target().starts_with("fedsx")
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
