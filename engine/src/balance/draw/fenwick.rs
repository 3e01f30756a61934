//! Weights as running sums that can change (Fenwick 1994).
//!
//! In: weights by place. Out: the place on which a number below their sum falls. Both a change
//! and a search cost as many steps as the number of places has binary digits.

/// A tree of sums over places.
#[derive(Debug)]
pub(in crate::balance) struct Fenwick {
    /// `sums[i]` is the sum of as many weights, the last of them number `i`, as the lowest set bit
    /// of `i + 1` says.
    sums: Vec<u64>,
    total: u64,
}

impl Fenwick {
    /// The tree over so many weights of zero.
    pub(in crate::balance) fn new(count: usize) -> Self {
        Self {
            sums: vec![0; count],
            total: 0,
        }
    }

    /// The sum of all weights.
    pub(in crate::balance) const fn total(&self) -> u64 {
        self.total
    }

    /// Replaces the weight `from` of a place by `to`.
    pub(in crate::balance) fn change(&mut self, place: u32, from: u32, to: u32) {
        let (from, to) = (u64::from(from), u64::from(to));
        let changed = |sum: u64| sum.saturating_add(to).saturating_sub(from);
        self.total = changed(self.total);
        let mut index = place as usize;
        while let Some(sum) = self.sums.get_mut(index) {
            *sum = changed(*sum);
            index |= index.wrapping_add(1);
        }
    }

    /// The sum of the weights before `place`.
    pub(in crate::balance) fn before(&self, place: u32) -> u64 {
        let mut sum = 0_u64;
        let mut end = place as usize;
        while let Some(index) = end.checked_sub(1) {
            sum = sum.saturating_add(self.sums.get(index).copied().unwrap_or(0));
            end &= index;
        }
        sum
    }

    /// The place on which `point` falls; `None` from the sum of all weights on.
    pub(in crate::balance) fn find(&self, point: u64) -> Option<u32> {
        if point >= self.total {
            return None;
        }
        let (mut place, mut left) = (0_usize, point);
        let mut step = self.sums.len().checked_next_power_of_two()?;
        while step > 0 {
            let end = place.saturating_add(step);
            if let Some(sum) = self.sums.get(end.saturating_sub(1))
                && *sum <= left
            {
                left = left.saturating_sub(*sum);
                place = end;
            }
            step >>= 1;
        }
        u32::try_from(place).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Draws;
    use super::*;

    #[test]
    fn agrees_with_running_sums_whatever_changes() {
        let mut draws = Draws::new(1);
        for count in [1_u32, 2, 3, 7, 8, 9, 100, 1000] {
            let mut weights = vec![0; count as usize];
            let mut tree = Fenwick::new(count as usize);
            for _ in 0..200 {
                let place = draws.below(u64::from(count)) as u32;
                let weight = draws.below(20) as u32;
                tree.change(place, weights[place as usize], weight);
                weights[place as usize] = weight;
                let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
                assert_eq!(tree.total(), total);
                let point = draws.below(total.max(1));
                let mut sum = 0;
                let expected = weights.iter().position(|weight| {
                    sum += u64::from(*weight);
                    point < sum
                });
                assert_eq!(tree.find(point), expected.map(|at| at as u32));
                assert_eq!(tree.find(total), None);
                let before = weights.iter().take(place as usize);
                let before: u64 = before.map(|weight| u64::from(*weight)).sum();
                assert_eq!(tree.before(place), before);
            }
        }
    }
}
