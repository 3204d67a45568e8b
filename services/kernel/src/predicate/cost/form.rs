//! Sums over the items of the macros around. Whatever overflows stays at the top, which is over every limit.

use super::Item;

/// A number of units and, for each macro around, so many for each unit that its item weighs.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    fixed: u64,
    /// The outermost macro's first.
    items: Vec<u64>,
}

impl Form {
    pub(super) fn fixed_at(fixed: u64) -> Self {
        let items = Vec::new();
        Self { fixed, items }
    }

    /// The weight of the item of the macro at `place`.
    pub(super) fn item(place: usize) -> Self {
        let mut items = vec![0; place];
        items.push(1);
        Self { fixed: 0, items }
    }

    /// Without a macro around, all there is.
    pub(super) fn fixed(&self) -> u64 {
        self.fixed
    }

    fn joined(&self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        let places = self.items.len().max(other.items.len());
        let at = |items: &[u64], place| items.get(place).copied().unwrap_or_default();
        let items = (0..places).map(|place| join(at(&self.items, place), at(&other.items, place)));
        Self {
            fixed: join(self.fixed, other.fixed),
            items: items.collect(),
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        self.joined(other, u64::saturating_add)
    }

    pub(super) fn and(&self, units: u64) -> Self {
        self.plus(&Self::fixed_at(units))
    }

    pub(super) fn times(&self, factor: u64) -> Self {
        self.clone().scaled(factor)
    }

    fn scaled(mut self, factor: u64) -> Self {
        self.fixed = self.fixed.saturating_mul(factor);
        for units in &mut self.items {
            *units = units.saturating_mul(factor);
        }
        self
    }

    /// No less than either.
    pub(super) fn most(&self, other: &Self) -> Self {
        self.joined(other, u64::max)
    }

    /// The one of two that is smaller where every item weighs its share. Both must hold.
    pub(super) fn least(self, other: Self, around: &[Item]) -> Self {
        match other.at_shares(around) < self.at_shares(around) {
            true => other,
            false => self,
        }
    }

    pub(super) fn at_shares(&self, around: &[Item]) -> u64 {
        let each = self.items.iter().zip(around);
        each.fold(self.fixed, |sum, (units, item)| {
            sum.saturating_add(units.saturating_mul(item.share))
        })
    }

    /// This, once for each of at most `count` items of the macro at `place`, which together weigh at most `weight`.
    pub(super) fn over(mut self, place: usize, count: u64, weight: &Self) -> Self {
        let each = self.items.get(place).copied().unwrap_or_default();
        self.items.truncate(place);
        self.scaled(count).plus(&weight.times(each))
    }
}
