//! Faults: the ways in which an answer goes wrong on purpose, and how often each does.
//!
//! ```text
//! faults = fault [":" probability] *("," fault ":" probability)     together at most 1
//! ```
//!
//! For tests of what stands between this origin and a client. Text in, faults out; which one an
//! answer gets is drawn from seeded random numbers. `misbehave.rs` commits them.

use std::time::Duration;

use crate::quantity;
use crate::random::Random;

/// One way to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is reset behind the head.
    ResetHead,
    /// The connection is reset in the middle of the body.
    ResetBody,
    /// The connection is closed instead of an answer.
    Close,
    /// The connection is closed in the middle of the body.
    CloseBody,
    /// The connection is closed in the middle of the head.
    CutHead,
    /// The status is not a number.
    BadStatus,
    /// The size of a chunk is not a number.
    BadChunk,
    /// Both `Content-Length` and `Transfer-Encoding`, and they disagree.
    TwoFramings,
    /// Any of the four above that break HTTP; drawn anew for each answer.
    Malformed,
    /// There is no answer, and the connection stays open.
    Stall,
    /// The body comes a few bytes at a time.
    SlowBody,
}

/// Their names, as they are asked for.
const NAMES: [(&str, Fault); 12] = [
    ("reset", Fault::Reset),
    ("reset-head", Fault::ResetHead),
    ("reset-body", Fault::ResetBody),
    ("close", Fault::Close),
    ("close-body", Fault::CloseBody),
    ("cut-head", Fault::CutHead),
    ("bad-status", Fault::BadStatus),
    ("bad-chunk", Fault::BadChunk),
    ("two-framings", Fault::TwoFramings),
    ("malformed", Fault::Malformed),
    ("stall", Fault::Stall),
    ("slow-body", Fault::SlowBody),
];

impl Fault {
    /// Parses a name; `none` is no fault.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text == "none" {
            return Ok(None);
        }
        let known = NAMES.iter().find(|(name, _)| *name == text);
        known.map(|&(_, fault)| Some(fault)).ok_or_else(|| {
            let names = NAMES.map(|(name, _)| name).join(", ");
            format!("`{text}` is not a fault; write one of {names}, or none")
        })
    }

    /// One of the definite ones for `Malformed`, itself else.
    pub(crate) fn drawn(self, random: &mut Random) -> Self {
        const MALFORMED: [Fault; 4] = [
            Fault::CutHead,
            Fault::BadStatus,
            Fault::BadChunk,
            Fault::TwoFramings,
        ];
        match self {
            Self::Malformed => MALFORMED[random.below(MALFORMED.len() as u64) as usize],
            definite => definite,
        }
    }
}

/// How often each fault happens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Faults {
    /// Each with the sum of the probabilities up to it.
    choices: Vec<(f64, Fault)>,
}

impl Faults {
    /// Parses `stall`, or `reset:0.01,malformed:0.1%`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut choices, mut sum) = (Vec::new(), 0.0);
        for part in text.split(',') {
            let (name, probability) = match part.split_once(':') {
                Some((name, share)) => (name, quantity::share(share)?),
                None => (part, 1.0),
            };
            sum += probability;
            choices.extend(Fault::parse(name)?.map(|fault| (sum, fault)));
        }
        if sum > 1.0 + 1e-9 {
            return Err(format!(
                "the probabilities of `{text}` add up to {sum}, to more than 1; write \
                 reset:0.01,malformed:0.1%"
            ));
        }
        Ok(Self { choices })
    }

    /// The fault of an answer; most have none.
    pub(crate) fn draw(&self, random: &mut Random) -> Option<Fault> {
        if self.choices.is_empty() {
            return None;
        }
        let at = random.unit();
        let drawn = self.choices.iter().find(|(sum, _)| at < *sum);
        drawn.map(|&(_, fault)| fault)
    }
}

/// The pace of a slow body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// As many bytes
    pub bytes: u64,
    /// in each stretch of this length.
    pub every: Duration,
}

impl Pace {
    /// Parses `16B/10ms`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a pace; write bytes per time, as in 16B/10ms");
        let (bytes, every) = text.split_once('/').ok_or_else(expected)?;
        let (bytes, every) = (quantity::size(bytes)?, quantity::duration(every)?);
        let is_one = bytes > 0 && !every.is_zero();
        is_one.then_some(Self { bytes, every }).ok_or_else(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_met_and_the_rest_is_well() {
        let faults = Faults::parse("reset:0.1,slow-body:5%").expect("faults");
        let mut random = Random::new(3, 0);
        let drawn: Vec<_> = (0..100_000).map(|_| faults.draw(&mut random)).collect();
        let share = |of| drawn.iter().filter(|&&fault| fault == of).count() as f64 / 1e5;
        assert!((share(Some(Fault::Reset)) - 0.1).abs() < 0.01);
        assert!((share(Some(Fault::SlowBody)) - 0.05).abs() < 0.01);
        assert!((share(None) - 0.85).abs() < 0.01);
        let always = Faults::parse("stall").expect("a fault");
        assert_eq!(always.draw(&mut random), Some(Fault::Stall));
        assert_eq!(Faults::default().draw(&mut random), None);
        assert_eq!(Faults::parse("none"), Ok(Faults::default()));
    }

    #[test]
    fn malformed_is_each_of_four() {
        let mut random = Random::new(1, 0);
        let mut seen: Vec<_> = (0..200)
            .map(|_| format!("{:?}", Fault::Malformed.drawn(&mut random)))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, ["BadChunk", "BadStatus", "CutHead", "TwoFramings"]);
        assert_eq!(Fault::Stall.drawn(&mut random), Fault::Stall);
    }

    #[test]
    fn mistakes_are_answered_with_what_can_be_written() {
        for (text, teaches) in [
            ("rest", "write one of reset, reset-head"),
            ("", "write one of reset"),
            ("reset:2", "not a share"),
            ("reset,stall", "add up to 2"),
        ] {
            let error = Faults::parse(text).expect_err(text);
            assert!(error.contains(teaches), "{text}: {error}");
        }
        for text in ["16B", "0/1s", "1B/0", "x/1s", "1B/x"] {
            assert!(Pace::parse(text).is_err(), "{text}");
        }
    }
}
