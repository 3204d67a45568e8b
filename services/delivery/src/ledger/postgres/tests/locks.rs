//! Who waits for whom, and for how long.

use fedsx_kernel::delivery::{
    claim::CLAIM,
    outcome::Outcome,
    peer::{Peer, Standing},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;
use tokio::time::{Instant, timeout};

use super::*;
use crate::ledger::{
    Claims as _, DeadLetters as _, DeliveryKey, Leases as _, Queries as _, Records as _, Sweeps as _,
    conformance::{delivery, origin, token},
};

#[tokio::test]
async fn claims_and_leases_expire_by_the_databases_clock() {
    let (_database, ledger) = fresh().await;
    let lanes = insert(&ledger, &[delivery("peer", 1)]).await;
    let claim = ledger.claim(&lanes, &token(1)).await.unwrap().remove(0);
    let now: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        .fetch_one(&ledger.pool)
        .await
        .unwrap();
    let now = Timestamp::from_microsecond(now).unwrap();
    assert!(claim.at <= now && now.duration_since(claim.at) < SignedDuration::from_secs(10));
    assert_eq!(claim.until, claim.at + CLAIM);
    let term = SignedDuration::from_millis(400);
    let begun = Instant::now();
    ledger.take_lease("one", term).await.unwrap().unwrap();
    while ledger.take_lease("two", term).await.unwrap().is_none() {}
    assert!(begun.elapsed() >= Duration::from_millis(400));
}

/// A process that freezes between two statements holds locks; the database takes them from it.
#[tokio::test]
async fn a_frozen_turn_frees_the_others_within_seconds() {
    let (database, ledger) = fresh().await;
    let frozen = open(database.url()).await.unwrap();
    let mut turn = frozen.turn().await.unwrap();
    turn.insert(&[delivery("peer", 1)]).await.unwrap();
    let lanes = insert(&ledger, &[delivery("peer", 2)]).await;
    assert!(turn.commit().await.is_err(), "its transaction is gone");
    let claims = ledger.claim(&lanes, &token(1)).await.unwrap();
    assert_eq!(conformance::positions(&claims[0]), [2]);
}

/// Workers do not stand still while somebody holds one of their lanes.
#[tokio::test]
async fn a_lane_that_is_held_holds_up_no_other() {
    let (_database, ledger) = fresh().await;
    let lanes = insert(&ledger, &[delivery("peer/one", 1), delivery("peer/two", 1)]).await;
    let mut holder = holder(&ledger).await;
    lanes::lock(&mut holder, &[lanes[0].0]).await.unwrap();
    let claimed = ledger.claim(&lanes, &token(1)).await.unwrap();
    assert_eq!(conformance::ids(&claimed), [lanes[1]]);
    ledger.sweep(10).await.unwrap();
    holder.rollback().await.unwrap();
    assert_eq!(ledger.claim(&lanes, &token(2)).await.unwrap().len(), 1);
}

/// Fan-out holds a lane for a moment when it adds to it: the message that came for the lane just then counts.
#[tokio::test]
async fn a_lane_that_was_held_for_a_moment_is_claimed() {
    let (_database, ledger) = fresh().await;
    let lanes = insert(&ledger, &[delivery("peer", 1)]).await;
    let token = token(1);
    let claims_held = async || {
        let mut holder = holder(&ledger).await;
        lanes::lock(&mut holder, &[lanes[0].0]).await.unwrap();
        let release = async {
            until(&ledger, "starts_with(query, 'SELECT s.lane FROM unnest')", 1).await;
            holder.rollback().await.unwrap();
        };
        let (claimed, ()) = tokio::join!(ledger.claim(&lanes, &token), release);
        conformance::ids(&claimed.unwrap())
    };
    // The moment may be too long on a busy machine, and then the lane is left to the sweeper.
    let claimed = async {
        loop {
            let claimed = claims_held().await;
            if !claimed.is_empty() {
                break claimed;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, claimed).await.expect("never claimed"), lanes);
}

/// What fan-out adds while a worker drains the lane must not be forgotten by the release, whichever commits first.
#[tokio::test]
async fn a_row_that_is_added_while_its_lane_is_released_stays_due() {
    let (_database, ledger) = fresh().await;
    for round in 1..=20 {
        let row = |position| delivery("peer", position);
        let lanes = insert(&ledger, &[row(2 * round)]).await;
        let claim = ledger
            .claim(&lanes, &token(round.into()))
            .await
            .unwrap()
            .remove(0);
        let (reports, added) = ([report(&claim, Outcome::Delivered, "")], [row(2 * round + 1)]);
        let (recorded, _) = tokio::join!(ledger.record(&reports), insert(&ledger, &added));
        assert!(recorded.unwrap().reports[0].mine);
        let claim = ledger.claim(&lanes, &token(0)).await.unwrap().remove(0);
        assert_eq!(conformance::positions(&claim), [2 * round + 1]);
        ledger
            .record(&[report(&claim, Outcome::Delivered, "")])
            .await
            .unwrap();
        assert_eq!(ledger.pending().await.unwrap(), 0);
    }
}

/// Two workers with answers of one origin at once: neither loses what the other wrote.
#[tokio::test]
async fn two_records_of_one_origin_do_not_overwrite_each_other() {
    let (database, one) = fresh().await;
    let two = open(database.url()).await.unwrap();
    for round in 1..=20 {
        let rows = ["peer/one", "peer/two"].map(|name| delivery(name, round));
        let lanes = insert(&one, &rows).await;
        let claims = one.claim(&lanes, &token(round.into())).await.unwrap();
        let [mut failed, mut answered] = [0, 1].map(|number| report(&claims[number], Outcome::Delivered, ""));
        failed.attempts[0].outcome = Outcome::OriginFailed;
        let round_at = SignedDuration::from_secs(i64::try_from(round).unwrap() * 60);
        failed.attempts[0].at += round_at;
        answered.attempts[0].at += round_at + SignedDuration::from_secs(1);
        let (failed, answered) = ([failed], [answered]);
        let (first, second) = tokio::join!(one.record(&failed), two.record(&answered));
        assert!(first.unwrap().reports[0].mine && second.unwrap().reports[0].mine);
        let peer = one
            .turn()
            .await
            .unwrap()
            .lock_peer(&origin("peer"))
            .await
            .unwrap();
        let expected = Some(answered[0].attempts[0].at);
        assert_eq!(
            (peer.alive_at, peer.failing_since, peer.hold_until),
            (expected, None, None)
        );
        let mut turn = one.turn().await.unwrap();
        turn.end_pending(
            &origin("peer"),
            round,
            fedsx_kernel::delivery::row::DeliveryState::Dead,
            "",
        )
        .await
        .unwrap();
        turn.commit().await.unwrap();
    }
}

/// A turn decides by what it read; what workers recorded meanwhile is not its to undo.
#[tokio::test]
async fn a_standing_is_written_without_undoing_what_was_recorded() {
    let (_database, ledger) = fresh().await;
    let lanes = insert(&ledger, &[delivery("peer", 1)]).await;
    let peer = origin("peer");
    let mut turn = ledger.turn().await.unwrap();
    let behind = Peer {
        standing: Standing::CatchingUp { at: 1 },
        ..Peer::LIVE
    };
    turn.put_peers(&[(peer.clone(), behind)].into()).await.unwrap();
    turn.commit().await.unwrap();
    let claim = ledger.claim(&lanes, &token(1)).await.unwrap().remove(0);
    let mut turn = ledger.turn().await.unwrap();
    let mut read = turn.peers(std::slice::from_ref(&peer)).await.unwrap();
    let throttled = report(&claim, Outcome::Throttled(SignedDuration::from_secs(600)), "");
    // Were it to wait for the turn, it would fail by `lock_timeout`, or the turn's end would.
    ledger.record(&[throttled]).await.unwrap();
    read.get_mut(&peer).unwrap().standing = Standing::Live;
    turn.put_peers(&read).await.unwrap();
    turn.commit().await.unwrap();
    let mut turn = ledger.turn().await.unwrap();
    let now = turn.lock_peer(&peer).await.unwrap();
    assert_eq!(now.standing, Standing::Live);
    assert!(now.hold_until.is_some() && now.alive_at.is_some(), "{now:?}");
}

/// To park is decided by what workers record: an answer either comes before, or finds the origin parked.
#[tokio::test]
async fn an_origin_that_is_locked_to_be_parked_takes_no_answer_before() {
    let (_database, ledger) = fresh().await;
    let lanes = insert(&ledger, &[delivery("peer", 1)]).await;
    let claim = ledger.claim(&lanes, &token(1)).await.unwrap().remove(0);
    let peer = origin("peer");
    let mut turn = ledger.turn().await.unwrap();
    let locked = turn.lock_peer(&peer).await.unwrap();
    let reports = [report(&claim, Outcome::Delivered, "")];
    let park = async {
        until_waiting(&ledger, 1).await;
        let parked = locked.parked(0, turn.now());
        turn.put_peers(&[(peer.clone(), parked)].into()).await.unwrap();
        turn.commit().await.unwrap();
    };
    let (recorded, ()) = tokio::join!(ledger.record(&reports), park);
    assert_eq!(recorded.unwrap().answered, std::slice::from_ref(&peer));
    assert!(
        ledger.waits().await.unwrap(),
        "it has answered since it was parked"
    );
}

/// As another program might lock, in an order that is not ours.
#[tokio::test]
async fn who_loses_a_deadlock_tries_again() {
    let (_database, ledger) = fresh().await;
    let lanes = insert(&ledger, &[delivery("peer/one", 1), delivery("peer/two", 1)]).await;
    let claims = ledger.claim(&lanes, &token(1)).await.unwrap();
    let reports: Vec<_> = claims
        .iter()
        .map(|claim| report(claim, Outcome::Delivered, ""))
        .collect();
    let mut other = ledger.begin(Durability::Durable).await.unwrap();
    // The other waits for long, so that the deadlock is found by the ledger's own transaction, which it ends.
    execute(&mut other, "SET LOCAL deadlock_timeout = '60s'").await;
    lanes::lock(&mut other, &[lanes[1].0]).await.unwrap();
    let disturb = async {
        until_waiting(&ledger, 1).await;
        lanes::lock(&mut other, &[lanes[0].0]).await.unwrap();
        other.rollback().await.unwrap();
    };
    let (recorded, ()) = tokio::join!(ledger.record(&reports), disturb);
    assert!(recorded.unwrap().reports.iter().all(|verdict| verdict.mine));
    assert_eq!(ledger.pending().await.unwrap(), 0);
}

/// Until so many connections to the database wait for a lock.
async fn until_waiting(ledger: &Postgres, waiting: i64) {
    until(ledger, "wait_event_type = 'Lock'", waiting).await;
}

/// Until so many connections to the database fulfil a condition.
async fn until(ledger: &Postgres, condition: &str, wanted: i64) {
    let sql =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {condition}");
    let fulfilled = async {
        loop {
            let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql.clone())).fetch_one(&ledger.pool);
            if count.await.unwrap() >= wanted {
                break;
            }
        }
    };
    timeout(PATIENCE, fulfilled).await.expect("none does");
}

