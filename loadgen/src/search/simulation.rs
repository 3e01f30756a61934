//! Searches against simulated targets whose knee is known: is the promise kept?
//!
//! A target's 99th percentile grows like that of a queue, `base / (1 - rate / capacity)`, times
//! log-normal noise; now and then a window is spoiled by something else altogether. Everything is
//! seeded.

use super::super::repeats::{Repeats, Window};
use super::*;
use crate::random::Random;

const BOUNDS: Bounds = Bounds {
    start: 1_000.0,
    min: 1.0,
    max: 1e7,
    precision: 0.05,
};

/// A target, seen through one condition, `p99 < 1`.
struct Target {
    base: f64,
    capacity: f64,
    /// Deviation of the logarithm of a window's figure.
    noise: f64,
    /// Probability that a window is spoiled.
    hiccups: f64,
    /// Above this rate the generator is late.
    generator: f64,
    random: Random,
}

impl Target {
    /// Draws one; its knee lies between 200 and 300,000 requests per second.
    fn draw(random: &mut Random, noise: f64) -> Self {
        Self {
            base: 0.02 + 0.4 * random.unit(),
            capacity: 400.0 * 1_000_f64.powf(random.unit()),
            noise: noise * (0.2 + 0.8 * random.unit()),
            hiccups: 0.03 * random.unit(),
            generator: f64::INFINITY,
            random: Random::new(random.next(), 0),
        }
    }

    /// The rate at which half of the windows break.
    fn knee(&self) -> f64 {
        self.capacity * (1.0 - self.base)
    }

    fn logarithm(&self, rate: f64) -> f64 {
        match 1.0 - rate / self.capacity {
            room if room > 0.0 => (self.base / room).ln(),
            _ => f64::INFINITY,
        }
    }

    /// The share of windows that break at `rate`, estimated from a thousand.
    fn broken_share(&mut self, rate: f64) -> f64 {
        let broken = (0..1_000).filter(|_| self.window(rate) == Window::Broken);
        broken.count() as f64 / 1e3
    }

    fn window(&mut self, rate: f64) -> Window {
        let figure = self.logarithm(rate) + self.noise * normal(&mut self.random);
        let is_broken = figure >= 0.0 || self.random.happens(self.hiccups);
        match is_broken {
            true if rate > self.generator => Window::Generator,
            true => Window::Broken,
            false => Window::Kept,
        }
    }

    fn search(&mut self, bounds: Bounds, confidence: f64) -> Found {
        let mut search = Search::new(bounds);
        let (mut probes, mut windows) = (0, 0);
        while let Some(probe) = search.probe() {
            let mut test = Repeats::new(probe.purpose.error(confidence));
            let verdict = loop {
                windows += 1;
                if let Some(verdict) = test.feed(self.window(probe.rate)) {
                    break verdict;
                }
            };
            assert!((bounds.min..=bounds.max).contains(&probe.rate), "{probe:?}");
            search.feed(verdict);
            probes += 1;
            assert!(probes < 200, "the search does not end");
        }
        Found {
            ending: search.ending().expect("it is over"),
            windows,
        }
    }
}

struct Found {
    ending: Ending,
    windows: u32,
}

/// A standard normal number (Box and Muller).
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

#[test]
fn the_found_rate_is_within_the_precision_as_often_as_promised() {
    for (confidence, seed) in [(0.95, 1), (0.99, 2)] {
        let mut random = Random::new(seed, 0);
        let (mut good, mut windows) = (0, 0);
        const SEARCHES: u32 = 3_000;
        for _ in 0..SEARCHES {
            let mut target = Target::draw(&mut random, 0.03);
            let found = target.search(BOUNDS, confidence);
            windows += found.windows;
            if let Ending::Found { low, .. } = found.ending {
                good += u32::from((low / target.knee()).ln().abs() <= 0.05_f64.ln_1p());
            }
        }
        let share = f64::from(good) / f64::from(SEARCHES);
        assert!(share >= confidence, "{share} of {confidence}");
        // Not by repeating without end.
        let mean = f64::from(windows) / f64::from(SEARCHES);
        assert!(mean < 90.0, "{mean} windows for a search");
    }
}

