//! Which endpoints may be drawn now, and drawing one.
//!
//! In: places (of a cluster's endpoints) that join and leave. Out: a place drawn with a chance in
//! proportion to its weight. Over equal weights both cost the same whatever the number of places;
//! over different ones as many steps as that number has binary digits.
//!
//! Invariant: `slots[place]` is where `place` stands in `drawn`, or [`ABSENT`].

use super::Draws;
use super::fenwick::Fenwick;

const ABSENT: u32 = u32::MAX;

/// The places that may be drawn.
#[derive(Debug)]
pub(in crate::balance) struct Roster {
    drawn: Vec<u32>,
    slots: Vec<u32>,
    /// The weights of those in `drawn`; absent when all weights are equal.
    weights: Option<Fenwick>,
}

impl Roster {
    /// Of so many places none, yet. `is_weighted`: they have different weights.
    pub(in crate::balance) fn new(count: usize, is_weighted: bool) -> Self {
        Self {
            drawn: Vec::new(),
            slots: vec![ABSENT; count],
            weights: is_weighted.then(|| Fenwick::new(count)),
        }
    }

    /// How many may be drawn.
    pub(in crate::balance) fn count(&self) -> usize {
        self.drawn.len()
    }

    /// The sum of the weights of those that may be drawn, where equal weights count as one.
    pub(in crate::balance) fn total(&self) -> u64 {
        let tree = self.weights.as_ref();
        tree.map_or(self.drawn.len() as u64, Fenwick::total)
    }

    /// May `place` be drawn?
    pub(in crate::balance) fn contains(&self, place: u32) -> bool {
        self.slot(place).is_some()
    }

    /// The one that stands at `index`.
    pub(in crate::balance) fn at(&self, index: usize) -> Option<u32> {
        self.drawn.get(index).copied()
    }

    /// `place`, of this weight, may be drawn from now on, or not any more. Says whether that is
    /// new.
    pub(in crate::balance) fn set(&mut self, place: u32, weight: u32, is_in: bool) -> bool {
        let slot = self.slot(place);
        if slot.is_some() == is_in {
            return false;
        }
        match slot {
            Some(slot) => self.remove(place, slot),
            None => self.insert(place),
        }
        if let Some(tree) = &mut self.weights {
            let (from, to) = if is_in { (0, weight) } else { (weight, 0) };
            tree.change(place, from, to);
        }
        true
    }

    /// One drawn by weight.
    pub(in crate::balance) fn draw(&self, draws: &mut Draws) -> Option<u32> {
        match &self.weights {
            None => self.uniform(draws, self.drawn.len()),
            Some(tree) => tree.find(draws.below(tree.total())),
        }
    }

    /// One drawn by weight from all but `than`.
    pub(in crate::balance) fn draw_other(
        &self,
        draws: &mut Draws,
        than: u32,
        weight: u32,
    ) -> Option<u32> {
        self.slot(than)?;
        let Some(tree) = &self.weights else {
            let last = self.drawn.len().checked_sub(1)?;
            let place = self.uniform(draws, last)?;
            // The last takes the place of the one left out.
            return if place == than {
                self.at(last)
            } else {
                Some(place)
            };
        };
        let before = tree.before(than);
        let rest = tree.total().saturating_sub(u64::from(weight));
        if rest == 0 {
            return None;
        }
        let point = draws.below(rest);
        let skipped = if point >= before {
            u64::from(weight)
        } else {
            0
        };
        tree.find(point.saturating_add(skipped))
    }

    fn uniform(&self, draws: &mut Draws, count: usize) -> Option<u32> {
        let count = u64::try_from(count).unwrap_or(0);
        if count == 0 {
            return None;
        }
        self.at(usize::try_from(draws.below(count)).ok()?)
    }

    fn slot(&self, place: u32) -> Option<usize> {
        let slot = self.slots.get(place as usize).copied()?;
        if slot == ABSENT {
            None
        } else {
            Some(slot as usize)
        }
    }

