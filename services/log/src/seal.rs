//! Sealing: drafts get what only the log can give them, `published`, `prev`, CID, `id` and proof, inside the batch.
//!
//! An actor's drafts are named one after the other, since each public one names the one before; that costs a hash. What
//! costs thirty times as much, the proof, is made of all drafts side by side, away from the threads that serve requests.

use std::{collections::HashMap, sync::Arc};

use fedsx_kernel::{
    actor,
    draft::{Named, Seal, Sealed},
    key::SigningKey,
    origin::Origin,
};
use fedsx_runtime::code::Refusal;
use jiff::{SignedDuration, Timestamp};
use tokio::task::{self, JoinError, JoinSet};

use crate::{
    plan::{Chain, Complete, SealedDraft},
    refusal,
};

/// Bytes of drafts that are hashed in less time than a task may hold its thread.
const LIGHT: usize = 256 << 10;
/// Fewer drafts than this are signed sooner than they are handed to another thread and back.
const WORTH_A_THREAD: usize = 4;

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
    let drafts = chains.iter().flat_map(|(chain, _)| &chain.drafts);
    let is_light = drafts.map(|(_, draft)| draft.len()).sum::<usize>() <= LIGHT;
    let named = if is_light {
        name(origin, now, chains)
    } else {
        let origin = origin.clone();
        task::spawn_blocking(move || name(&origin, now, chains)).await?
    };
    if is_light && named.len() < WORTH_A_THREAD {
        return Ok(named.into_iter().map(Waiting::sign).collect());
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut tasks = JoinSet::new();
    for share in shares(named, threads) {
        tasks.spawn_blocking(|| share.into_iter().map(Waiting::sign).collect::<Vec<_>>());
    }
    let mut seals = Seals::new();
    while let Some(signed) = tasks.join_next().await {
        seals.extend(signed?);
    }
    Ok(seals)
}

/// A draft that waits for its proof, or was refused.
struct Waiting {
    request: usize,
    key: Arc<SigningKey>,
    named: Result<(Named, Timestamp), Refusal>,
}

impl Waiting {
    fn sign(self) -> (usize, Result<SealedDraft, Refusal>) {
        let sealed = self
            .named
            .map(|(named, published)| complete(named.sign(&self.key), published));
        (self.request, sealed)
    }
}

fn name(origin: &Origin, now: Timestamp, chains: Vec<(Chain, Arc<SigningKey>)>) -> Vec<Waiting> {
    chains
        .into_iter()
        .flat_map(|(chain, key)| name_chain(origin, now, &chain, &key))
        .collect()
}

/// Names the drafts of one actor. One that cannot be sealed is passed over: the chain goes on without it.
fn name_chain(origin: &Origin, now: Timestamp, chain: &Chain, key: &Arc<SigningKey>) -> Vec<Waiting> {
    let key_id = actor::key_id(&chain.actor);
    let (mut last, mut prev) = (chain.published, chain.prev.clone());
    let mut waiting = Vec::with_capacity(chain.drafts.len());
    for (request, draft) in &chain.drafts {
        let published = following(last, now);
        let named = draft.name(&Seal {
            origin,
            actor: &chain.actor,
            published,
            prev: prev.as_ref(),
            key_id: &key_id,
            key,
        });
        if let Ok(named) = &named {
            last = Some(published);
            if named.public {
                prev = Some(named.cid.clone());
            }
        }
        waiting.push(Waiting {
            request: *request,
            key: Arc::clone(key),
            named: named.map(|named| (named, published)).map_err(refusal::draft),
        });
    }
    waiting
}

/// Divides drafts evenly among threads that have enough to do.
fn shares<T>(mut drafts: Vec<T>, threads: usize) -> Vec<Vec<T>> {
    let threads = threads.min(drafts.len() / WORTH_A_THREAD).max(1);
    let mut shares = Vec::with_capacity(threads);
    for left in (1..=threads).rev() {
        let share = drafts.len().div_ceil(left);
        shares.push(drafts.split_off(drafts.len() - share));
    }
    shares
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
    SealedDraft {
        activity: Complete {
            body: sealed.body.into(),
            cid: sealed.cid,
            activity_id: sealed.id,
            public: sealed.public,
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
        let seals: Vec<_> = name_chain(&origin, at(5), &chain, &key())
            .into_iter()
            .map(|waiting| waiting.sign().1)
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
    fn threads_share_the_drafts_evenly_and_have_enough_to_do() {
        let sizes = |drafts: usize, threads| -> Vec<usize> {
            let shares = shares((0..drafts).collect(), threads);
            let mut all = shares.concat();
            all.sort_unstable();
            assert_eq!(all, Vec::from_iter(0..drafts));
            shares.iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(12, 1), [12]);
        assert_eq!(sizes(13, 2), [7, 6]);
        assert_eq!(sizes(7, 9), [7]);
        assert_eq!(sizes(17, 9), [5, 4, 4, 4]);
        assert_eq!(sizes(0, 2), [0]);
    }

    #[tokio::test]
    async fn a_chain_is_the_same_however_many_threads_sign_it() {
        let origin: Origin = "https://blog.example".parse().unwrap();
        let kinds = "pp.xp".repeat(20);
        let seals = seal(&origin, at(5), vec![(chain("a", 0, &kinds), key())])
            .await
            .unwrap();
        for waiting in name_chain(&origin, at(5), &chain("a", 0, &kinds), &key()) {
            let (request, sealed) = waiting.sign();
            assert_eq!(seals[&request], sealed);
        }
        assert_eq!(seals.len(), kinds.len());
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
