//! The demo's voice: one readable line a step.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::Domain;

/// Numbers and prints the steps of a story.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    step: AtomicUsize,
}

impl Narrator {
    pub(super) fn title(&self, text: &str) {
        println!("{text}\n");
    }

    pub(super) fn plain(&self, text: &str) {
        println!("{text}");
    }

    /// One step: who, what, and the evidence.
    pub(super) fn step(&self, who: &str, what: &str, evidence: &str) {
        let number = self.step.fetch_add(1, Ordering::Relaxed) + 1;
        println!("{number:>2}  {who:<7} {what:<44} {evidence}");
    }

    /// What a person can open now.
    pub(super) fn look_at(&self, blog: &Domain, events: &Domain) {
        println!("\nThe story is complete. Look at:");
        for (what, url) in [
            (
                "what events received and published",
                format!("{}/activities", events.origin),
            ),
            ("what its behaviours did", format!("{}/flows", events.origin)),
            (
                "what the author published",
                format!("{}/actors/author/outbox", blog.origin),
            ),
            (
                "who follows the author",
                format!("{}/actors/author/followers", blog.origin),
            ),
            ("the author", format!("{}/actors/author", blog.origin)),
            ("the article", format!("{}/objects/gig-night", blog.origin)),
            ("events itself", events.origin.base()),
            ("metrics of blog", format!("{}/metrics", blog.admin)),
        ] {
            println!("  {what:<36} {url}");
        }
        println!(
            "  {:<36} fedsx deliveries --data {}",
            "blog's ledger",
            blog.data().display()
        );
        println!(
            "  {:<36} fedsx entries --data {}",
            "events' log",
            events.data().display()
        );
    }
}
