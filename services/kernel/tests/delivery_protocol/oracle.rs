//! Who is owed what by right, told from the script without the kernel.

use crate::{
    entry::{self, Entry, FOLLOWERS},
    state::has,
};

/// Who follows, by the script itself: the Follows asked and not undone, and the one that made a member.
#[derive(Clone, Default)]
pub(crate) struct Oracle {
    asked: [Vec<u8>; FOLLOWERS as usize],
    member: [Option<u8>; FOLLOWERS as usize],
    blocked: u8,
}

impl Oracle {
    pub(crate) fn fold(&mut self, entry: Entry, earlier: &[Oracle]) {
        match entry {
            Entry::Follow(f, n) => self.asked[usize::from(f)].push(n),
            Entry::Accept(f, n) | Entry::AcceptAside(f, n) if self.asked[usize::from(f)].contains(&n) => {
                self.member[usize::from(f)] = Some(n);
            }
            Entry::Undo(f, n) | Entry::Reject(f, n) => self.end(f, n),
            Entry::Block(o) => {
                self.blocked |= 1 << o;
                for f in (0..FOLLOWERS).filter(|&f| entry::peer_of(f) == o) {
                    self.asked[usize::from(f)].clear();
                    self.member[usize::from(f)] = None;
                }
            }
            Entry::Unblock(o) => self.blocked &= !(1 << o),
            Entry::Gone {
                followers, through, ..
            } => {
                for f in (0..FOLLOWERS).filter(|&f| has(followers, f)) {
                    if let Some(n) = earlier[usize::from(through)].member[usize::from(f)] {
                        self.end(f, n);
                    }
                }
            }
            _ => {}
        }
    }

    /// The end of a Follow is the end of those before it, not of those after it.
    fn end(&mut self, f: u8, n: u8) {
        self.asked[usize::from(f)].retain(|&asked| asked > n);
        self.member[usize::from(f)] = self.member[usize::from(f)].filter(|&member| member > n);
    }

    pub(crate) fn owed(&self, entry: Entry) -> u8 {
        let owed = match entry {
            Entry::Post => (0..FOLLOWERS)
                .filter(|&f| self.member[usize::from(f)].is_some())
                .collect(),
            Entry::Direct(f) | Entry::Accept(f, _) | Entry::Reject(f, _) => vec![f],
            Entry::AcceptAside(..) => return 1 << 1,
            _ => vec![],
        };
        let owed = owed
            .into_iter()
            .filter(|&f| !has(self.blocked, entry::peer_of(f)));
        owed.fold(0, |lanes, f| lanes | 1 << entry::lane_of(f))
    }
}