    fn insert(&mut self, place: u32) {
        let Some(slot) = self.slots.get_mut(place as usize) else {
            return;
        };
        *slot = u32::try_from(self.drawn.len()).unwrap_or(ABSENT);
        self.drawn.push(place);
    }

    fn remove(&mut self, place: u32, slot: usize) {
        debug_assert_eq!(self.drawn.get(slot), Some(&place));
        if slot >= self.drawn.len() {
            return;
        }
        self.drawn.swap_remove(slot);
        let moved = self.drawn.get(slot).copied();
        for (place, slot) in [(Some(place), ABSENT as usize), (moved, slot)] {
            let place = place.and_then(|place| self.slots.get_mut(place as usize));
            if let Some(at) = place {
                *at = u32::try_from(slot).unwrap_or(ABSENT);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A roster of the places for which `is_in` holds.
    fn of(weights: &[u32], is_weighted: bool, is_in: impl Fn(u32) -> bool) -> Roster {
        let mut roster = Roster::new(weights.len(), is_weighted);
        for (place, weight) in (0..).zip(weights).filter(|(place, _)| is_in(*place)) {
            roster.set(place, *weight, true);
        }
        roster
    }

    /// The share of each of `count` places in many draws.
    fn shares(count: usize, mut draw: impl FnMut(&mut Draws) -> Option<u32>) -> Vec<f64> {
        let mut draws = Draws::new(3);
        let mut counts = vec![0_u32; count];
        for _ in 0..60_000 {
            if let Some(place) = draw(&mut draws) {
                counts[place as usize] += 1;
            }
        }
        counts
            .iter()
            .map(|times| f64::from(*times) / 60_000.0)
            .collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.01, "{found} for {expected}");
        }
    }

    #[test]
    fn draws_follow_the_weights_of_those_that_are_in() {
        let weights = [1, 2, 5, 2];
        let mut roster = of(&weights, true, |_| true);
        assert_near(
            &shares(4, |draws| roster.draw(draws)),
            &[0.1, 0.2, 0.5, 0.2],
        );
        assert!(roster.set(2, 5, false) && !roster.set(2, 5, false));
        assert_near(
            &shares(4, |draws| roster.draw(draws)),
            &[0.2, 0.4, 0.0, 0.4],
        );
        let others = shares(4, |draws| roster.draw_other(draws, 1, 2));
        assert_near(&others, &[1.0 / 3.0, 0.0, 0.0, 2.0 / 3.0]);
        assert!(roster.set(2, 5, true));
        assert_near(
            &shares(4, |draws| roster.draw(draws)),
            &[0.1, 0.2, 0.5, 0.2],
        );
    }

    #[test]
    fn equal_places_are_drawn_equally_also_after_changes() {
        let mut roster = of(&[1; 5], false, |place| place != 4);
        assert_near(
            &shares(5, |draws| roster.draw(draws)),
            &[0.25, 0.25, 0.25, 0.25, 0.0],
        );
        roster.set(0, 1, false);
        roster.set(4, 1, true);
        assert_near(
            &shares(5, |draws| roster.draw(draws)),
            &[0.0, 0.25, 0.25, 0.25, 0.25],
        );
        let third = 1.0 / 3.0;
        for than in 1..5_u32 {
            let mut expected = [0.0, third, third, third, third];
            expected[than as usize] = 0.0;
            let others = shares(5, |draws| roster.draw_other(draws, than, 1));
            assert_near(&others, &expected);
        }
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        let mut draws = Draws::new(1);
        for is_weighted in [true, false] {
            let none = of(&[1, 1], is_weighted, |_| false);
            assert_eq!(none.draw(&mut draws), None);
            let one = of(&[1, 1], is_weighted, |place| place == 1);
            assert_eq!(one.draw(&mut draws), Some(1));
            assert_eq!(one.draw_other(&mut draws, 1, 1), None);
        }
    }
}
