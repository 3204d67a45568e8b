//! What every answer, and every way not to answer, means for the delivery, its lane and its origin.

use axum::{
    http::{HeaderName, StatusCode},
    response::{IntoResponse as _, Response},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    domain::Domain,
    peer::Peer,
    process::{Process, eventually},
};

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy)]
enum Means {
    Delivered,
    /// The lane goes on.
    Refused,
    /// Tried again on its own ladder, after 5 to 6 seconds at first; its lane waits, other lanes do not.
    Retry,
    /// The origin is held for so many seconds, and is well.
    Held(i64, i64),
    /// The origin is held for 5 to 12 seconds, and is failing.
    Failing,
}

/// An answer to the first POST; the peer takes all others.
struct Case {
    what: String,
    status: u16,
    header: Option<(&'static str, String)>,
    /// What a GET of the actor says afterwards.
    actor: u16,
    means: Means,
}

fn case(status: u16, means: Means) -> Case {
    Case {
        what: status.to_string(),
        status,
        header: None,
        actor: 200,
        means,
    }
}

fn with(status: u16, header: &'static str, value: &str, means: Means) -> Case {
    Case {
        what: format!("{status} {header}: {value}"),
        header: Some((header, value.to_owned())),
        ..case(status, means)
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [200, 201, 202, 204] {
        cases.push(case(status, Means::Delivered));
    }
    for status in [400, 402, 403, 404, 405, 406, 409, 410, 413, 415, 418, 422, 451] {
        cases.push(case(status, Means::Refused));
    }
    for status in [301, 307] {
        cases.push(with(status, "location", "/elsewhere", Means::Refused));
    }
    for status in [401, 408, 425, 500, 501, 505, 599] {
        cases.push(case(status, Means::Retry));
    }
    cases.push(case(429, Means::Held(60, 60)));
    for (asked, held) in [("90", 90), ("7200", 3600), ("0", 1), ("soon", 60)] {
        cases.push(with(429, "retry-after", asked, Means::Held(held, held)));
    }
    cases.push(with(
        429,
        "retry-after",
        "Sat, 21 Nov 2026 12:05:00 GMT",
        Means::Held(299, 301),
    ));
    for status in [502, 503, 504] {
        cases.push(Case {
            what: format!("{status}, but the actor is there"),
            ..case(status, Means::Retry)
        });
        cases.push(Case {
            what: format!("{status}, and the actor is gone, which is an answer"),
            actor: 404,
            ..case(status, Means::Retry)
        });
        cases.push(Case {
            what: format!("{status} for everything"),
            actor: 503,
            ..case(status, Means::Failing)
        });
    }
    cases
}

impl Case {
    fn answer(&self) -> Response {
        let mut response = StatusCode::from_u16(self.status).unwrap().into_response();
        if let Some((name, value)) = &self.header {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        response
    }
}

/// Position of the attempt, of its successor in the lane and of another lane's delivery.
struct Three {
    first: u64,
    second: u64,
    aside: u64,
}

#[tokio::test]
async fn every_answer_means_something_for_the_delivery_its_lane_and_its_origin() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    for case in cases() {
        let peer = domain.peer().await;
        let (bob, carol) = (peer.actor("bob"), peer.actor("carol"));
        // The inboxes are looked up while all is well.
        let known = domain.note(&[&bob, &carol]).await.position;
        eventually("they are looked up", async || {
            let rows = process.rows().await.into_iter();
            rows.filter(|row| row.position == known && row.state == "delivered")
                .count()
                == 2
        })
        .await;
        let (what, status, means) = (case.what.clone(), case.actor, case.means);
        peer.actors_say(status);
        let answer = move |_: &str, activity: &serde_json::Value| match activity["object"]["content"].as_str()
        {
            Some("first") => case.answer(),
            _ => StatusCode::ACCEPTED.into_response(),
        };
        peer.answers(answer);
        let object = serde_json::json!({"type": "Note", "content": "first"});
        let draft = serde_json::json!({"type": "Create", "object": object, "to": [bob]});
        let first = domain.publish(draft).await.position;
        attempted(&process, first).await;
        let second = domain.note(&[&bob]).await.position;
        let aside = domain.note(&[&carol]).await.position;
        process.fanned_out(aside).await;
        let three = Three { first, second, aside };
        check(&domain, &process, &peer, &three, &what, means).await;
    }
}

async fn attempted(process: &Process, position: u64) {
    process.fanned_out(position).await;
    eventually("it is attempted", async || {
        process.row(position).await.attempts > 0
    })
    .await;
}

async fn check(domain: &Domain, process: &Process, peer: &Peer, three: &Three, what: &str, means: Means) {
    let now = domain.clock.now().as_millisecond();
    let within = |millis: i64, least: i64, most: i64| (least * 1000..=most * 1000).contains(&(millis - now));
    let row = process.row(three.first).await;
    let state = |position| async move { process.row(position).await.state };
    let (held, failing) = {
        let peer = process.peer(peer).await;
        assert_eq!(peer.state, "live", "{what}");
        (peer.hold_until_ms, peer.failing_since_ms)
    };
    assert_eq!(row.attempts, 1, "{what}");
    match means {
        Means::Delivered | Means::Refused => {
            let ended = if matches!(means, Means::Delivered) {
                "delivered"
            } else {
                "refused"
            };
            assert_eq!(
                (row.state.as_str(), row.next_at_ms),
                (ended, 0),
                "{what}: {}",
                row.cause
            );
            assert_eq!(
                row.cause.is_empty(),
                ended == "delivered",
                "{what}: {}",
                row.cause
            );
            assert_eq!((held, failing), (0, 0), "{what}");
            eventually("the lane goes on", async || {
                state(three.second).await == "delivered"
            })
            .await;
            eventually("others too", async || state(three.aside).await == "delivered").await;
        }
        Means::Retry => {
            assert_eq!(row.state, "pending", "{what}");
            assert!(within(row.next_at_ms, 5, 6), "{what}: {}", row.next_at_ms - now);
            assert_eq!((held, failing), (0, 0), "{what}");
            eventually("other lanes go on", async || {
                state(three.aside).await == "delivered"
            })
            .await;
            let second = process.row(three.second).await;
            assert_eq!((second.state.as_str(), second.attempts), ("pending", 0), "{what}");
        }
        Means::Held(least, most) => {
            assert_eq!((row.state.as_str(), failing), ("pending", 0), "{what}");
            assert!(within(held, least, most), "{what}: {}", held - now);
            nothing_more(domain, process, three, what).await;
        }
        Means::Failing => {
            assert_eq!((row.state.as_str(), failing), ("pending", now), "{what}");
            assert!(within(held, 5, 12), "{what}: {}", held - now);
            nothing_more(domain, process, three, what).await;
        }
    }
}

/// The origin is left alone, while another's delivery, published later, goes through.
async fn nothing_more(domain: &Domain, process: &Process, three: &Three, what: &str) {
    let well = domain.peer().await;
    let other = domain.note(&[&well.actor("dora")]).await.position;
    eventually("others are served", async || {
        let rows = process.rows().await;
        rows.iter()
            .any(|row| row.position == other && row.state == "delivered")
    })
    .await;
    for position in [three.second, three.aside] {
        let row = process.row(position).await;
        assert_eq!((row.state.as_str(), row.attempts), ("pending", 0), "{what}");
    }
}

/// What a server does with a connection instead of answering as HTTP wants it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Closes,
    Babbles,
    /// Ends the connection in the middle of its answer's head.
    StopsInTheHead,
    /// Ends it in the middle of its answer's body.
    StopsInTheBody,
    /// Closes the port.
    IsGone,
}

/// A server that does this with each connection, and its origin.
async fn faulty(fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    if matches!(fault, Fault::IsGone) {
        return origin;
    }
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let said: &[u8] = match fault {
                Fault::Closes | Fault::IsGone => b"",
                Fault::Babbles => b"220 mail.example ESMTP\r\n",
                Fault::StopsInTheHead => b"HTTP/1.1 202 Acc",
                Fault::StopsInTheBody => b"HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nshort",
            };
            let _ = stream.write_all(said).await;
        }
    });
    origin
}

