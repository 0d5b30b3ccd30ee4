//! Each planted bug is found, with its own signature, and never when it is not planted. Each has several families of faults
//! that lead to it, so that none is the one that it needs.

use command::{Faults, Planted};
use raft::Bug;
use raft::cluster::{self, Options, Summary};
use sim::{Isolate, Run, SweepReport, sweep};
use std::ops::Range;

/// Within so many seeds a bug must show.
const BOUND: u64 = 5_000;
/// So many seeds must pass where none can show.
const PASS: u64 = 60;

fn runs(seeds: Range<u64>, faults: Faults, bug: Option<Bug>) -> (SweepReport, Summary) {
    let mut sums = Summary::default();
    let options = Options { faults, bug };
    let report = sweep(seeds)
        .isolate(Isolate::Thread)
        .stop_after(1)
        .on_run(|run: &Run<Summary>| run.result.iter().for_each(|summary| sums += *summary))
        .run(|sim| cluster::run(sim, options.clone()));
    (report, sums)
}

#[track_caller]
fn is_found(bug: Bug) {
    is_found_from(0, bug);
}

/// Begins near the first seed that shows it, where a debug build would take minutes to come there.
#[track_caller]
fn is_found_from(near: u64, bug: Bug) {
    let (report, _) = runs(near..BOUND, Faults::on(), Some(bug));
    let Some(run) = report.failures.first() else { panic!("{bug} shows in none of {BOUND} seeds") };
    assert_eq!(run.failure.signature(), bug.signature(), "seed {}: {}", run.seed, run.failure);
    passes(run.seed..run.seed + 1, Faults::on(), None);
}

#[track_caller]
fn passes(seeds: Range<u64>, faults: Faults, bug: Option<Bug>) -> Summary {
    let (report, sums) = runs(seeds, faults.clone(), bug);
    if let Some(run) = report.failures.first() {
        panic!("seed {} with bug {bug:?}, {faults:?}: {}", run.seed, run.failure);
    }
    sums
}

#[test]
fn a_vote_that_is_not_saved_is_given_twice() {
    is_found_from(180, Bug::VoteTwice);
}

#[test]
fn entries_of_old_terms_that_are_committed_by_counting_can_be_lost() {
    is_found(Bug::CommitOldTerm);
}

#[test]
fn what_is_acknowledged_before_it_is_synced_can_be_lost() {
    is_found(Bug::AckUnsynced);
    passes(0..PASS, Faults::off(), Some(Bug::AckUnsynced));
}

#[test]
fn a_leader_that_was_replaced_answers_with_old_values() {
    is_found(Bug::StaleLeaderRead);
}

#[test]
fn an_old_append_that_cuts_the_log_takes_away_what_was_acknowledged() {
    is_found(Bug::LogTruncate);
}

#[test]
fn a_snapshot_followed_by_another_log_is_found() {
    is_found(Bug::SnapshotGap);
}

#[test]
fn nothing_is_found_where_no_bug_is() {
    let sums = passes(0..PASS, Faults::on(), None);
    assert!(sums.faults > 0 && sums.elections > PASS && sums.committed > 10 * PASS);
    let quiet = passes(0..PASS / 3, Faults::off(), None);
    assert_eq!(quiet.faults, 0);
}
