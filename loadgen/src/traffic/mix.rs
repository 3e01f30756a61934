//! A mix: kinds of requests, and which of them a number means.
//!
//! The choice and the size of the content are functions of seed and number, so a mix can be
//! repeated, and is the same for any number of shards.

use bytes::Bytes;

use crate::distribution::Sizes;
use crate::expect::Expectation;
use crate::random::Random;

use super::request::Request;

/// What makes the choices differ from others drawn from the same seed, and the sizes from them.
const CHOICE_STREAM: u64 = 0x6368_6F69_6365_7321;
const SIZE_STREAM: u64 = 0x7369_7A65_7321_2121;

/// The content of the requests of a kind.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The same for all; may be empty.
    Same(Bytes),
    /// As many bytes as are drawn.
    Sized(Sizes),
}

/// One kind of request, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its name in reports.
    pub name: String,
    /// How often it is chosen, in proportion to the others.
    pub weight: u64,
    /// What is sent.
    pub request: Request,
    /// With what content.
    pub content: Content,
    /// What must come back.
    pub expectation: Expectation,
}

/// Kinds of requests, at least one.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    entries: Vec<Entry>,
    /// The sum of the weights up to and with each.
    sums: Vec<u64>,
    seed: u64,
}

impl Mix {
    /// These entries, drawn from `seed`.
    pub(crate) fn new(entries: Vec<Entry>, seed: u64) -> Self {
        let sums = entries.iter().scan(0, |sum, entry| {
            *sum += entry.weight;
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
            entries,
            seed,
        }
    }

    /// The kinds.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The kind that request `number` is of.
    pub(crate) fn choose(&self, number: u64) -> usize {
        let [.., total] = *self.sums else { return 0 };
        if self.sums.len() == 1 {
            return 0;
        }
        let drawn = Random::new(self.seed ^ CHOICE_STREAM, number).below(total);
        self.sums.partition_point(|&sum| sum <= drawn)
    }

    /// The size of the content of request `number`, if its kind draws it from `sizes`.
    pub(crate) fn size(&self, sizes: &Sizes, number: u64) -> u64 {
        sizes.draw(&mut Random::new(self.seed ^ SIZE_STREAM, number))
    }

    /// The most bytes that can be drawn for any content.
    pub(crate) fn longest(&self) -> u64 {
        let longest = |entry: &Entry| match &entry.content {
            Content::Same(_) => 0,
            Content::Sized(sizes) => sizes.longest(),
        };
        self.entries.iter().map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::StatusSet;
    use crate::target::Url;

    fn mix(weights: &[u64], seed: u64) -> Mix {
        let url = Url::parse("http://h/").expect("a URL");
        let entry = |&weight: &u64| Entry {
            name: weight.to_string(),
            weight,
            request: Request::new(&url, "GET", url.path(), &[], false),
            content: Content::Sized(Sizes::parse("1..1000").expect("sizes")),
            expectation: Expectation {
                status: StatusSet::parse("2xx").expect("a set"),
                length: None,
                hash: None,
                grpc: None,
            },
        };
        Mix::new(weights.iter().map(entry).collect(), seed)
    }

    #[test]
    fn weights_are_met_and_choices_repeat() {
        let (one, same, other) = (
            mix(&[70, 25, 5], 1),
            mix(&[70, 25, 5], 1),
            mix(&[70, 25, 5], 2),
        );
        let mut counts = [0.0_f64; 3];
        for number in 0..100_000 {
            counts[one.choose(number)] += 1e-5;
            assert_eq!(one.choose(number), same.choose(number));
        }
        // One standard deviation is at most 0.0015.
        for (count, share) in counts.into_iter().zip([0.7, 0.25, 0.05]) {
            assert!((count - share).abs() < 0.0075, "{counts:?}");
        }
        assert!((0..100).any(|number| one.choose(number) != other.choose(number)));
        assert!((0..100).all(|number| mix(&[9], 1).choose(number) == 0));
    }

    #[test]
    fn sizes_do_not_depend_on_choices() {
        let mix = mix(&[1, 1], 1);
        let Content::Sized(sizes) = &mix.entries()[0].content else {
            unreachable!("all are drawn here");
        };
        let mean = |entry: usize| {
            let numbers = (0..20_000).filter(|&number| mix.choose(number) == entry);
            let drawn: Vec<f64> = numbers
                .map(|number| mix.size(sizes, number) as f64)
                .collect();
            drawn.iter().sum::<f64>() / drawn.len() as f64
        };
        // Each is 500.5, known to 2.9.
        assert!((mean(0) - 500.5).abs() < 15.0 && (mean(1) - 500.5).abs() < 15.0);
        assert_eq!(mix.longest(), 1_000);
    }
}
