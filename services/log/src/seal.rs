//! Sealing: drafts get what only the log can give them, `published`, `prev`, CID, `id` and proof, inside the batch.
//!
//! An actor's drafts are sealed one after the other, since each public one names the one before; different actors' at
//! the same time, away from the threads that serve requests.

use std::{collections::HashMap, sync::Arc};

use fedsx_kernel::{
    actor,
    draft::{Seal, Sealed},
    key::SigningKey,
    origin::Origin,
};
use fedsx_runtime::code::Refusal;
use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinError, JoinSet};

use crate::{
    plan::{Chain, Complete, SealedDraft},
    refusal,
};

/// What became of drafts, by their requests.
pub type Seals = HashMap<usize, Result<SealedDraft, Refusal>>;

/// Seals chains with their keys, at the earliest at `now`.
///
/// # Errors
/// [`JoinError`] where a thread that sealed has panicked.
pub async fn seal(
    origin: &Origin,
    now: Timestamp,
    chains: Vec<(Chain, Arc<SigningKey>)>,
) -> Result<Seals, JoinError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut tasks = JoinSet::new();
    for share in shares(chains, threads) {
        let origin = origin.clone();
        tasks.spawn_blocking(move || {
            let sealed = share
                .into_iter()
                .map(|(chain, key)| seal_chain(&origin, now, chain, &key));
            sealed.flatten().collect::<Vec<_>>()
        });
    }
    let mut seals = Seals::new();
    while let Some(sealed) = tasks.join_next().await {
        seals.extend(sealed?);
    }
    Ok(seals)
}

/// Divides chains among threads, the longest first and each to the least burdened.
fn shares<K>(mut chains: Vec<(Chain, K)>, threads: usize) -> Vec<Vec<(Chain, K)>> {
    let threads = threads.clamp(1, chains.len().max(1));
    chains.sort_by_key(|(chain, _)| std::cmp::Reverse(chain.drafts.len()));
    let mut shares: Vec<(usize, Vec<_>)> = (0..threads).map(|_| (0, Vec::new())).collect();
    for (chain, key) in chains {
        if let Some((burden, share)) = shares.iter_mut().min_by_key(|(burden, _)| *burden) {
            *burden += chain.drafts.len();
            share.push((chain, key));
        }
    }
    shares
        .into_iter()
        .map(|(_, share)| share)
        .filter(|share| !share.is_empty())
        .collect()
}

/// Seals the drafts of one actor. One that cannot be sealed is passed over: the chain goes on without it.
fn seal_chain(
    origin: &Origin,
    now: Timestamp,
    chain: Chain,
    key: &SigningKey,
) -> Vec<(usize, Result<SealedDraft, Refusal>)> {
    let key_id = actor::key_id(&chain.actor);
    let (mut last, mut prev) = (chain.published, chain.prev);
    let mut seals = Vec::with_capacity(chain.drafts.len());
    for (request, draft) in chain.drafts {
        let published = following(last, now);
        let seal = Seal {
            origin,
            actor: &chain.actor,
            published,
            prev: prev.as_ref(),
            key_id: &key_id,
            key,
        };
        let sealed = Arc::unwrap_or_clone(draft).seal(&seal);
        if let Ok(Sealed { activity, .. }) = &sealed {
            last = Some(published);
            if activity.is_public() {
                prev = Some(activity.cid().clone());
            }
        }
        seals.push((
            request,
            sealed
                .map(|sealed| complete(sealed, published))
                .map_err(refusal::draft),
        ));
    }
    seals
}

/// Strictly after the last, in whole microseconds: what `published` is written in.
fn following(last: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    match last {
        Some(last) if last >= now => last
            .saturating_add(SignedDuration::from_micros(1))
            .unwrap_or(Timestamp::MAX),
        _ => now,
    }
}

fn complete(sealed: Sealed, published: Timestamp) -> SealedDraft {
    let activity = sealed.activity;
    SealedDraft {
        activity: Complete {
            body: sealed.body.into(),
            cid: activity.cid().clone(),
            activity_id: activity.id().to_owned(),
            public: activity.is_public(),
        },
        published,
    }
}

#[cfg(test)]
mod tests {
    use fedsx_kernel::{activity::PUBLIC, draft::Draft};
    use fedsx_runtime::code::Code;

    use super::*;
    use crate::plan::Signer;

