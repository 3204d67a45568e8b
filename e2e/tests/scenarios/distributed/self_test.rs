//! The self-test of a domain whose roles run apart.

use fedsx_e2e::{Node, Plan};

use crate::self_test::passes;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_apart_shows_that_it_works_up_to_a_calendar_elsewhere() {
    let (blog, events) = tokio::join!(Plan::of("blog").started(), Node::events());
    events.follow("main", &blog.actor("author")).await;
    let calendar = events.actor("main");
    let peer = events.origin().as_str();
    passes(&blog, &["--peer", peer, "--calendar", &calendar]).await;
}
