//! From the plan to the rows and the answers, once the drafts are sealed.

use std::collections::{BTreeMap, HashMap};

use fedsx_proto::v1::Entry;
use fedsx_runtime::code::Refusal;
use jiff::Timestamp;

use super::{Answer, Complete, Content, Outcome, Plan, Planned, SealedDraft};
use crate::store::{DefinitionRow, DraftKeyRow, Facts, Placed, Rows, StreamRow};

/// A draft that the plan admitted has not been sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the draft of request {0} of the batch was not sealed")]
pub struct Unsealed(pub usize);

impl Plan {
    /// The rows to write, and the answer of each request once they are. `sealed` holds the drafts by their requests.
    ///
    /// # Errors
    /// [`Unsealed`]
    pub fn finish(
        self,
        facts: &Facts,
        mut sealed: HashMap<usize, SealedDraft>,
    ) -> Result<(Rows, Vec<Result<Answer, Refusal>>), Unsealed> {
        let mut writer = Writer::new(facts, self.kv_version);
        let mut placed = Vec::with_capacity(self.entries.len());
        for planned in self.entries {
            placed.push(writer.write(planned, &mut sealed)?);
        }
        let rows = Rows {
            kv: self.kv.into_values().collect(),
            ..writer.into_rows()
        };
        let answers = self
            .outcomes
            .into_iter()
            .map(|outcome| answer(outcome, &placed))
            .collect();
        Ok((rows, answers))
    }
}

fn answer(outcome: Outcome, placed: &[Placed]) -> Result<Answer, Refusal> {
    match outcome {
        Outcome::Appended(entry) => Ok(Answer::Appended(placed[entry].clone())),
        Outcome::DuplicateInBatch(entry) => Ok(Answer::Duplicate(placed[entry].clone())),
        Outcome::Duplicate(placed) => Ok(Answer::Duplicate(placed)),
        Outcome::Conflict { version } => Ok(Answer::Conflict { version }),
        Outcome::KvConflict(conflict) => Ok(Answer::KvConflict(conflict)),
        Outcome::Changed => Ok(Answer::Changed),
        Outcome::Refused(refusal) => Err(refusal),
    }
}

/// Numbers the entries and keeps the streams' rows with them.
struct Writer<'f> {
    facts: &'f Facts,
    rows: Rows,
    streams: BTreeMap<String, StreamRow>,
}

impl<'f> Writer<'f> {
    fn new(facts: &'f Facts, kv_version: u64) -> Self {
        let mut rows = Rows {
            head: facts.head,
            ..Rows::default()
        };
        rows.head.kv_version = kv_version;
        Self {
            facts,
            rows,
            streams: BTreeMap::new(),
        }
    }

    fn write(
        &mut self,
        planned: Planned,
        sealed: &mut HashMap<usize, SealedDraft>,
    ) -> Result<Placed, Unsealed> {
        let (activity, published) = match planned.content {
            Content::Complete(activity) => (activity, None),
            Content::Draft { .. } => {
                let draft = sealed.remove(&planned.request).ok_or(Unsealed(planned.request))?;
                (draft.activity, Some(draft.published))
            }
        };
        self.advance(&planned.stream, planned.version, &activity, published);
        let placed = Placed {
            position: self.rows.head.position,
            version: planned.version,
            cid: activity.cid.to_string(),
            activity_id: activity.activity_id.clone(),
        };
        self.rows
            .draft_keys
            .extend(planned.draft_key.map(|key| DraftKeyRow {
                stream: planned.stream.clone(),
                key,
                cid: placed.cid.clone(),
            }));
        if let Some(row) = planned.defines {
            self.rows.head.definition = placed.position;
            self.rows.definitions.push(DefinitionRow {
                position: placed.position,
                ..row
            });
        }
        self.rows.entries.push(Entry {
            position: placed.position,
            stream: planned.stream,
            version: placed.version,
            cid: activity.cid.into(),
            body: activity.body,
            meta: Some(planned.meta),
            appended_at_us: self.facts.now.as_microsecond(),
            activity_id: activity.activity_id,
            public: activity.public,
        });
        Ok(placed)
    }

    /// Moves the head and the stream's row on by one entry.
    fn advance(&mut self, stream: &str, version: u64, activity: &Complete, published: Option<Timestamp>) {
        self.rows.head.position += 1;
        self.rows.head.public += u64::from(activity.public);
        if let Some(row) = self.streams.get_mut(stream) {
            follow(row, version, activity, published);
            return;
        }
        let stored = self.facts.streams.get(stream).cloned();
        let mut row = stored.unwrap_or_else(|| StreamRow {
            name: stream.to_owned(),
            ..StreamRow::default()
        });
        follow(&mut row, version, activity, published);
        self.streams.insert(stream.to_owned(), row);
    }

