//! A domain whose roles are processes of their own, on PostgreSQL and RabbitMQ, while parts of it break.

mod blobs;
mod broker;
mod database;
mod flows;
mod frozen;
mod health;
mod killed;
mod peers;
mod poison;
mod replicas;
mod self_test;
mod story;
mod tokens;
mod trace;

use fedsx_e2e::{Deployment, Load, Node, verify};

/// A blog of separate processes, and an events site in one; `author` and `main` follow each other, so that every process
/// of the blog has its part in either direction.
struct Pair {
    blog: Deployment,
    events: Node,
}

/// Kills every process of a domain.
fn lose(domain: &mut Deployment) {
    domain.replicas().iter_mut().for_each(fedsx_e2e::Replica::kill9);
}

/// What is published at both ends meanwhile.
struct Loads {
    there: Load,
    back: Load,
}

impl Pair {
    async fn of(blog: impl Future<Output = Deployment>) -> Self {
        let (blog, events) = tokio::join!(blog, Node::events());
        events.follow("main", &blog.actor("author")).await;
        blog.follow("author", &events.actor("main")).await;
        Self { blog, events }
    }

    fn loads(&self) -> Loads {
        Loads {
            there: Load::on(&self.blog, "author"),
            back: Load::on(&self.events, "main"),
        }
    }

    /// Ends the loads and compares what they were told with both logs and both ledgers.
    async fn verify(&self, loads: Loads) {
        let (there, back) = tokio::join!(loads.there.finish(), loads.back.finish());
        verify(&self.blog, "author", &there, &[&self.events], &[]).await;
        verify(&self.events, "main", &back, &[&self.blog], &[]).await;
    }
}

impl Loads {
    /// Both ends publish so many posts more.
    async fn go_on(&mut self, posts: usize) {
        tokio::join!(self.there.goes_on(posts), self.back.goes_on(posts));
    }
}
