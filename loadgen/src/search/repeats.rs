//! One rate, tested by repeated windows until the verdict is significant. Pure.
//!
//! A window keeps the SLO or breaks it; let `q` be the probability that one breaks it. A rate
//! keeps the SLO if `q` is at most 1/5, and breaks it if `q` is at least 4/5. Wald's sequential
//! test between the two adds ln 4 for each window that breaks and takes ln 4 away for each that
//! keeps, so it is decided when one kind leads by a fixed number of windows. By the gambler's ruin
//! such a lead of `n` is wrong with probability `1 / (1 + 4^n)` at the edges of the two, and less
//! beyond.
//!
//! Between the edges no verdict is wrong, and none may come: after three times the lead the test
//! gives up and says *inconclusive*. Windows are taken as independent, for which each is a run of
//! its own with new connections and a warm-up.

/// What one window showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// The SLO held.
    Kept,
    /// It did not.
    Broken,
    /// It did not, but the generator was the bottleneck: this says nothing of the target.
    Generator,
}

/// What is held of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It keeps the SLO.
    Kept,
    /// It breaks the SLO.
    Broken,
    /// Windows disagree: neither was shown.
    Inconclusive,
    /// The generator cannot tell.
    Generator,
}

impl Verdict {
    /// The word for it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken => "broken",
            Self::Inconclusive => "inconclusive",
            Self::Generator => "generator",
        }
    }
}

/// The odds of a window's kind at the edges: 4/5 to 1/5.
const ODDS: f64 = 4.0;
/// The most windows, in leads.
const LEADS_MAX: u32 = 3;
/// Leads beyond this would be for errors that no test here asks for.
const LEAD_MAX: u32 = 20;

/// A test in progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeats {
    lead: u32,
    kept: u32,
    broken: u32,
    generator: u32,
}

impl Repeats {
    /// A test that errs with probability `error` at most.
    pub(crate) fn new(error: f64) -> Self {
        let is_enough = |lead: &u32| 1.0 / (1.0 + ODDS.powf(f64::from(*lead))) <= error;
        Self {
            lead: (1..LEAD_MAX).find(is_enough).unwrap_or(LEAD_MAX),
            kept: 0,
            broken: 0,
            generator: 0,
        }
    }

    /// The most windows it takes.
    pub(crate) const fn most(&self) -> u32 {
        LEADS_MAX * self.lead
    }

    /// Takes the result of one window; the verdict, as soon as there is one.
    pub(crate) const fn feed(&mut self, window: Window) -> Option<Verdict> {
        match window {
            Window::Kept => self.kept += 1,
            Window::Broken => self.broken += 1,
            Window::Generator => self.generator += 1,
        }
        if self.kept >= self.broken + self.lead {
            Some(Verdict::Kept)
        } else if self.broken >= self.kept + self.lead {
            Some(Verdict::Broken)
        } else if self.generator >= self.lead {
            Some(Verdict::Generator)
        } else if self.kept + self.broken + self.generator >= self.most() {
            Some(Verdict::Inconclusive)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn verdict(error: f64, mut window: impl FnMut() -> Window) -> Verdict {
        let mut test = Repeats::new(error);
        loop {
            if let Some(verdict) = test.feed(window()) {
                return verdict;
            }
        }
    }

    #[test]
    fn agreeing_windows_decide_at_once_and_disagreeing_ones_never() {
        let mut test = Repeats::new(0.05);
        assert_eq!(
            [test.feed(Window::Kept), test.feed(Window::Kept)],
            [None, None]
        );
        assert_eq!(test.feed(Window::Kept), Some(Verdict::Kept));
        let mut turn = 0;
        let alternating = || {
            turn += 1;
            [Window::Kept, Window::Broken][turn % 2]
        };
        assert_eq!(verdict(0.05, alternating), Verdict::Inconclusive);
        assert_eq!(turn, 9);
        assert_eq!(verdict(0.05, || Window::Generator), Verdict::Generator);
    }

    #[test]
    fn errors_at_the_edges_are_as_rare_as_promised() {
        let mut random = Random::new(11, 0);
        for error in [0.05, 0.01, 0.002] {
            let wrong = (0..50_000).filter(|_| {
                let window = || match random.happens(0.2) {
                    true => Window::Broken,
                    false => Window::Kept,
                };
                verdict(error, window) == Verdict::Broken
            });
            let share = wrong.count() as f64 / 5e4;
            assert!(share <= error, "{share} of {error}");
        }
    }
}
