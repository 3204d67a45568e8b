//! Several processes over one ledger in PostgreSQL and one queue in RabbitMQ.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_testing::{postgres::Database, rabbitmq::Vhost};

use crate::{
    domain::Domain,
    peer::Peer,
    process::{How, Process, eventually},
};

/// The servers of one domain.
struct Servers {
    database: Database,
    vhost: Vhost,
}

impl Servers {
    async fn create() -> Self {
        Self {
            database: Database::create().await,
            vhost: Vhost::create().await,
        }
    }

    async fn process(&self, domain: &Domain, owner: &'static str) -> Process {
        let servers = (self.database.url().to_owned(), self.vhost.url().to_owned());
        let how = How {
            owner,
            lanes: 16,
            servers: Some(servers),
            ..How::default()
        };
        domain.deliver_as(how).await
    }
}

/// What each inbox of a peer took, in order.
fn by_inbox(peer: &Peer) -> BTreeMap<String, Vec<String>> {
    let mut inboxes = BTreeMap::<_, Vec<_>>::new();
    for received in peer.received() {
        let id = received.id().to_owned();
        inboxes.entry(received.path).or_default().push(id);
    }
    inboxes
}

/// Who made the last attempts, as the ledger has it.
async fn senders(process: &Process) -> BTreeSet<String> {
    let rows = process.rows().await;
    rows.into_iter().map(|row| row.replica).collect()
}

/// Publishes notes to these actors, answering their ids and the last position.
async fn notes(domain: &Domain, to: &[String], count: usize) -> (Vec<String>, u64) {
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let (mut ids, mut last) = (Vec::new(), 0);
    for _ in 0..count {
        let posted = domain.note(&to).await;
        last = posted.position;
        ids.push(posted.activity_id);
    }
    (ids, last)
}

#[tokio::test]
async fn three_processes_share_the_work_and_send_everything_once_and_in_order() {
    let (domain, servers) = (Domain::on_real_time().await, Servers::create().await);
    let peer = domain.peer().await;
    let actors: Vec<_> = (0..30).map(|number| peer.actor(&format!("a{number}"))).collect();
    let (sent, last) = notes(&domain, &actors, 10).await;
    let one = servers.process(&domain, "one").await;
    let two = servers.process(&domain, "two").await;
    let three = servers.process(&domain, "three").await;
    one.settled(last).await;
    let inboxes = by_inbox(&peer);
    assert_eq!(inboxes.len(), 30);
    assert!(inboxes.values().all(|ids| *ids == sent), "{inboxes:?}");
    for process in [one, two, three] {
        process.stop().await;
    }
}

#[tokio::test]
async fn what_a_killed_process_held_is_sent_by_the_others() {
    let (domain, servers) = (Domain::start().await, Servers::create().await);
    let peer = domain.peer().await;
    let mut one = servers.process(&domain, "one").await;
    let actors: Vec<_> = (0..30).map(|number| peer.actor(&format!("a{number}"))).collect();
    peer.hangs();
    let (sent, last) = notes(&domain, &actors, 5).await;
    eventually("it holds some", async || peer.tried() >= 4).await;
    let two = servers.process(&domain, "two").await;
    one.kill();
    peer.goes_on();
    // The lease runs out, and the claims.
    domain.pass(61);
    two.settled(last).await;
    assert_eq!(senders(&two).await, ["two".to_owned()].into());
    for (inbox, mut ids) in by_inbox(&peer) {
        // What was under way at the kill may have arrived, and comes again.
        ids.dedup();
        assert_eq!(ids, sent, "{inbox}");
    }
    assert_eq!(by_inbox(&peer).len(), 30);
}

#[tokio::test]
async fn what_a_process_hands_back_when_it_stops_the_others_take_up_at_once() {
    let (domain, servers) = (Domain::start().await, Servers::create().await);
    let peer = domain.peer().await;
    let one = servers.process(&domain, "one").await;
    let actors: Vec<_> = (0..60).map(|number| peer.actor(&format!("a{number}"))).collect();
    peer.hangs();
    let (sent, last) = notes(&domain, &actors, 3).await;
    one.fanned_out(last).await;
    eventually("it holds some", async || peer.tried() >= 4).await;
    let two = servers.process(&domain, "two").await;
    let stopping = tokio::spawn(one.stop());
    peer.goes_on();
    stopping.await.unwrap();
    // The clock stands still: no claim, no lease and no message runs out.
    two.settled(last).await;
    let both = ["one", "two"].map(str::to_owned);
    assert_eq!(senders(&two).await, both.into());
    assert!(by_inbox(&peer).values().all(|ids| *ids == sent));
    assert_eq!(by_inbox(&peer).len(), 60);
}
