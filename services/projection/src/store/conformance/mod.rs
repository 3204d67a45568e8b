//! What every store must do. A backend runs it by [`suite`] with a function that opens a [`Fixture`].

use std::{any::Any, sync::Arc};

use fedsx_runtime::clock::ManualClock;
use jiff::SignedDuration;

use super::{Advance, Change, Group, PageQuery, Store};
use crate::shard::{Digest, ShardId, lease::Lease};

pub(crate) mod claims;
pub(crate) mod flow_lists;
pub(crate) mod flows;
pub(crate) mod leases;
pub(crate) mod projections;
pub(crate) mod reads;
pub(crate) mod snapshots;
pub(crate) mod writes;

pub(crate) const TERM: SignedDuration = SignedDuration::from_secs(15);

/// A fresh store as two processes see it, by a clock that the test moves.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) other: Arc<dyn Store>,
    pub(crate) clock: ManualClock,
    /// What must live as long as the store.
    pub(crate) _keep: Option<Box<dyn Any + Send>>,
}

/// The tests, one by one, for a backend: `suite!(open)`.
macro_rules! suite {
    ($open:path: $($room:ident { $($test:ident),* $(,)? })*) => {
        $($(
            #[tokio::test]
            async fn $test() {
                $crate::store::conformance::$room::$test($open().await).await;
            }
        )*)*
    };
    ($open:path) => {
        $crate::store::conformance::suite! { $open:
            leases {
                a_declared_shard_is_taken_once,
                leases_expire_by_the_stores_clock,
                workers_share_evenly,
                who_resigns_leaves_everything,
                groups_do_not_share,
                turns_at_the_same_time_never_give_one_lease_twice,
            }
            writes {
                an_advance_moves_the_shard_and_writes_its_rows,
                a_stale_epoch_writes_nothing,
                nothing_is_applied_twice,
                shards_are_fenced_one_by_one,
                a_halted_shard_says_why_until_it_moves,
                large_batches_are_written_whole,
                many_commit_and_take_turns_at_once,
            }
            projections {
                the_first_serve_and_a_changed_one_takes_over,
                who_loses_its_name_writes_nothing_more,
                what_is_retired_is_swept_and_may_come_again,
                replicas_that_settle_at_once_agree,
                a_view_from_before_serves_until_it_is_replaced,
            }
            reads {
                rows_are_found_by_key_and_by_peer,
                rows_of_a_peer_are_those_of_the_shards_asked_for_and_no_more_than_asked_for,
                a_page_is_in_the_order_of_bytes,
                a_page_ends_at_its_bytes,
                a_prefix_is_no_pattern,
                a_view_is_as_far_as_its_last_shard,
                what_was_never_declared_is_told_apart,
                rows_and_position_are_of_one_moment,
                what_is_no_key_finds_nothing,
                changed_rows_are_read_page_by_page,
            }
            snapshots {
                a_dump_has_every_row_in_the_order_of_bytes_and_the_shards_of_its_view,
                a_dump_is_of_one_moment,
                a_dump_that_nobody_takes_ends,
                what_was_dumped_is_restored_with_peers_and_positions,
                a_restoration_that_breaks_off_leaves_nothing,
                a_restoration_that_is_dropped_leaves_nothing_and_keeps_nobody_off,
                a_restoration_under_a_lost_lease_writes_nothing,
                what_has_moved_is_not_restored,
            }
            flows {
                a_behaviour_is_kept_as_it_first_took_effect,
                a_flow_is_read_as_it_was_written,
                the_higher_version_wins_whoever_comes_first,
                who_writes_the_same_flows_at_once_leaves_the_highest_versions,
                many_flows_are_written_together,
                who_waits_is_found_by_step_and_key,
                what_no_database_takes_is_not_kept_and_finds_nothing,
            }
            flow_lists {
                flows_are_listed_by_what_is_asked_for,
                a_list_is_read_page_by_page,
                flows_that_are_over_are_forgotten_after_a_time,
            }
            claims {
                what_has_been_due_for_longest_is_claimed_first_and_once,
                a_flow_goes_to_who_can_do_what_it_needs,
                claims_expire_by_the_stores_clock,
                claims_are_given_back,
                who_writes_a_flow_may_leave_its_claim,
                who_writes_a_flow_may_take_it,
                many_claim_at_once_and_none_is_given_twice,
                claims_and_writes_at_once_lose_nothing,
                runners_are_known_for_a_term,
            }
        }
    };
}
pub(crate) use suite;

/// All shards of the view `v`.
pub(crate) fn group() -> Group {
    Group {
        name: "views".to_owned(),
        shards: ShardId::all("v").collect(),
    }
}

/// The fixture with its shards declared, and one worker that holds them all.
pub(crate) async fn held(fixture: &Fixture) -> Vec<Lease> {
    fixture.store.declare(&group().shards).await.unwrap();
    fixture.store.hold(&group(), "a", TERM).await.unwrap()
}

/// A step of the shard of these keys, from where the lease has it, that puts `{}` to each.
pub(crate) fn step(lease: &Lease, position: u64, keys: &[&str]) -> Advance {
    Advance {
        shard: lease.shard.clone(),
        epoch: lease.epoch,
        from: lease.position,
        position,
        count: lease.count + 1,
        digest: Digest([7; 32]),
        halted: None,
        changes: keys.iter().map(|key| put(key, position)).collect(),
    }
}

pub(crate) fn put(key: &str, position: u64) -> Change {
    Change {
        key: key.to_owned(),
        peer: None,
        position,
        value: Some(b"{}".to_vec()),
    }
}

/// The lease of the shard that a key of `v` falls into.
pub(crate) fn lease_of<'a>(leases: &'a [Lease], key: &str) -> &'a Lease {
    let shard = ShardId::of("v", key);
    leases.iter().find(|lease| lease.shard == shard).unwrap()
}

pub(crate) fn page(prefix: &str) -> PageQuery {
    PageQuery {
        view: "v".to_owned(),
        prefix: prefix.to_owned(),
        after: String::new(),
        limit: 100,
        max_bytes: 1 << 20,
        count: true,
    }
}

pub(crate) async fn keys(store: &dyn Store, query: &PageQuery) -> Vec<String> {
    let page = store.page(query).await.unwrap().unwrap();
    page.rows.into_iter().map(|row| row.key).collect()
}