#[test]
fn the_interval_means_what_it_says_however_noisy_the_target() {
    const SEARCHES: u32 = 2_000;
    let mut random = Random::new(3, 0);
    let (mut found, mut wrong) = (0, 0);
    for _ in 0..SEARCHES {
        let mut target = Target::draw(&mut random, 0.8);
        if let Ending::Found { low, high } = target.search(BOUNDS, 0.95).ending {
            found += 1;
            let is_wrong = target.broken_share(low) >= 0.8 || target.broken_share(high) <= 0.2;
            wrong += u32::from(is_wrong || high <= low);
        }
    }
    assert!(found > SEARCHES * 9 / 10, "{found} of {SEARCHES}");
    assert!(
        f64::from(wrong) <= 0.05 * f64::from(found),
        "{wrong} of {found}"
    );
}

#[test]
fn a_generator_that_is_late_first_is_told_from_a_target() {
    let mut random = Random::new(4, 0);
    for _ in 0..500 {
        let mut target = Target::draw(&mut random, 0.03);
        // The generator itself makes the times long, below the target's knee.
        target.generator = target.knee() * (0.2 + 0.6 * random.unit());
        target.capacity = target.generator / (1.0 - target.base);
        target.generator *= 0.7;
        match target.search(BOUNDS, 0.95).ending {
            Ending::Generator { low: Some(low) } => {
                assert!(
                    (low / target.knee()).ln().abs() <= 0.1,
                    "{low}, {}",
                    target.knee()
                );
            }
            // A spoiled confirmation may leave nothing that was shown.
            Ending::Unsettled { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_ends_of_the_range_are_told() {
    let target = |base: f64, capacity| Target {
        base,
        capacity,
        noise: 0.01,
        hiccups: 0.0,
        generator: f64::INFINITY,
        random: Random::new(5, 0),
    };
    let bounds = Bounds {
        min: 100.0,
        max: 50_000.0,
        ..BOUNDS
    };
    let ending = |mut target: Target| target.search(bounds, 0.95).ending;
    assert_eq!(
        ending(target(0.1, 1e6)),
        Ending::AtMaximum { low: 50_000.0 }
    );
    assert_eq!(ending(target(0.1, 50.0)), Ending::NeverKept);
    assert_eq!(ending(target(2.0, 1e6)), Ending::NeverKept);
    let late = Target {
        generator: 1.0,
        ..target(2.0, 1e6)
    };
    assert_eq!(ending(late), Ending::Generator { low: None });
    // Below the start and above the minimum.
    let Ending::Found { low, high } = ending(target(0.1, 300.0)) else {
        panic!("it has a knee")
    };
    assert!(
        low <= 270.0 && 270.0 <= high && high / low <= 1.051,
        "{low} to {high}"
    );
}

#[test]
fn a_contradicted_rate_is_searched_again_and_not_for_ever() {
    let mut search = Search::new(BOUNDS);
    // The machine gets slower whenever it is looked at twice.
    let mut contradictions = 0;
    while let Some(probe) = search.probe() {
        let is_kept = probe.rate < 3_000.0 && !probe.purpose.is_retest();
        contradictions += u32::from(probe.purpose.is_retest());
        search.feed(if is_kept {
            Verdict::Kept
        } else {
            Verdict::Broken
        });
    }
    assert_eq!(contradictions, ATTEMPTS + 1);
    let Some(Ending::Unsettled {
        low: Some(low),
        high: Some(high),
    }) = search.ending()
    else {
        panic!("{:?}", search.ending())
    };
    assert!(low < high && high < 3_000.0, "{low} to {high}");
}

#[test]
fn rates_have_four_digits() {
    for (rate, expected) in [
        (1_414.213_56, 1_414.0),
        (123_456.7, 123_500.0),
        (0.012_345, 0.012_35),
    ] {
        assert!(
            (rounded(rate) / expected - 1.0).abs() < 1e-9,
            "{}",
            rounded(rate)
        );
    }
}
