//! What strangers post: each refusal with its status and code, and nothing of it logged.

use fedsx_kernel::http_signature::digest;
use serde_json::{Value, json};

use crate::{
    domain::{Domain, PUBLIC},
    letter::{Letter, without_proof},
    peer::Peer,
};

const ALICE: &str = "https://events.example/actors/alice";

struct Scene {
    domain: Domain,
    peer: Peer,
    note: Value,
}

impl Scene {
    async fn new() -> Self {
        let (domain, peer) = (Domain::new().await, Peer::start().await);
        let note = peer.note("mallory", "hello", &[ALICE]);
        Self { domain, peer, note }
    }

    fn of(&self, activity: &Value) -> Letter {
        Letter::new(&self.domain, &self.peer, activity)
    }

    /// Signed by HTTP and by proof.
    fn letter(&self) -> Letter {
        self.of(&self.note)
    }

    /// Signed by HTTP alone.
    fn plain(&self) -> Letter {
        self.of(&without_proof(&self.note))
    }

    fn body(&self) -> String {
        self.note.to_string()
    }

    /// The document with one more member in front.
    fn with(&self, member: &str) -> Letter {
        self.letter().body(format!("{{{member},{}", &self.body()[1..]))
    }

    fn spoiled(&self, spoil: impl FnOnce(&mut Value)) -> Letter {
        let mut note = self.note.clone();
        spoil(&mut note);
        self.of(&note)
    }

    /// Refuses each as it says and logs none; then the sound one gets in.
    async fn refuses(&self, cases: Vec<(&str, Letter, u16, &str)>) {
        let head = self.domain.head().await;
        for (what, letter, status, code) in cases {
            let answer = letter.send(&self.domain).await;
            assert_eq!(
                (answer.status.as_u16(), answer.json()["code"].as_str().unwrap()),
                (status, code),
                "{what}: {}",
                answer.text()
            );
            answer.assert_refused(status, code);
            assert_eq!(self.domain.head().await, head, "{what}: something was logged");
        }
        self.letter().send(&self.domain).await.assert_status(202);
    }
}

