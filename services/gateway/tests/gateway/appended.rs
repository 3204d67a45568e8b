//! Appends that come at the same time go to the log together, and each has an outcome of its own.

use futures::future::join_all;

use crate::{domain::Domain, letter::Letter, peer::Peer};

const ALICE: &str = "https://events.example/actors/alice";

fn letter(domain: &Domain, peer: &Peer, text: &str) -> Letter {
    Letter::new(domain, peer, &peer.note("bob", text, &[ALICE]))
}

fn counted(domain: &Domain, name: &str) -> f64 {
    let metrics = domain.metrics();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn many_at_once_are_few_calls_and_each_is_answered_for_itself() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    letter(&domain, &peer, "0").send(&domain).await.assert_status(202);
    let before = counted(&domain, "fedsx_gateway_append_batch_count");
    let letters: Vec<_> = (0..64).map(|n| letter(&domain, &peer, &n.to_string())).collect();
    let answers = join_all(letters.iter().map(|letter| letter.send(&domain))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[202; 63][..]));
    let stream = format!("inbox/{}", peer.actor("bob"));
    assert_eq!(domain.stream(&stream).await.len(), 64);
    let calls = counted(&domain, "fedsx_gateway_append_batch_count") - before;
    assert_eq!(counted(&domain, "fedsx_gateway_append_batch_sum"), 65.0);
    assert!(calls < 32.0, "{calls} calls for 64 appends");
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_found_to_be_written() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    domain.lose_an_append();
    let letter = letter(&domain, &peer, "once");
    letter.send(&domain).await.assert_status(200);
    let stream = format!("inbox/{}", peer.actor("bob"));
    assert_eq!(domain.stream(&stream).await.len(), 1);
}

#[tokio::test]
async fn without_a_log_the_answer_is_not_now() {
    let (domain, peer) = (Domain::new().await, Peer::start().await);
    let gateway = domain.without_log().await;
    let answer = letter(&domain, &peer, "1").send_to(&gateway.router).await;
    answer.assert_refused(503, "unavailable");
}
