//! What every backend must pass. Most of the suite speaks to the whole service, by the calls of the contract: a store is
//! right when the log on it is.
//!
//! A backend joins by `conformance!(module, type)` beside the others below, where the type is a [`Backend`].

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::Store;

mod appends;
mod crash;
mod definitions;
pub(crate) mod direct;
pub(crate) mod faults;
pub(crate) mod harness;
mod kv;
mod model;
mod pages;
mod peer_types;
mod random;
pub(crate) mod sealing;
mod subscriptions;
mod terms;
mod unique;

/// A place that outlives the stores that are opened on it.
#[async_trait]
pub(crate) trait Backend: Send + Sync + Sized {
    /// One with nothing in it.
    async fn empty() -> Self;

    /// Opens a store, with all that was committed before.
    async fn open(&self) -> Arc<dyn Store>;
}

/// A SQLite file.
struct File(tempfile::TempDir);

#[async_trait]
impl Backend for File {
    async fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(super::sqlite::open(self.0.path().join("log.db")).await.unwrap())
    }
}

/// SQLite in memory: what outlives the service here is the store itself.
struct Memory(super::sqlite::Sqlite);

#[async_trait]
impl Backend for Memory {
    async fn empty() -> Self {
        Self(super::sqlite::memory().await.unwrap())
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

/// A PostgreSQL database.
struct Database(fedsx_testing::postgres::Database);

#[async_trait]
impl Backend for Database {
    async fn empty() -> Self {
        Self(fedsx_testing::postgres::Database::create().await)
    }

    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(super::postgres::open(self.0.url()).await.unwrap())
    }
}

macro_rules! conformance {
    ($name:ident, $backend:ty, [$($suite:ident: $($test:ident),+;)+]) => {
        mod $name {
            use super::*;
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    $suite::$test(&<$backend>::empty().await).await;
                }
            )+)+
        }
    };
    ($name:ident, $backend:ty) => {
        conformance!($name, $backend, [
            appends: concurrent_appends_are_gapless_and_versioned, one_of_many_that_expect_the_same_version_wins,
                duplicates_are_told_by_cid_by_id_and_by_draft_key, what_does_not_belong_is_refused,
                a_request_that_is_refused_harms_no_neighbour;
            kv: compare_and_set_counts_every_increment, kv_changes_with_its_append_or_not_at_all,
                versions_rise_over_deletes_and_restarts, lists_go_by_prefix_and_page, signing_keys_are_for_signers;
            pages: pages_go_both_ways, pages_of_the_public_only, positions_are_answered_exactly,
                totals_count_the_filter, a_page_is_bounded_in_bytes, entries_are_found_by_each_of_their_names;
            sealing: a_chain_is_strictly_ordered_and_linked, many_writers_of_one_actor_never_conflict,
                actors_come_to_be_by_a_create, a_sealed_activity_verifies_with_its_actors_key,
                another_origin_or_master_key_is_told_at_the_start;
            subscriptions: what_is_there_then_what_comes, a_subscription_goes_on_after_a_restart,
                what_another_process_appends_is_seen, a_slow_consumer_gets_everything_in_bounded_batches,
                a_cursor_beyond_the_log_is_refused;
            direct: facts_are_what_was_committed, an_entry_is_found_by_whatever_id_it_has,
                a_stream_is_told_as_its_last_batch_left_it, an_abandoned_batch_leaves_nothing_and_holds_nobody_up,
                a_second_writer_waits_until_the_first_has_committed,
                a_failed_write_is_a_drivers_error_and_nothing_of_the_batch_stays,
                pages_and_facts_go_beyond_one_statements_rows, a_name_that_cannot_be_kept_is_not_there;
            definitions: a_verb_works_from_its_declaration_on, an_object_is_checked_against_its_type,
                what_an_instance_type_asks_holds_too, who_has_the_grant_defines_and_nobody_else,
                a_projection_is_defined_where_it_can_be_evaluated,
                what_another_process_defines_counts_at_once, a_batch_goes_by_what_it_defines,
                a_strict_domain_takes_no_type_that_it_does_not_know;
            peer_types: what_is_kept_is_found_listed_and_dropped, the_longest_unused_are_dropped_first,
                a_peers_type_counts_once_it_is_kept, a_type_of_ours_stands_on_a_peers,
                who_keeps_and_evicts_is_told_by_role, what_is_no_type_is_not_kept,
                every_type_that_was_ever_defined_is_found, few_bytes_make_nobody_read_many, what_is_missing_is_told_with_what_stands_behind;
            terms: what_is_sealed_has_the_terms_of_its_verb_and_types, the_first_meaning_of_a_term_counts,
                a_type_declares_no_term_otherwise_than_what_it_stands_on,
                what_an_object_leaves_out_is_derived_for_our_own_alone;
            unique: a_slug_is_derived_kept_and_given_up, a_text_that_another_object_has_is_refused_by_its_field,
                of_many_who_ask_for_one_text_each_gets_its_own, the_same_draft_again_claims_nothing_more,
                who_may_not_change_an_object_claims_nothing_for_it, a_type_that_becomes_unique_is_so_at_once;
            crash: a_crash_at_any_call_loses_and_repeats_nothing;
            random: outcomes_are_those_of_a_simple_model;
        ]);
    };
}

conformance!(sqlite_file, File);
conformance!(sqlite_memory, Memory);
conformance!(postgres, Database);
