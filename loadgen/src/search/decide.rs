//! Which rate to test next, and when the search is over. Pure: verdicts in, probes out.
//!
//! ```text
//!   grow (x 2) ─┐                        ┌─ kept ─> refute just above ─ broken ─> found
//!               ├─> bisect ─> confirm ───┤                │
//! shrink (/ 2) ─┘      ^                 └─ else          └─ kept
//!                      └────────────────────┴───────────────┘   at most ATTEMPTS times
//! ```
//!
//! What was learned is kept monotone: a rate that kept the SLO clears what was held against lower
//! ones, and the other way round; the later test wins. `low` is the highest rate that kept it, the
//! ceiling the lowest that was not shown to. Only a verdict of *broken* bounds the knee from above.

use super::repeats::Verdict;

/// How often a retest may contradict what led to it.
pub(crate) const ATTEMPTS: u32 = 4;

/// Where to search, and how exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The first rate.
    pub start: f64,
    /// The lowest rate.
    pub min: f64,
    /// The highest rate.
    pub max: f64,
    /// How far apart, as a share, the rates are at the end that kept the SLO and that did not.
    pub precision: f64,
}

/// Why a rate is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To find a rate that is too high.
    Grow,
    /// To find one that is low enough.
    Shrink,
    /// To halve what lies between.
    Bisect,
    /// To see the found rate keep the SLO once more.
    Confirm,
    /// To see a rate just above break it.
    Refute,
}

impl Purpose {
    /// The word for it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Grow => "grow",
            Self::Shrink => "shrink",
            Self::Bisect => "bisect",
            Self::Confirm => "confirm",
            Self::Refute => "refute",
        }
    }

    /// Does the result rest on it?
    const fn is_retest(self) -> bool {
        matches!(self, Self::Confirm | Self::Refute)
    }

    /// How often a test for this purpose may err. What one search may err in all is divided among
    /// its retests; the other steps only lead to them.
    pub(crate) fn error(self, confidence: f64) -> f64 {
        let all = 1.0 - confidence;
        match self.is_retest() {
            true => all / f64::from(2 * ATTEMPTS),
            false => all,
        }
    }
}

/// A rate to test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Probe {
    /// Requests per second.
    pub rate: f64,
    /// Why.
    pub purpose: Purpose,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    /// `low` keeps the SLO, `high` breaks it.
    Found { low: f64, high: f64 },
    /// The highest rate allowed keeps it.
    AtMaximum { low: f64 },
    /// Above `low` the generator is the bottleneck; without one, at every rate.
    Generator { low: Option<f64> },
    /// The lowest rate allowed does not keep it.
    NeverKept,
    /// Retests contradicted what led to them again and again.
    Unsettled { low: Option<f64>, high: Option<f64> },
}

/// A search in progress.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    bounds: Bounds,
    /// What is held of rates, ascending: first those that kept the SLO, then the others.
    learned: Vec<(f64, Verdict)>,
    /// The rate that a retest saw keep the SLO.
    confirmed: Option<f64>,
    contradictions: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Probing(Probe),
    Ended(Ending),
}