#[tokio::test]
async fn whatever_is_no_answer_is_the_origins_failure() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    for (fault, state, failing) in [
        (Fault::IsGone, "pending", true),
        (Fault::Closes, "pending", true),
        (Fault::Babbles, "pending", true),
        (Fault::StopsInTheHead, "pending", true),
        // The status was the answer.
        (Fault::StopsInTheBody, "delivered", false),
    ] {
        let origin = faulty(fault).await;
        let follower = format!("{origin}/actors/bob");
        let follow = crate::domain::remote(
            &follower,
            serde_json::json!({"type": "Follow", "object": domain.alice}),
        );
        domain.receive(&follow, &format!("{follower}/inbox"), "").await;
        let accept = domain.accept(&follow).await.position;
        attempted(&process, accept).await;
        let row = process.row(accept).await;
        assert_eq!(
            (row.state.as_str(), row.attempts),
            (state, 1),
            "{fault:?}: {}",
            row.cause
        );
        assert_eq!(row.status, if failing { 0 } else { 202 }, "{fault:?}");
        let peer = process.peer_at(&origin).await;
        assert_eq!(peer.failing_since_ms > 0, failing, "{fault:?}: {}", row.cause);
        assert_eq!(peer.hold_until_ms > 0, failing, "{fault:?}");
    }
}

/// In real time: ten seconds for the POST, five for the GET of the actor.
#[tokio::test]
async fn silence_is_the_origins_failure_in_the_end() {
    let domain = Domain::start().await;
    let process = domain.deliver().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let follower = format!("{origin}/actors/bob");
    let follow = crate::domain::remote(
        &follower,
        serde_json::json!({"type": "Follow", "object": domain.alice}),
    );
    domain.receive(&follow, &format!("{follower}/inbox"), "").await;
    let accept = domain.accept(&follow).await.position;
    attempted(&process, accept).await;
    let row = process.row(accept).await;
    assert_eq!(
        (row.state.as_str(), row.cause.as_str()),
        ("pending", "no answer in time")
    );
    assert!(process.peer_at(&origin).await.failing_since_ms > 0);
    held.abort();
}
