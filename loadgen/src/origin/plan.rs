//! What an answer will be like: distributions given on the command line, one drawn value each, and
//! a request's own wishes from its query. Pure but for the random numbers, which are seeded.
//!
//! ```text
//! choices = choice [":" probability] *("," choice ":" probability)     probabilities add up to 1
//! choice  = value | value ".." value | "exp:" value
//! ```

use std::time::Duration;

use crate::quantity;

/// The longest drawn exponential, in means: keeps one answer in 22,000 million from lasting for
/// ever.
const EXPONENTIAL_MAX: f64 = 24.0;

/// A small, fast, seeded generator of random numbers (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The sequence of `seed`; each `stream` of a seed is another sequence.
    pub(crate) const fn new(seed: u64, stream: u64) -> Self {
        Self {
            state: seed ^ stream.wrapping_mul(0xD134_2543_DE82_EF95),
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Even in `[0, 1)`, with 53 bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Even in `0..bound`, up to a bias that no test here could see.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True with probability `share`.
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }
}

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
}

/// Distribution of delays.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delays(Distribution);

impl Delays {
    /// Parses it from the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Distribution::parse(text, nanos).map(Self)
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
}

/// What answers are like unless a request wishes otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    /// Body sizes.
    pub sizes: Sizes,
    /// Delays before the answer.
    pub delays: Delays,
    /// Statuses.
    pub statuses: Statuses,
    /// Probability of closing the connection afterwards.
    pub close_probability: f64,
    /// Are bodies chunked?
    pub chunked: bool,
}

/// One answer to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Status.
    pub status: u16,
    /// Body size in bytes.
    pub size: u64,
    /// How long to wait before it.
    pub delay: Duration,
    /// Chunked body?
    pub chunked: bool,
    /// Close the connection afterwards?
    pub close: bool,
    /// Answer with what is known about the request's body instead?
    pub echo: bool,
}

impl Defaults {
    /// Draws an answer and lets `query` change it. A wish that is not understood is an error: a
    /// test that misspells it should not pass.
    pub(crate) fn reply(&self, query: &[u8], random: &mut Random) -> Result<Reply, BadWish> {
        let mut reply = Reply {
            status: u16::try_from(self.statuses.0.draw(random)).unwrap_or(200),
            size: self.sizes.0.draw(random),
            delay: Duration::from_nanos(self.delays.0.draw(random)),
            chunked: self.chunked,
            close: random.happens(self.close_probability),
            echo: false,
        };
        for wish in query
            .split(|&byte| byte == b'&')
            .filter(|wish| !wish.is_empty())
        {
            let wish = std::str::from_utf8(wish).map_err(|_| BadWish)?;
            let (name, value) = wish.split_once('=').unwrap_or((wish, "1"));
            match name {
                "size" => reply.size = quantity::size(value).map_err(|_| BadWish)?,
                "delay" => reply.delay = quantity::duration(value).map_err(|_| BadWish)?,
                "status" => {
                    let status = status(value).map_err(|_| BadWish)?;
                    reply.status = u16::try_from(status).map_err(|_| BadWish)?;
                }
                "chunked" => reply.chunked = flag(value)?,
                "close" => reply.close = flag(value)?,
                "echo" => reply.echo = flag(value)?,
                // Other parameters are the business of whoever sends them.
                _ => {}
            }
        }
        Ok(reply)
    }
}

/// A query asks for something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadWish;

fn flag(value: &str) -> Result<bool, BadWish> {
    match value {
        "1" | "true" | "" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(BadWish),
    }
}

fn nanos(text: &str) -> Result<u64, String> {
    let nanos = quantity::duration(text)?.as_nanos();
    u64::try_from(nanos).map_err(|_| format!("`{text}` is too long"))
}

/// A final status: an interim one would leave the client waiting.
fn status(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|status| (200..600).contains(status))
        .ok_or_else(|| format!("`{text}` is not a status from 200 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(sizes: &str, delays: &str, statuses: &str) -> Defaults {
        Defaults {
            sizes: Sizes::parse(sizes).expect("sizes"),
            delays: Delays::parse(delays).expect("delays"),
            statuses: Statuses::parse(statuses).expect("statuses"),
            close_probability: 0.0,
            chunked: false,
        }
    }

    #[test]
    fn probabilities_are_met() {
        let defaults = defaults("10B..19B", "1ms:0.5,exp:2ms:0.5", "200:0.9,503:0.1");
        let mut random = Random::new(7, 0);
        let drawn: Vec<Reply> = (0..100_000)
            .map(|_| defaults.reply(b"", &mut random).expect("a reply"))
            .collect();
        let share = |of: &dyn Fn(&&Reply) -> bool| drawn.iter().filter(of).count() as f64 / 1e5;
        assert!((share(&|reply| reply.status == 503) - 0.1).abs() < 0.01);
        assert!((share(&|reply| reply.size == 10) - 0.1).abs() < 0.01);
        assert!(drawn.iter().all(|reply| (10..20).contains(&reply.size)));
        assert!((share(&|reply| reply.delay == Duration::from_millis(1)) - 0.5).abs() < 0.01);
        let mean = drawn
            .iter()
            .map(|reply| reply.delay.as_secs_f64())
            .sum::<f64>()
            / 1e5;
        assert!((mean - 0.0015).abs() < 0.000_05, "{mean}");
    }

    #[test]
    fn the_same_seed_draws_the_same_and_streams_differ() {
        let mut draws = [(1, 0), (1, 0), (1, 1), (2, 0)].map(|(seed, stream)| {
            let mut random = Random::new(seed, stream);
            [random.next(), random.next()]
        });
        assert_eq!(draws[0], draws[1]);
        draws.sort_unstable();
        assert_eq!(
            draws.windows(2).filter(|pair| pair[0] == pair[1]).count(),
            1
        );
    }

    #[test]
    fn a_request_has_its_way() {
        let defaults = defaults("1KiB", "0ms", "200");
        let mut random = Random::new(1, 0);
        let query = b"size=2KiB&delay=5ms&status=503&chunked=1&close=1&echo&other=x";
        let expected = Reply {
            status: 503,
            size: 2048,
            delay: Duration::from_millis(5),
            chunked: true,
            close: true,
            echo: true,
        };
        assert_eq!(defaults.reply(query, &mut random), Ok(expected));
        for query in [
            "size=x",
            "delay=5",
            "status=100",
            "status=700",
            "chunked=2",
            "size=\u{e9}",
        ] {
            assert_eq!(
                defaults.reply(query.as_bytes(), &mut random),
                Err(BadWish),
                "{query}"
            );
        }
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
