//! Distributions given in words, one value drawn at a time. Pure but for the random numbers, which
//! are seeded.
//!
//! ```text
//! choices = choice [":" probability] *("," choice ":" probability)     probabilities add up to 1
//! choice  = value | value ".." value | "exp:" value
//! ```

use std::time::Duration;

use crate::quantity;
use crate::random::Random;

/// The longest drawn exponential, in means: keeps one answer in 22,000 million from lasting for
/// ever.
const EXPONENTIAL_MAX: f64 = 24.0;
/// How one choice draws its value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Choice {
    Fixed(u64),
    Even { low: u64, high: u64 },
    Exponential { mean: u64 },
}

impl Choice {
    fn parse(text: &str, value: Parse) -> Result<Self, String> {
        if let Some(mean) = text.strip_prefix("exp:") {
            return Ok(Self::Exponential { mean: value(mean)? });
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

    fn draw(self, random: &mut Random) -> u64 {
        match self {
            Self::Fixed(value) => value,
            Self::Even { low, high } => low + random.below(high - low + 1),
            Self::Exponential { mean } => {
                let means = -(1.0 - random.unit()).ln();
                (means.min(EXPONENTIAL_MAX) * mean as f64) as u64
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
            // `exp:5ms` has a colon of its own: a probability is a number after another one.
            let (choice, probability) = match part.rsplit_once(':') {
                Some((choice, share)) if choice != "exp" && share.parse::<f64>().is_ok() => {
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
        if text.contains("..") || text.contains("exp") {
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
        ] {
            assert!(Delays::parse(text).is_err(), "{text}");
        }
        for text in ["200..300", "exp:200", "100", "20", "200:0.5"] {
            assert!(Statuses::parse(text).is_err(), "{text}");
        }
        assert!(Delays::parse("exp:5ms").is_ok() && Delays::parse("0").is_ok());
        assert!(Delays::parse("exp:5ms:0.5,1ms..2ms:0.5").is_ok());
    }
}
