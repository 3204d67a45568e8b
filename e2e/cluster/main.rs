//! Two domains in a real Kubernetes cluster, installed by Helm, while their pods come, go and are killed.
//!
//! `e2e/cluster/run` finds a cluster, brings the image there and runs this. The scenarios share the two releases `blog` and
//! `events` in a namespace of their own: the first that needs them installs them, the last uninstalls them. A new scenario
//! is a function in `scenarios/` and a line below.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a scenario fails by panicking"
)]

mod harness;
mod scenarios;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use harness::stage;

/// Registers scenarios in the order in which they are to run.
macro_rules! scenarios {
    ($($file:ident::$scenario:ident,)*) => {
        vec![$(Trial::test(concat!(stringify!($file), "::", stringify!($scenario)), || stage::play(scenarios::$file::$scenario)),)*]
    };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share the releases.
    arguments.test_threads = Some(1);
    if stage::unset() && !arguments.list {
        eprintln!("no cluster: run e2e/cluster/run");
        return ExitCode::SUCCESS;
    }
    let trials = scenarios![
        install::both_releases_come_up_from_nothing,
        story::gig_night_is_linked_across_both_by_helm_test,
        story::gig_night_is_told_in_the_toolboxes,
        trace::one_trace_shows_every_role_of_both_domains,
        policies::a_stranger_is_refused_where_the_table_has_no_arrow,
        scale::a_thousand_deliveries_while_delivery_goes_up_and_down,
        killed::each_role_is_killed_under_load,
        rolled::each_role_is_restarted_under_load,
        upgrade::changed_values_are_rolled_out_under_load,
        tls::both_domains_go_over_to_tls_and_back_under_load,
        drain::a_node_is_drained_under_load,
        backends::postgres_and_rabbitmq_go_and_come_back,
        restored::a_lost_domain_comes_back_from_its_backup,
        uninstall::uninstalling_leaves_what_it_says_it_keeps,
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    stage::strike();
    conclusion.exit_code()
}
