//! The rate over time, as the command line gives it.
//!
//! ```text
//! pace  = phase *("," phase)
//! phase = level [".." level] [":" time]         5000    1k..10k    1k:10s,0:5s,1k..5k:20s,5k
//! level = rate | "0"
//! ```
//!
//! A phase with two levels goes evenly from one to the other. Only the last phase may leave its
//! time out: it lasts to the end of the run.

use std::time::Duration;

use crate::quantity::{self, Rate};

/// A stretch of time in which the rate stays or changes evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// Micro-requests per second at its beginning.
    pub from: u64,
    /// Micro-requests per second at its end.
    pub to: u64,
    /// How long it is; `None` is to the end of the run.
    pub length: Option<Duration>,
}

impl Phase {
    fn parse(text: &str) -> Result<Self, String> {
        let (levels, length) = match text.split_once(':') {
            Some((levels, length)) => (levels, Some(quantity::duration(length)?)),
            None => (text, None),
        };
        if length.is_some_and(|length| length.is_zero()) {
            return Err(format!("`{text}` takes no time"));
        }
        let (from, to) = levels.split_once("..").unwrap_or((levels, levels));
        Ok(Self {
            from: level(from)?,
            to: level(to)?,
            length,
        })
    }
}

fn level(text: &str) -> Result<u64, String> {
    match text {
        "0" => Ok(0),
        _ => Rate::parse(text).map(Rate::micros_per_second),
    }
}

/// The rate over the time of a run: at least one phase, one of them above zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    text: String,
    phases: Vec<Phase>,
}

impl Pace {
    /// Parses it from the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let phases: Result<Vec<_>, _> = text.split(',').map(Phase::parse).collect();
        let phases = phases?;
        let (_, before) = phases.split_last().ok_or("a rate is missing")?;
        if before.iter().any(|phase| phase.length.is_none()) {
            return Err(format!(
                "only the last phase of `{text}` may leave its time out; write 1k:10s,5k:5s"
            ));
        }
        if phases.iter().all(|phase| phase.from.max(phase.to) == 0) {
            return Err("a rate lies between 0.000001 and 10M requests per second".into());
        }
        Ok(Self {
            text: text.into(),
            phases,
        })
    }

    /// Its phases.
    pub(super) fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How long all its phases take; `None` when the last one goes on.
    pub(crate) fn length(&self) -> Option<Duration> {
        self.phases.iter().map(|phase| phase.length).sum()
    }

    /// Checks it against the `duration` that was asked for.
    pub(crate) fn check(&self, duration: Option<Duration>) -> Result<(), String> {
        let Some(duration) = duration else {
            return Ok(());
        };
        match self.length() {
            Some(length) if length != duration => Err(format!(
                "the phases of --rate take {length:?}, --duration says {duration:?}: leave one out"
            )),
            Some(_) => Ok(()),
            None => {
                let lengths = self.phases.iter().filter_map(|phase| phase.length);
                let before: Duration = lengths.sum();
                (before < duration).then_some(()).ok_or_else(|| {
                    format!(
                        "--duration {duration:?} ends before the last phase of --rate, which begins \
                         after {before:?}"
                    )
                })
            }
        }
    }
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        let micros = rate.micros_per_second();
        Self {
            text: rate.per_second().to_string(),
            phases: vec![Phase {
                from: micros,
                to: micros,
                length: None,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_read_in_order() {
        let pace = Pace::parse("1k:10s,0:5s,1k..5k:20s,5k").expect("a pace");
        let phases: Vec<_> = pace
            .phases()
            .iter()
            .map(|phase| (phase.from / 1_000_000, phase.to / 1_000_000, phase.length))
            .collect();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(
            phases,
            [
                (1_000, 1_000, seconds(10)),
                (0, 0, seconds(5)),
                (1_000, 5_000, seconds(20)),
                (5_000, 5_000, None)
            ]
        );
        assert_eq!(pace.length(), None);
        let rate = Rate::parse("0.5").expect("a rate");
        assert_eq!(Pace::from(rate), Pace::parse("0.5").expect("a pace"));
        assert_eq!(
            Pace::parse("1:1s,2:2s").expect("a pace").length(),
            seconds(3)
        );
    }

    #[test]
    fn paces_that_make_no_sense_are_refused() {
        for (text, complaint) in [
            ("", "not a rate"),
            ("0", "between"),
            ("0:1s,0..0", "between"),
            ("1k,2k", "only the last phase"),
            ("1k:0s", "no time"),
            ("1k:5", "not a duration"),
            ("1..", "not a rate"),
            ("1..2..3", "not a rate"),
            ("-1", "not a rate"),
            ("1k:1s,", "not a rate"),
        ] {
            let error = Pace::parse(text).expect_err(text);
            assert!(error.contains(complaint), "{text}: {error}");
        }
    }

    #[test]
    fn phases_and_duration_have_to_agree() {
        let check = |pace: &str, seconds: Option<u64>| {
            let pace = Pace::parse(pace).expect("a pace");
            pace.check(seconds.map(Duration::from_secs)).is_ok()
        };
        assert!(check("1k:10s,2k:5s", None) && check("1k:10s,2k:5s", Some(15)));
        assert!(!check("1k:10s,2k:5s", Some(10)) && !check("1k:10s,2k:5s", Some(20)));
        assert!(check("1k:10s,2k", Some(11)) && !check("1k:10s,2k", Some(10)));
        assert!(check("1k..2k", Some(1)));
    }
}