#[tokio::test]
async fn bodies_that_are_no_activity() {
    let scene = Scene::new().await;
    let body = scene.body();
    let deep = format!("\"deep\":{}{}", "[".repeat(100), "]".repeat(100));
    let half = scene.letter().body(&body.as_bytes()[..body.len() / 2]);
    let large = format!("\"padding\":\"{}\"", "a".repeat(1 << 20));
    let many = format!("\"many\":[{}0]", "0,".repeat(20_000));
    scene
        .refuses(vec![
            ("empty", scene.letter().body(""), 400, "malformed"),
            ("truncated", half.clone(), 400, "malformed"),
            ("truncated, unsigned", half.unsigned(), 400, "malformed"),
            ("no object", scene.letter().body("[]"), 400, "malformed"),
            ("deep", scene.with(&deep), 400, "malformed"),
            (
                "deep beyond any stack",
                scene.letter().body("[".repeat(1 << 20)),
                400,
                "malformed",
            ),
            ("a key twice", scene.with("\"type\":\"Create\""), 400, "malformed"),
            (
                "a key twice inside",
                scene.with(r#""x":{"a":1,"a":1}"#),
                400,
                "malformed",
            ),
            (
                "an integer too large",
                scene.with("\"n\":9007199254740993"),
                400,
                "malformed",
            ),
            (
                "a lone surrogate",
                scene.with(r#""n":"\ud800""#),
                400,
                "malformed",
            ),
            (
                "a number without end",
                scene.with("\"n\":1e999"),
                400,
                "malformed",
            ),
            (
                "no UTF-8",
                scene.letter().body(b"{\"type\":\"\xff\"}".as_slice()),
                400,
                "malformed",
            ),
            ("too large", scene.with(&large), 413, "too_large"),
            ("too many values", scene.with(&many), 413, "too_large"),
            (
                "no type",
                scene.spoiled(|note| drop(note.as_object_mut().unwrap().remove("type"))),
                400,
                "malformed",
            ),
            (
                "an actor that is no URL",
                scene.spoiled(|note| note["actor"] = "mallory".into()),
                400,
                "malformed",
            ),
            (
                "blind copies",
                scene.spoiled(|note| note["bcc"] = json!([ALICE])),
                400,
                "malformed",
            ),
            (
                "an id elsewhere",
                scene.spoiled(|note| note["id"] = format!("{ALICE}/1").into()),
                400,
                "malformed",
            ),
            (
                "a cid that disagrees",
                scene.spoiled(|note| note["summary"] = "x".into()),
                400,
                "cid_mismatch",
            ),
        ])
        .await;
}

#[tokio::test]
async fn headers_that_do_not_fit() {
    let scene = Scene::new().await;
    let wrong = Some(digest::of(b"another body"));
    scene
        .refuses(vec![
            (
                "json",
                scene.letter().header("content-type", "application/json"),
                415,
                "unsupported_media_type",
            ),
            (
                "text",
                scene.letter().header("content-type", "text/plain"),
                415,
                "unsupported_media_type",
            ),
            (
                "another digest",
                scene.letter().digest(wrong.clone()),
                400,
                "digest_mismatch",
            ),
            (
                "another digest, unsigned",
                scene.letter().digest(wrong).unsigned(),
                400,
                "digest_mismatch",
            ),
            ("no digest", scene.plain().digest(None), 401, "unusable_signature"),
            (
                "no digest of ours",
                scene.letter().digest(Some("sha-512=:AA==:".into())),
                400,
                "digest_mismatch",
            ),
            (
                "a digest of nonsense",
                scene.letter().digest(Some("%".into())),
                400,
                "digest_mismatch",
            ),
        ])
        .await;
}

#[tokio::test]
async fn signatures_that_do_not_count() {
    let scene = Scene::new().await;
    let mallory = scene.peer.actor("mallory");
    let mut elsewhere = scene.plain();
    elsewhere.target = "https://events.example/actors/alice/inbox".to_owned();
    let mut by_get = scene.plain();
    by_get.target = "https://blog.example/inbox".to_owned();
    let half = |name| scene.plain().unsigned().header(name, "sig1=:AAAA:");
    scene
        .refuses(vec![
            ("unsigned", scene.plain().unsigned(), 401, "missing_signature"),
            (
                "unsigned nothing",
                scene.letter().body("{}").unsigned(),
                401,
                "missing_signature",
            ),
            ("half a signature", half("signature"), 401, "unusable_signature"),
            (
                "the other half",
                half("signature-input"),
                401,
                "unusable_signature",
            ),
            ("stale", scene.plain().signed_later(-3600), 401, "stale_date"),
            (
                "from the future",
                scene.plain().signed_later(3600),
                401,
                "stale_date",
            ),
            ("forged", scene.plain().forged(), 403, "bad_signature"),
            ("made for another inbox", elsewhere, 403, "bad_signature"),
            ("made for another domain", by_get, 403, "bad_signature"),
            (
                "an unknown key",
                scene.plain().by_key(format!("{mallory}#other")),
                401,
                "unknown_key",
            ),
            (
                "a neighbour's key",
                scene.plain().by_key(scene.peer.actor("bob") + "#ed25519-key"),
                403,
                "not_the_actor",
            ),
            (
                "a local key",
                scene.plain().by_key(format!("{ALICE}#ed25519-key")),
                403,
                "not_the_actor",
            ),
            (
                "a key that is no URL",
                scene.plain().by_key("mallory".to_owned()),
                403,
                "not_the_actor",
            ),
        ])
        .await;
}

#[tokio::test]
async fn proofs_that_do_not_hold() {
    let scene = Scene::new().await;
    // Under an id of its own, or the CID would tell first.
    let changed = scene.spoiled(|note| {
        note["summary"] = "changed".into();
        note["id"] = format!("{}/notes/1", scene.peer.origin).into();
    });
    let others = scene.peer.note("bob", "hello", &[ALICE]);
    let borrowed = scene.spoiled(|note| note["proof"] = others["proof"].clone());
    let local =
        scene.spoiled(|note| note["proof"]["verificationMethod"] = format!("{ALICE}#ed25519-key").into());
    let two = scene.spoiled(|note| note["proof"] = json!([note["proof"], note["proof"]]));
    let none = scene.spoiled(|note| note["proof"] = Value::Null);
    let suite = scene.spoiled(|note| note["proof"]["cryptosuite"] = "ecdsa-rdfc-2019".into());
    scene
        .refuses(vec![
            ("changed", changed.clone(), 403, "bad_signature"),
            (
                "changed, by proof alone",
                changed.unsigned(),
                403,
                "bad_signature",
            ),
            ("a neighbour's", borrowed, 403, "not_the_actor"),
            ("at another origin", local, 403, "not_the_actor"),
            ("two", two, 401, "unusable_signature"),
            ("nothing", none, 401, "unusable_signature"),
            (
                "another suite alone",
                suite.clone().unsigned(),
                401,
                "unusable_signature",
            ),
        ])
        .await;
    // A suite that is not read here takes nothing from a sound HTTP signature; but the CID leaves proofs out, so that
    // it is the same activity, and known.
    suite.send(&scene.domain).await.assert_status(200);
}

#[tokio::test]
async fn activities_that_are_not_for_us() {
    let scene = Scene::new().await;
    let blocked = Peer::start().await;
    scene.domain.views.put(
        "blocks",
        blocked.origin.as_str(),
        json!({ "since": "2026-01-01T00:00:00Z" }),
    );
    let to = |to: &str| scene.of(&scene.peer.note("mallory", "hello", &[to]));
    let many: Vec<String> = (0..500)
        .map(|n| format!("https://events.example/actors/a{n}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    scene
        .refuses(vec![
            ("to the public", to(PUBLIC), 403, "not_addressed"),
            (
                "to another domain",
                to("https://third.example/"),
                403,
                "not_addressed",
            ),
            (
                "to nobody here",
                to("https://events.example/actors/nobody"),
                403,
                "not_addressed",
            ),
            (
                "to hundreds of nobodies",
                scene.of(&scene.peer.note("mallory", "x", &many)),
                403,
                "not_addressed",
            ),
            (
                "to a look-alike",
                to("https://events.example.evil.example/actors/alice"),
                403,
                "not_addressed",
            ),
            (
                "to an unknown inbox",
                scene.letter().to("/actors/nobody/inbox"),
                404,
                "not_found",
            ),
            (
                "to an impossible inbox",
                scene.letter().to("/actors/No%20body/inbox"),
                404,
                "not_found",
            ),
            (
                "of a blocked domain",
                Letter::new(&scene.domain, &blocked, &blocked.note("eve", "hello", &[ALICE])),
                403,
                "blocked",
            ),
        ])
        .await;
    assert!(
        blocked.paths().is_empty(),
        "nothing is fetched for what is not accepted"
    );
}

#[tokio::test]
async fn nobody_speaks_for_a_local_actor_from_outside() {
    let scene = Scene::new().await;
    let mine = scene
        .domain
        .publish("alice", &json!({ "type": "Note", "to": [ALICE] }))
        .await;
    let head = scene.domain.head().await;
    let letter = scene.letter().body(mine.body.to_vec());
    letter
        .clone()
        .send(&scene.domain)
        .await
        .assert_refused(403, "forbidden");
    letter
        .unsigned()
        .send(&scene.domain)
        .await
        .assert_refused(403, "forbidden");
    assert_eq!(scene.domain.head().await, head);
}

#[tokio::test]
async fn a_problem_tells_all_there_is_to_know() {
    let scene = Scene::new().await;
    let answer = scene
        .of(&scene.peer.note("mallory", "hello", &[PUBLIC]))
        .send(&scene.domain)
        .await;
    assert_eq!(
        answer.text(),
        concat!(
            r#"{"type":"about:blank","title":"Forbidden","status":403,"#,
            r#""detail":"it addresses nobody here, and nobody here follows its actor","code":"not_addressed"}"#
        )
    );
    let answer = scene.plain().unsigned().send(&scene.domain).await;
    assert_eq!(
        answer.text(),
        concat!(
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"#,
            r#""detail":"an activity needs an HTTP signature (RFC 9421) or a proof (FEP-8b32)","#,
            r#""code":"missing_signature"}"#
        )
    );
    let metrics = scene.domain.metrics();
    for code in ["not_addressed", "missing_signature"] {
        assert!(
            metrics.contains(&format!("fedsx_gateway_refusals_total{{code=\"{code}\"}} 1")),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn without_the_other_services_it_is_not_now() {
    let scene = Scene::new().await;
    let gateway = scene.domain.without_log().await;
    let answer = scene.letter().send_to(&gateway.router).await;
    answer.assert_refused(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "5");

    // A view that cannot catch up does not say that an activity is not ours.
    scene.domain.views.fall_behind();
    let letter = scene.of(&scene.peer.note("mallory", "hello", &[PUBLIC]));
    letter
        .send(&scene.domain)
        .await
        .assert_refused(503, "unavailable");
    scene
        .letter()
        .to("/actors/nobody/inbox")
        .send(&scene.domain)
        .await
        .assert_refused(503, "unavailable");
    scene.letter().send(&scene.domain).await.assert_status(202);

    // Nor does one that is away, of a sender that was not asked about a moment ago.
    scene.domain.views.go_away();
    let letter = scene.of(&scene.peer.note("eve", "hello", &[ALICE]));
    letter
        .send(&scene.domain)
        .await
        .assert_refused(503, "unavailable");
}
