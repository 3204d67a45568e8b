//! What the log says at each position: by the kernel's folds, and by the oracle.

use fedsx_kernel::activity::Activity;

use crate::{
    entry::{self, Entry, FOLLOWERS},
    oracle::Oracle,
    rules::Rules,
    state::{LANES, has, lanes_of},
    tables::Tables,
};

/// One log: everything that can be said about it without looking at the ledger.
pub(crate) struct Log {
    pub entries: Vec<Entry>,
    activities: Vec<Activity>,
    tables: Vec<Tables>,
    oracles: Vec<Oracle>,
    /// By cursor, then by position: the lanes that the audience at the position owes, as the tables at the cursor tell.
    owed: Vec<Vec<u8>>,
    /// By position: the lanes that are owed by right.
    due: Vec<u8>,
    /// By cursor, by lane: positions that are owed no more, because of a block or the end of the follows.
    ended: Vec<[u8; LANES as usize]>,
}

impl Log {
    /// The log before its first entry; the prelude's followers are members already.
    fn new(prelude: &[Entry], rules: &Rules) -> Self {
        let mut log = Self {
            entries: vec![],
            activities: vec![],
            tables: vec![Tables::default()],
            oracles: vec![Oracle::default()],
            owed: vec![vec![0]],
            due: vec![0],
            ended: vec![Default::default()],
        };
        for &entry in prelude {
            log.push(entry, rules, 0);
        }
        let (tables, oracle) = (log.tables.pop().unwrap(), log.oracles.pop().unwrap());
        Self {
            entries: vec![],
            activities: log.activities,
            tables: vec![tables],
            oracles: vec![oracle],
            owed: vec![vec![0]],
            due: vec![0],
            ended: vec![Default::default()],
        }
    }

    fn push(&mut self, entry: Entry, rules: &Rules, offset: u64) {
        let mut cids = vec![];
        if let Entry::Gone {
            followers, through, ..
        } = entry
        {
            let then = &self.tables[usize::from(through)];
            cids.extend(
                (0..FOLLOWERS)
                    .filter(|&f| has(followers, f))
                    .map(|f| then.row_of(f).unwrap().cid.clone()),
            );
        }
        let (stream, activity) = entry::written(entry, &self.activities, &cids, offset);
        let mut tables = self.tables.last().unwrap().clone();
        let mut oracle = self.oracles.last().unwrap().clone();
        let mut ended = *self.ended.last().unwrap();
        let position = self.activities.len() as u64 + 1;
        if let Some(event) = entry::event(entry, &stream, &activity, &self.activities) {
            tables.fold(rules, &event, position);
        }
        oracle.fold(entry, &self.oracles);
        self.due.push(oracle.owed(entry));
        let through = match entry {
            Entry::Block(origin) => Some((origin, self.entries.len())),
            Entry::Gone { origin, through, .. } => Some((origin, usize::from(through))),
            _ => None,
        };
        if let Some((origin, through)) = through {
            lanes_of(origin).for_each(|lane| {
                ended[usize::from(lane)] |= (1u8 << through).wrapping_mul(2).wrapping_sub(2)
            });
        }
        self.entries.push(entry);
        self.activities.push(activity);
        let prelude = self.activities.len() - self.entries.len();
        let mut owed = vec![0];
        for (activity, position) in self.activities[prelude..].iter().zip(prelude as u64 + 1..) {
            owed.push(tables.owed(rules, activity, position));
        }
        self.owed.push(owed);
        self.tables.push(tables);
        self.oracles.push(oracle);
        self.ended.push(ended);
    }

    /// The highest position.
    pub(crate) fn head(&self) -> u8 {
        u8::try_from(self.entries.len()).unwrap()
    }

    pub(crate) fn entry(&self, position: u8) -> Entry {
        self.entries[usize::from(position) - 1]
    }

    pub(crate) fn owed(&self, cursor: u8, position: u8) -> u8 {
        self.owed[usize::from(cursor)][usize::from(position)]
    }

    pub(crate) fn is_due(&self, lane: u8, position: u8) -> bool {
        has(self.due[usize::from(position)], lane)
    }

    pub(crate) fn is_ended(&self, cursor: u8, lane: u8, position: u8) -> bool {
        has(self.ended[usize::from(cursor)][usize::from(lane)], position)
    }

    /// Whether an origin is blocked as fan-out has folded the log.
    pub(crate) fn is_blocked(&self, cursor: u8, origin: u8) -> bool {
        let mut decisions = self.entries[..usize::from(cursor)].iter();
        let last =
            decisions.rfind(|entry| **entry == Entry::Block(origin) || **entry == Entry::Unblock(origin));
        last == Some(&Entry::Block(origin))
    }

    pub(crate) fn open(&self, cursor: u8, origin: u8) -> u8 {
        self.tables[usize::from(cursor)].open(origin)
    }

    /// The lanes of the members at a cursor.
    pub(crate) fn lanes(&self, cursor: u8) -> u8 {
        let members = (0..FOLLOWERS).filter(|&f| self.tables[usize::from(cursor)].row_of(f).is_some());
        members.fold(0, |lanes, f| lanes | 1 << entry::lane_of(f))
    }
}

/// Every log that a script can come to; a state names its own by its place here.
pub(crate) struct Logs {
    rules: Rules,
    prelude: Vec<Entry>,
    logs: Vec<Log>,
}

impl Logs {
    pub(crate) fn new(rules: Rules, prelude: &[Entry], written: &[Entry]) -> Self {
        let mut logs = Self {
            rules,
            prelude: prelude.to_vec(),
            logs: vec![],
        };
        logs.find(written);
        logs
    }

    pub(crate) fn get(&self, log: u8) -> &Log {
        &self.logs[usize::from(log)]
    }

    /// The log that is `log` and one entry more.
    pub(crate) fn append(&mut self, log: u8, entry: Entry) -> u8 {
        let mut entries = self.get(log).entries.clone();
        entries.push(entry);
        self.find(&entries)
    }

    fn find(&mut self, entries: &[Entry]) -> u8 {
        if let Some(found) = self.logs.iter().position(|log| log.entries == entries) {
            return u8::try_from(found).unwrap();
        }
        let mut log = Log::new(&self.prelude, &self.rules);
        let offset = log.activities.len() as u64;
        for &entry in entries {
            log.push(entry, &self.rules, offset);
        }
        self.logs.push(log);
        u8::try_from(self.logs.len() - 1).unwrap()
    }
}