impl Search {
    /// A search within `bounds`.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let first = Probe {
            rate: bounds.start.clamp(bounds.min, bounds.max),
            purpose: Purpose::Grow,
        };
        Self {
            bounds,
            learned: Vec::new(),
            confirmed: None,
            contradictions: 0,
            state: State::Probing(first),
        }
    }

    /// What to test next; `None` when the search is over.
    pub(crate) const fn probe(&self) -> Option<Probe> {
        match self.state {
            State::Probing(probe) => Some(probe),
            State::Ended(_) => None,
        }
    }

    /// How it ended; `None` while it has not.
    pub(crate) const fn ending(&self) -> Option<Ending> {
        match self.state {
            State::Probing(_) => None,
            State::Ended(ending) => Some(ending),
        }
    }

    /// The highest rate that kept the SLO and the lowest that broke it, as far as is known.
    pub(crate) fn interval(&self) -> (Option<f64>, Option<f64>) {
        (self.low(), self.broken_above(0.0))
    }

    /// Takes the verdict on the probe.
    pub(crate) fn feed(&mut self, verdict: Verdict) {
        if let State::Probing(probe) = self.state {
            self.learn(probe.rate, verdict);
            self.state = self
                .retested(probe, verdict)
                .unwrap_or_else(|| self.advance());
        }
    }

    fn learn(&mut self, rate: f64, verdict: Verdict) {
        self.learned.retain(|&(other, held)| match verdict {
            Verdict::Kept => other > rate || (held == Verdict::Kept && other < rate),
            _ => other < rate || (held != Verdict::Kept && other > rate),
        });
        self.learned.push((rate, verdict));
        self.learned.sort_by(|one, other| one.0.total_cmp(&other.0));
    }

    fn low(&self) -> Option<f64> {
        let mut kept = self
            .learned
            .iter()
            .filter(|(_, held)| *held == Verdict::Kept);
        kept.next_back().map(|&(rate, _)| rate)
    }

    fn ceiling(&self) -> Option<(f64, Verdict)> {
        let mut others = self
            .learned
            .iter()
            .filter(|(_, held)| *held != Verdict::Kept);
        others.next().copied()
    }

    fn broken_above(&self, least: f64) -> Option<f64> {
        let mut broken = self.learned.iter();
        let broken = broken.find(|&&(rate, held)| held == Verdict::Broken && rate > least);
        broken.map(|&(rate, _)| rate)
    }

    /// What follows from a retest; `None` if it was none, or has opened the search again.
    fn retested(&mut self, Probe { rate, purpose }: Probe, verdict: Verdict) -> Option<State> {
        if !purpose.is_retest() {
            return None;
        }
        if verdict == Verdict::Kept {
            self.confirmed = Some(rate);
        }
        let low = self.low();
        match (purpose, verdict, low) {
            (Purpose::Confirm, Verdict::Kept, _) => return None,
            (Purpose::Refute, Verdict::Broken, Some(low)) => {
                return Some(State::Ended(Ending::Found { low, high: rate }));
            }
            (Purpose::Refute, Verdict::Generator, Some(_)) => {
                return Some(State::Ended(Ending::Generator { low }));
            }
            (Purpose::Refute, Verdict::Inconclusive, Some(low)) => {
                return Some(match self.broken_above(rate) {
                    Some(high) => State::Ended(Ending::Found { low, high }),
                    None if rate < self.bounds.max => self.refute(rate),
                    None => self.unsettled(),
                });
            }
            _ => {}
        }
        self.contradictions += 1;
        (self.contradictions > ATTEMPTS).then(|| self.unsettled())
    }

    fn unsettled(&self) -> State {
        let (low, high) = self.interval();
        State::Ended(Ending::Unsettled { low, high })
    }

    /// The next step from what has been learned.
    fn advance(&self) -> State {
        let Bounds {
            min,
            max,
            precision,
            ..
        } = self.bounds;
        let probe = |rate: f64, purpose| State::Probing(Probe { rate, purpose });
        match (self.low(), self.ceiling()) {
            (Some(low), Some((ceiling, _))) if ceiling / low > 1.0 + precision => {
                probe(rounded((low * ceiling).sqrt()), Purpose::Bisect)
            }
            (Some(low), None) if low < max => probe((low * 2.0).min(max), Purpose::Grow),
            (Some(low), _) if self.confirmed != Some(low) => probe(low, Purpose::Confirm),
            (Some(low), None) => State::Ended(Ending::AtMaximum { low }),
            (Some(low), Some((_, Verdict::Generator))) => {
                State::Ended(Ending::Generator { low: Some(low) })
            }
            (Some(low), Some(_)) => self.refute(low),
            (None, Some((ceiling, held))) if ceiling <= min => State::Ended(match held {
                Verdict::Generator => Ending::Generator { low: None },
                _ => Ending::NeverKept,
            }),
            (None, ceiling) => {
                let above = ceiling.map_or(self.bounds.start, |(rate, _)| rate);
                probe(rounded(above / 2.0).max(min), Purpose::Shrink)
            }
        }
    }

    /// A test of the rate just above `rate`.
    fn refute(&self, rate: f64) -> State {
        let above = rounded(rate * (1.0 + self.bounds.precision));
        State::Probing(Probe {
            rate: above.min(self.bounds.max),
            purpose: Purpose::Refute,
        })
    }
}

/// To four digits: rates are for people, and no search here is finer.
fn rounded(rate: f64) -> f64 {
    let scale = 10_f64.powf(3.0 - rate.abs().log10().floor());
    (rate * scale).round() / scale
}

#[cfg(test)]
#[path = "simulation.rs"]
mod tests;
