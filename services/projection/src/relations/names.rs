//! Numbers for texts: an edge of numbers is small, and compared at once.

use std::{collections::HashMap, sync::Arc};

/// The texts that are in use, each with its number. A number is given again once nothing uses its text.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Numbers that may be out of use.
    left: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    text: Arc<str>,
    uses: u64,
}

impl Names {
    /// The text's number, which stays its own until it is released as often.
    pub(super) fn hold(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            if let Some(slot) = self.slot(*number) {
                slot.uses += 1;
            }
            return self.numbers.get(text).copied().unwrap_or_default();
        }
        let text: Arc<str> = text.into();
        let slot = Slot {
            text: text.clone(),
            uses: 1,
        };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(place) = self.slot(number) {
                    *place = slot;
                }
                number
            }
            None => {
                self.slots.push(slot);
                // A graph's edges are bounded far below.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.numbers.insert(text, number);
        number
    }

    pub(super) fn release(&mut self, number: u32) {
        if let Some(slot) = self.slot(number) {
            slot.uses = slot.uses.saturating_sub(1);
            if slot.uses == 0 {
                self.left.push(number);
            }
        }
    }

    /// Forgets what nothing uses. Only once nothing is known any more of edges that were to do with it.
    pub(super) fn sweep(&mut self) {
        for number in std::mem::take(&mut self.left) {
            let unused = self.slot(number).filter(|slot| slot.uses == 0);
            let text = unused.map(|slot| slot.text.clone());
            // It is twice in the list where it was used again in between.
            if let Some(text) = text
                && self.numbers.remove(&text).is_some()
            {
                self.free.push(number);
            }
        }
    }

    pub(super) fn number(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(super) fn text(&self, number: u32) -> Option<&Arc<str>> {
        let slot = self.slots.get(usize::try_from(number).ok()?)?;
        Some(&slot.text)
    }

    fn slot(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(number).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_again_once_its_text_is_out_of_use() {
        let mut names = Names::default();
        let jazz = names.hold("jazz");
        assert_eq!((names.hold("jazz"), names.hold("gig")), (jazz, 1));
        names.release(jazz);
        names.sweep();
        assert_eq!(names.number("jazz"), Some(jazz));
        names.release(jazz);
        assert_eq!(names.number("jazz"), Some(jazz), "not before the sweep");
        names.sweep();
        assert_eq!((names.number("jazz"), names.hold("blues")), (None, jazz));
        assert_eq!(names.text(jazz).map(|text| &**text), Some("blues"));
    }

    #[test]
    fn what_is_used_again_before_the_sweep_keeps_its_number() {
        let mut names = Names::default();
        let jazz = names.hold("jazz");
        names.release(jazz);
        assert_eq!(names.hold("jazz"), jazz);
        names.release(jazz);
        names.sweep();
        assert_eq!((names.hold("blues"), names.hold("gig")), (jazz, 1), "free once");
    }
}
