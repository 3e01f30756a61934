//! Distributions given in words, one value drawn at a time. Pure but for the random numbers, which
//! are seeded.
//!
//! ```text
//! choices = choice [":" probability] *("," choice ":" probability)     probabilities add up to 1
//! choice  = value | value ".." value | "exp:" value | "lognormal:" value "/" spread
//! spread  = sigma | "p99=" value
//! ```
//!
//! `exp:` takes the mean. `lognormal:` takes the median and either the standard deviation of the
//! logarithm or the 99th percentile, which people know of their own data:
//! `lognormal:4KiB/p99=64KiB`.

use std::time::Duration;

use crate::quantity;
use crate::random::Random;

/// The longest drawn exponential, in means: keeps one answer in 22,000 million from lasting for
/// ever.
const EXPONENTIAL_MAX: f64 = 24.0;
/// The farthest from the median that a log-normal value is drawn, in standard deviations: one in
/// 500 million would be farther.
const NORMAL_MAX: f64 = 6.0;
/// The 99th percentile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_874_040_841;

/// How one choice draws its value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    Fixed(u64),
    Even { low: u64, high: u64 },
    Exponential { mean: u64 },
    LogNormal { median: u64, sigma: f64 },
}

impl Choice {
    fn parse(text: &str, value: Parse) -> Result<Self, String> {
        if let Some(mean) = text.strip_prefix("exp:") {
            return Ok(Self::Exponential { mean: value(mean)? });
        }
        if let Some(given) = text.strip_prefix("lognormal:") {
            return Self::parse_log_normal(given, value);
        }
        let Some((low, high)) = text.split_once("..") else {
            return Ok(Self::Fixed(value(text)?));
        };
        let (low, high) = (value(low)?, value(high)?);
        if low > high || high - low == u64::MAX {
            return Err(format!(
                "`{text}` is not a range: its end is before its beginning"
            ));
        }
        Ok(Self::Even { low, high })
    }

    fn parse_log_normal(given: &str, value: Parse) -> Result<Self, String> {
        let expected = || {
            format!(
                "`lognormal:{given}` is not a median and a spread; write lognormal:4KiB/1.2 or \
                 lognormal:4KiB/p99=64KiB, with values of the right unit"
            )
        };
        let (median, spread) = given.split_once('/').ok_or_else(expected)?;
        let median = value(median)?;
        let sigma = match spread.strip_prefix("p99=") {
            Some(p99) => (value(p99)? as f64 / median as f64).ln() / NORMAL_P99,
            None => spread.parse().map_err(|_| expected())?,
        };
        // Also refuses what is not a number: a median of zero, a 99th percentile below it.
        if median == 0 || !(0.0..=10.0).contains(&sigma) {
            return Err(expected());
        }
        Ok(Self::LogNormal { median, sigma })
    }

    /// The most it can draw.
    fn longest(self) -> u64 {
        match self {
            Self::Fixed(value) => value,
            Self::Even { high, .. } => high,
            Self::Exponential { mean } => (EXPONENTIAL_MAX * mean as f64) as u64,
            Self::LogNormal { median, sigma } => {
                ((NORMAL_MAX * sigma).exp() * median as f64) as u64
            }
        }
    }

    fn draw(self, random: &mut Random) -> u64 {
        match self {
            Self::Fixed(value) => value,
            Self::Even { low, high } => low + random.below(high - low + 1),
            Self::Exponential { mean } => {
                let means = -(1.0 - random.unit()).ln();
                (means.min(EXPONENTIAL_MAX) * mean as f64) as u64
            }
            Self::LogNormal { median, sigma } => {
                let normal = random.normal().clamp(-NORMAL_MAX, NORMAL_MAX);
                ((normal * sigma).exp() * median as f64) as u64
            }
        }
    }
}

type Parse = fn(&str) -> Result<u64, String>;

/// Choices and the cumulated probability up to and with each.
#[derive(Clone, Debug, PartialEq)]
struct Distribution {
    choices: Vec<(f64, Choice)>,
}

impl Distribution {
    fn parse(text: &str, value: Parse) -> Result<Self, String> {
        let mut choices = Vec::new();
        let mut sum = 0.0;
        for part in text.split(',') {
            // `exp:5` has a colon of its own: a probability is a number after another one.
            let (choice, probability) = match part.rsplit_once(':') {
                Some((choice, share))
                    if !matches!(choice, "exp" | "lognormal") && share.parse::<f64>().is_ok() =>
                {
                    (choice, quantity::share(share)?)
                }
                _ => (part, 1.0),
            };
            sum += probability;
            choices.push((sum, Choice::parse(choice, value)?));
        }
        if (sum - 1.0).abs() > 1e-9 {
            return Err(format!(
                "the probabilities of `{text}` add up to {sum}, not to 1"
            ));
        }
        Ok(Self { choices })
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let choice = match self.choices.as_slice() {
            [(_, only)] => *only,
            choices => {
                let at = random.unit();
                let drawn = choices
                    .iter()
                    .find(|(sum, _)| at < *sum)
                    .or_else(|| choices.last());
                drawn.map_or(Choice::Fixed(0), |(_, choice)| *choice)
            }
        };
        choice.draw(random)
    }
}

