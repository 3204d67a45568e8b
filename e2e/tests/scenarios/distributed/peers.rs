//! Peers that are away, slow, unwilling or treacherous, and the processes that deliver to them.

use std::{collections::BTreeSet, time::Duration};

use fedsx_e2e::{Deployment, Fault, Load, Node, Plan, Proxy, Role, Stranger, eventually, settle, verify};
use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::steps::{BACK, SOON, tried};

/// A peer is parked after two minutes, when it is tried again.
const PARKED: Duration = Duration::from_mins(4);

/// A blog of separate processes, with three of delivery.
fn blog() -> impl Future<Output = Deployment> {
    Plan::of("blog").replicas(Role::Delivery, 3).started()
}

/// A blog, and an events site behind a proxy whose `main` follows its author.
async fn apart() -> (Deployment, Proxy, Node) {
    let proxy = Proxy::start().await;
    let (blog, events) = tokio::join!(blog(), Node::behind(&proxy, "events").started());
    events.follow("main", &blog.actor("author")).await;
    settle(&[&blog, &events]).await;
    (blog, proxy, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_was_away_for_a_while_has_missed_nothing() {
    let (blog, mut events) = tokio::join!(blog(), Node::events());
    events.follow("main", &blog.actor("author")).await;
    let mut load = Load::on(&blog, "author");
    load.goes_on(25).await;
    events.kill9();
    tried(&blog, 2).await;
    events.start().await;
    load.goes_on(25).await;
    verify(&blog, "author", &load.finish().await, &[&events], &[]).await;
}

/// By the processes' own clocks: two minutes of failures park a peer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_down_for_minutes_is_parked_and_then_gets_what_it_missed() {
    let (blog, mut events) = tokio::join!(blog(), Node::events());
    events.follow("main", &blog.actor("author")).await;
    let mut load = Load::on(&blog, "author");
    load.goes_on(25).await;
    events.kill9();
    let becomes = async |state: &str, within: Duration| {
        eventually(&format!("the peer is {state}"), within, async || {
            let peers = blog.json(&["peers"]).await;
            let is_so = peers[0]["state"] == *state;
            is_so.then_some(peers[0]["pending"].clone()).ok_or(peers)
        })
        .await
    };
    let owed = becomes("parked", PARKED).await;
    load.goes_on(25).await;
    let still_owed = becomes("parked", SOON).await;
    assert_eq!(
        still_owed, owed,
        "nothing is kept for a parked peer but where it stopped"
    );
    events.start().await;
    load.goes_on(25).await;
    becomes("live", BACK).await;
    verify(&blog, "author", &load.finish().await, &[&events], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_swallow_everything_hold_up_no_other() {
    let blog = blog().await;
    let mut proxies = Vec::new();
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let proxy = Proxy::start().await;
        strangers.push(Stranger::behind(&proxy).await);
        proxies.push(proxy);
    }
    let author = blog.actor("author");
    join_all(strangers.iter().map(async |stranger| {
        let follow = stranger.follow("carol", &author);
        stranger.post(&blog, &follow).await.assert_status(202);
    }))
    .await;
    settle(&[&blog]).await;
    for proxy in &proxies[..10] {
        proxy.set(Fault::BlackHole);
    }
    let mut load = Load::on(&blog, "author");
    load.goes_on(20).await;
    let posts = load.finish().await;
    let (swallowed, well) = strangers.split_at(10);
    let created = |strangers: &[Stranger]| -> usize {
        let of = |stranger: &Stranger| stranger.received_verbs("Create").len();
        strangers.iter().map(of).sum()
    };
    eventually("the others have everything", SOON, async || {
        let count = created(well);
        (count >= 10 * posts.len()).then_some(()).ok_or(count)
    })
    .await;
    assert_eq!(created(swallowed), 0);
    let ledger = blog.deliveries().await;
    let to_swallowed = |origin: &str| {
        swallowed
            .iter()
            .any(|stranger| stranger.origin().as_str() == origin)
    };
    let owed = ledger
        .iter()
        .filter(|row| row.state == "pending" && to_swallowed(&row.origin));
    assert_eq!(owed.count(), 10 * posts.len(), "what was swallowed is still owed");
    for proxy in &proxies[..10] {
        proxy.set(Fault::None);
    }
    let strangers: Vec<_> = strangers.iter().collect();
    verify(&blog, "author", &posts, &[], &strangers).await;
    let ledger = blog.deliveries().await;
    let senders: BTreeSet<_> = ledger.iter().map(|row| row.replica.as_str()).collect();
    assert!(
        senders.len() >= 2,
        "of 3 processes {senders:?} have the whole work"
    );
    assert!(
        senders.iter().all(|name| name.starts_with("delivery-")),
        "{senders:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_says_slow_down_is_left_alone_for_so_long() {
    let (blog, proxy, events) = apart().await;
    let begun = Instant::now();
    proxy.set(Fault::slow_down(6));
    let mut load = Load::on(&blog, "author");
    load.goes_on(10).await;
    eventually("the peer is held", SOON, async || {
        let ledger = blog.deliveries().await;
        let told = ledger
            .iter()
            .any(|row| row.status == 429 && row.state == "pending");
        told.then_some(()).ok_or("nobody was told to slow down")
    })
    .await;
    // What was under way to it when the first was told may have been told too.
    proxy.set(Fault::None);
    load.goes_on(10).await;
    eventually("the peer is asked again", BACK, async || {
        (proxy.asked() > 0).then_some(()).ok_or("not yet")
    })
    .await;
    assert!(
        begun.elapsed() > Duration::from_secs(6),
        "after {:?}",
        begun.elapsed()
    );
    verify(&blog, "author", &load.finish().await, &[&events], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_to_a_private_address_is_not_followed() {
    // Loopback too, but no peer that the configuration lists.
    let trap = TcpListener::bind("127.0.0.2:0").await.expect("an address");
    let private = format!("http://{}/inbox", trap.local_addr().expect("an address"));
    let (blog, proxy, events) = apart().await;
    proxy.set(Fault::redirect(&private));
    let lost = blog.publish("author", "Redirected").await;
    let row = eventually("the redirect is judged", SOON, async || {
        let row = blog
            .deliveries()
            .await
            .into_iter()
            .find(|row| row.cid == lost.cid);
        row.filter(|row| row.state != "pending").ok_or("not yet")
    })
    .await;
    assert_eq!((row.state.as_str(), row.status), ("refused", 307), "{row:?}");
    // A stranger whose key is asked for, and who answers so.
    let stranger = Stranger::behind(&proxy).await;
    proxy.set(Fault::redirect_all(&private));
    let follow = stranger.follow("mallory", &blog.actor("author"));
    let answer = stranger.post(&blog, &follow).await;
    assert!(
        answer.status.is_client_error() || answer.status.is_server_error(),
        "{answer}"
    );
    let followed = tokio::time::timeout(Duration::ZERO, trap.accept()).await;
    assert!(followed.is_err(), "the redirect was followed: {followed:?}");
    drop(events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_connections_break_and_whose_answers_trickle_gets_everything_once() {
    let (blog, proxy, events) = apart().await;
    let mut load = Load::on(&blog, "author");
    load.goes_on(10).await;
    for fault in [
        Fault::Reset,
        Fault::Latency(Duration::from_millis(300)),
        Fault::Drip(Duration::from_secs(1)),
    ] {
        proxy.set(fault);
        load.goes_on(10).await;
        eventually("the peer is asked", BACK, async || {
            (proxy.asked() > 0).then_some(()).ok_or("not yet")
        })
        .await;
    }
    proxy.set(Fault::None);
    verify(&blog, "author", &load.finish().await, &[&events], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_finish_a_request_hold_up_nobody_and_are_cut_off() {
    let (mut blog, events) = tokio::join!(Deployment::blog(), Node::events());
    blog.follow("author", &events.actor("main")).await;
    let gateway = blog.replica(Role::Gateway, 0).url();
    let gateway = gateway.strip_prefix("http://").expect("a URL").to_owned();
    let begin = async |request: &str| {
        let mut stream = TcpStream::connect(&gateway).await.expect("a connection");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a request's beginning");
        stream
    };
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(begin("POST /inbox HTTP/1.1\r\nHost: blog\r\nX-Slow: ").await);
        slow.push(begin("POST /inbox HTTP/1.1\r\nHost: blog\r\nContent-Length: 1000\r\n\r\n{").await);
    }
    let mut load = Load::on(&events, "main");
    load.goes_on(25).await;
    verify(&events, "main", &load.finish().await, &[&blog], &[]).await;
    // Each sees the end of its connection, whatever was answered before.
    let ends = slow.iter_mut().map(async |stream| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let cut = tokio::time::timeout(Duration::from_secs(60), join_all(ends)).await;
    assert!(cut.is_ok(), "a client that never finishes keeps its connection");
}