    fn key() -> Arc<SigningKey> {
        Arc::new(SigningKey::from_seed(&[7; 32]))
    }

    /// A chain whose drafts address the public, nobody, or claim another actor.
    fn chain(name: &str, first: usize, kinds: &str) -> Chain {
        let draft = |kind| {
            let fields = match kind {
                'p' => format!(r#","to":"{PUBLIC}""#),
                'x' => r#","actor":"https://events.example/actors/bob""#.to_owned(),
                _ => String::new(),
            };
            Draft::parse(format!(r#"{{"type":"Create","object":{{"type":"Note"}}{fields}}}"#).as_bytes())
        };
        Chain {
            actor: format!("https://blog.example/actors/{name}"),
            signer: Signer::New(key()),
            published: None,
            prev: None,
            drafts: kinds
                .chars()
                .enumerate()
                .map(|(n, kind)| (first + n, Arc::new(draft(kind).unwrap())))
                .collect(),
        }
    }

    fn at(microsecond: i64) -> Timestamp {
        Timestamp::from_microsecond(microsecond).unwrap()
    }

    #[test]
    fn published_rises_while_the_clock_stands_still_or_goes_back() {
        let table = [
            (None, at(5), at(5)),
            (Some(at(4)), at(5), at(5)),
            (Some(at(5)), at(5), at(6)),
            (Some(at(9)), at(5), at(10)),
            (None, Timestamp::from_nanosecond(5_900).unwrap(), at(5)),
            (Some(at(5)), Timestamp::from_nanosecond(5_900).unwrap(), at(6)),
        ];
        for (last, now, expected) in table {
            assert_eq!(following(last, now), expected, "{last:?} {now}");
        }
    }

    #[test]
    fn a_chain_goes_on_without_what_cannot_be_sealed() {
        let origin = "https://blog.example".parse().unwrap();
        let before = crate::plan::testing::cid("before");
        let chain = Chain {
            published: Some(at(10)),
            prev: Some(before.clone()),
            ..chain("alice", 0, "p.xp")
        };
        let seals: Vec<_> = seal_chain(&origin, at(5), chain, &key())
            .into_iter()
            .map(|(_, seal)| seal)
            .collect();
        let activities: Vec<_> = seals
            .iter()
            .flatten()
            .map(|draft| fedsx_kernel::activity::Activity::parse(&draft.activity.body).unwrap())
            .collect();
        assert_eq!(seals[2].as_ref().unwrap_err().code, Code::Malformed);
        let published: Vec<_> = activities
            .iter()
            .map(|activity| activity.published().unwrap())
            .collect();
        assert_eq!(published, [at(11), at(12), at(13)]);
        let prevs: Vec<_> = activities
            .iter()
            .map(fedsx_kernel::activity::Activity::prev)
            .collect();
        assert_eq!(prevs, [Some(before), None, Some(activities[0].cid().clone())]);
    }

    #[test]
    fn threads_share_the_drafts_evenly_and_never_an_actors() {
        let chains = || {
            let chains = [
                chain("a", 0, "......"),
                chain("b", 6, "."),
                chain("c", 7, "..."),
                chain("d", 10, ".."),
            ];
            chains.map(|chain| (chain, ())).into()
        };
        let sizes = |threads| -> Vec<usize> {
            let size = |share: Vec<(Chain, ())>| share.iter().map(|(chain, ())| chain.drafts.len()).sum();
            shares(chains(), threads).into_iter().map(size).collect()
        };
        assert_eq!(sizes(1), [12]);
        assert_eq!(sizes(2), [6, 6]);
        assert_eq!(sizes(9), [6, 3, 2, 1]);
        assert!(shares::<()>(Vec::new(), 2).is_empty());
    }

    #[tokio::test]
    async fn all_drafts_of_all_chains_are_sealed() {
        let origin = "https://blog.example".parse().unwrap();
        let chains = vec![(chain("a", 0, "p.p"), key()), (chain("b", 3, "px"), key())];
        let seals = seal(&origin, at(5), chains).await.unwrap();
        let mut sealed: Vec<_> = seals
            .iter()
            .map(|(request, seal)| (*request, seal.is_ok()))
            .collect();
        sealed.sort_unstable();
        assert_eq!(sealed, [(0, true), (1, true), (2, true), (3, true), (4, false)]);
    }
}