/// A parked origin's lanes stand in no sweep's way, and are back when it is.
#[tokio::test]
async fn a_sweep_does_not_come_by_parked_lanes() {
    let (_database, ledger) = fresh().await;
    let rows: Vec<_> = (0..50)
        .map(|number| delivery(&format!("peer/{number}"), 1))
        .collect();
    insert(&ledger, &rows).await;
    let peer = origin("peer");
    let put = async |peers: Peer| {
        let mut turn = ledger.turn().await.unwrap();
        turn.peers(std::slice::from_ref(&peer)).await.unwrap();
        turn.put_peers(&[(peer.clone(), peers)].into()).await.unwrap();
        turn.commit().await.unwrap();
    };
    let swept = async || -> i64 {
        let sql = "SELECT count(*) FROM lane_state WHERE next_due IS NOT NULL AND NOT parked";
        sqlx::query(sql).fetch_one(&ledger.pool).await.unwrap().get(0)
    };
    put(Peer::LIVE.parked(1, Timestamp::UNIX_EPOCH)).await;
    assert_eq!(swept().await, 0);
    // One that is added is none of them either.
    insert(&ledger, &[delivery("peer/new", 2)]).await;
    assert_eq!(swept().await, 0);
    put(Peer::LIVE).await;
    assert_eq!(swept().await, 51);
}

/// Letters that somebody drops while another sends them again are either gone or owed, and counted so.
#[tokio::test]
async fn letters_that_are_dropped_while_they_are_sent_again_are_counted_once() {
    let (_database, ledger) = fresh().await;
    let rows: Vec<_> = (1..=20).map(|position| delivery("peer", position)).collect();
    let lanes = insert(&ledger, &rows).await;
    let mut turn = ledger.turn().await.unwrap();
    turn.end_pending(
        &origin("peer"),
        20,
        fedsx_kernel::delivery::row::DeliveryState::Dead,
        "",
    )
    .await
    .unwrap();
    turn.commit().await.unwrap();
    let key = |position| DeliveryKey {
        lane: lanes[0],
        position,
    };
    let (forward, backward): (Vec<_>, Vec<_>) =
        ((1..=20).map(key).collect(), (1..=20).rev().map(key).collect());
    let (replayed, forgotten) = tokio::join!(ledger.replay(&forward), ledger.forget(&backward));
    let (replayed, forgotten) = (replayed.unwrap().replayed, forgotten.unwrap());
    assert_eq!(replayed + forgotten, 20);
    assert_eq!(ledger.pending().await.unwrap(), replayed);
}
