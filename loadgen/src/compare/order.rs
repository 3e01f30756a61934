//! In which order the entries of a round run.
//!
//! Forwards, then backwards: A B C, C B A, … Over each pair of rounds every entry has the same mean
//! place in time, so that a drift of the machine (heat, a neighbour's load) hits all alike.

/// The entries of `round`, counted from 0, in the order they run.
pub(crate) fn of_round(entry_count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..entry_count).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::of_round;

    #[test]
    fn every_other_round_runs_backwards() {
        let places = |entry: usize, rounds: usize| -> usize {
            let mut time = 0;
            let mut sum = 0;
            for round in 0..rounds {
                for at in of_round(4, round) {
                    sum += if at == entry { time } else { 0 };
                    time += 1;
                }
            }
            sum
        };
        assert_eq!(of_round(3, 0), [0, 1, 2]);
        assert_eq!(of_round(3, 1), [2, 1, 0]);
        for entry in 1..4 {
            assert_eq!(places(entry, 6), places(0, 6));
        }
    }
}