/// Distribution of body sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sizes(Distribution);

impl Sizes {
    /// Parses it from the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Distribution::parse(text, quantity::size).map(Self)
    }

    /// Always this size.
    pub(crate) fn of(size: u64) -> Self {
        Self(Distribution {
            choices: vec![(1.0, Choice::Fixed(size))],
        })
    }

    /// The largest that can be drawn.
    pub(crate) fn longest(&self) -> u64 {
        let longest = self.0.choices.iter().map(|(_, choice)| choice.longest());
        longest.max().unwrap_or(0)
    }

    /// Draws one, in bytes.
    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        self.0.draw(random)
    }
}

/// Distribution of delays.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delays(Distribution);

impl Delays {
    /// Parses it from the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Distribution::parse(text, nanos).map(Self)
    }

    /// Draws one.
    pub(crate) fn draw(&self, random: &mut Random) -> Duration {
        Duration::from_nanos(self.0.draw(random))
    }
}

/// Distribution of statuses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statuses(Distribution);

impl Statuses {
    /// Parses it from the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains("..") || text.contains("exp") || text.contains("lognormal") {
            return Err(format!(
                "`{text}` is not a list of statuses; write 200:0.99,503:0.01"
            ));
        }
        Distribution::parse(text, status).map(Self)
    }

    /// Draws one.
    pub(crate) fn draw(&self, random: &mut Random) -> u16 {
        u16::try_from(self.0.draw(random)).unwrap_or(200)
    }
}

fn nanos(text: &str) -> Result<u64, String> {
    let nanos = quantity::duration(text)?.as_nanos();
    u64::try_from(nanos).map_err(|_| format!("`{text}` is too long"))
}

/// A final status: an interim one would leave the client waiting.
pub(crate) fn status(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|status| (200..600).contains(status))
        .ok_or_else(|| format!("`{text}` is not a status from 200 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_normal_values_have_the_median_and_the_percentile_asked_for() {
        for text in ["lognormal:4KiB/p99=64KiB", "lognormal:4KiB/1.1918"] {
            let sizes = Sizes::parse(text).expect("sizes");
            let mut random = Random::new(7, 0);
            let mut drawn: Vec<f64> = (0..100_000)
                .map(|_| sizes.draw(&mut random) as f64)
                .collect();
            drawn.sort_by(f64::total_cmp);
            // Known to 0.5 % and 1.4 % (one standard deviation).
            assert!(
                (drawn[50_000] / 4_096.0 - 1.0).abs() < 0.025,
                "{}",
                drawn[50_000]
            );
            assert!(
                (drawn[99_000] / 65_536.0 - 1.0).abs() < 0.07,
                "{}",
                drawn[99_000]
            );
            assert!(drawn[99_999] <= sizes.longest() as f64);
        }
        let longest = |text: &str| Sizes::parse(text).expect("sizes").longest();
        assert_eq!((longest("1KiB"), longest("1..9:0.5,7:0.5")), (1_024, 9));
        assert_eq!(
            (longest("exp:100"), longest("lognormal:100/0")),
            (2_400, 100)
        );
        assert_eq!(Sizes::of(7), Sizes::parse("7").expect("sizes"));
    }

    #[test]
    fn distributions_that_make_no_sense_are_refused() {
        for text in [
            "",
            "1",
            "5ms:0.5",
            "1ms:0.6,2ms:0.6",
            "9ms..1ms",
            "exp:",
            "1ms:2",
            "1ms:x",
            "lognormal:5ms",
            "lognormal:5ms/",
            "lognormal:0/1",
            "lognormal:5ms/-1",
            "lognormal:5ms/NaN",
            "lognormal:5ms/p99=1ms",
        ] {
            assert!(Delays::parse(text).is_err(), "{text}");
        }
        for text in [
            "200..300",
            "exp:200",
            "lognormal:200/1",
            "100",
            "20",
            "200:0.5",
        ] {
            assert!(Statuses::parse(text).is_err(), "{text}");
        }
        assert!(Delays::parse("exp:5ms").is_ok() && Delays::parse("0").is_ok());
        assert!(Delays::parse("exp:5ms:0.5,1ms..2ms:0.5").is_ok());
        assert!(Delays::parse("lognormal:5ms/p99=40ms:0.9,1s:0.1").is_ok());
    }
}