    fn into_rows(mut self) -> Rows {
        self.rows.streams = self.streams.into_values().collect();
        self.rows
    }
}

fn follow(row: &mut StreamRow, version: u64, activity: &Complete, published: Option<Timestamp>) {
    row.version = version;
    row.public += u64::from(activity.public);
    if published.is_some() {
        row.published = published;
        if activity.public {
            row.public_cid = Some(activity.cid.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        Expected, plan,
        testing::{ALICE, BASE, INBOX, append, at_version, cid, complete, publish, put, with_actors},
    };

    fn sealed(text: &str, microsecond: i64) -> SealedDraft {
        SealedDraft {
            activity: complete(text),
            published: Timestamp::from_microsecond(microsecond).unwrap(),
        }
    }

    #[test]
    fn positions_and_versions_are_gapless_over_what_was_admitted() {
        let mut facts = with_actors();
        facts.head.position = 40;
        facts.head.public = 7;
        at_version(&mut facts, INBOX, 3);
        let requests = [
            append(Expected::Any, &["a", "public b"], &[put("k", None)]),
            append(Expected::Version(1), &["refused"], &[]),
            publish(ALICE, "form", None, &[]),
            publish("https://blog.example/actors/nobody", "", None, &[]),
            append(Expected::Any, &["c"], &[]),
            publish(ALICE, "form", None, &[]),
        ];
        let plan = plan(&requests, &facts, &BTreeMap::new());
        let (rows, answers) = plan
            .finish(&facts, HashMap::from([(2, sealed("public d", 5))]))
            .unwrap();

        let numbers: Vec<_> = rows
            .entries
            .iter()
            .map(|entry| (entry.position, entry.version))
            .collect();
        assert_eq!(numbers, [(41, 4), (42, 5), (43, 1), (44, 6)]);
        assert_eq!(
            (rows.head.position, rows.head.public, rows.head.kv_version),
            (44, 9, 3)
        );
        let streams: Vec<_> = rows.streams.iter().map(|row| (row.version, row.public)).collect();
        assert_eq!(streams, [(6, 1), (1, 1)]);
        assert_eq!(rows.draft_keys.len(), 1);
        assert_eq!(rows.draft_keys[0].cid, rows.entries[2].cid);
        let appended = Placed {
            position: 43,
            version: 1,
            cid: cid("public d").to_string(),
            activity_id: "https://events.example/public d".to_owned(),
        };
        assert_eq!(answers[2], Ok(Answer::Appended(appended.clone())));
        assert_eq!(answers[5], Ok(Answer::Duplicate(appended)));
        assert_eq!(answers[1], Ok(Answer::Conflict { version: 5 }));
        assert!(answers[3].is_err());
    }

    #[test]
    fn a_stream_remembers_what_its_next_draft_follows_on() {
        let mut facts = with_actors();
        let stream = format!("outbox/{ALICE}");
        at_version(&mut facts, &stream, 1);
        if let Some(row) = facts.streams.get_mut(&stream) {
            row.public_cid = Some(cid("public before"));
            row.published = Timestamp::from_microsecond(4).ok();
        }
        let drafts = [
            publish(ALICE, "", None, &[]),
            publish(ALICE, "", None, &[]),
            publish(BASE, "", None, &[]),
        ];
        let plan = plan(&drafts, &facts, &BTreeMap::new());
        let chains = plan.chains(&facts);
        let order: Vec<_> = chains
            .iter()
            .map(|chain| {
                chain
                    .drafts
                    .iter()
                    .map(|(request, _)| *request)
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(order, [vec![2], vec![0, 1]]);
        assert_eq!(chains[1].prev, Some(cid("public before")));
        assert_eq!(chains[1].published, Timestamp::from_microsecond(4).ok());

        let seals = [
            (0, sealed("public a", 5)),
            (1, sealed("b", 6)),
            (2, sealed("c", 5)),
        ];
        let (rows, _) = plan.finish(&facts, HashMap::from(seals)).unwrap();
        let alice = rows.streams.iter().find(|row| row.name == stream).unwrap();
        assert_eq!(alice.public_cid, Some(cid("public a")));
        assert_eq!(alice.published, Timestamp::from_microsecond(6).ok());
        let base = rows.streams.iter().find(|row| row.name != stream).unwrap();
        assert_eq!((base.version, &base.public_cid), (1, &None));
    }

    #[test]
    fn nothing_is_written_for_a_draft_that_was_forgotten() {
        let facts = with_actors();
        let plan = plan(&[publish(ALICE, "", None, &[])], &facts, &BTreeMap::new());
        assert_eq!(plan.finish(&facts, HashMap::new()).unwrap_err(), Unsealed(0));
    }
}
