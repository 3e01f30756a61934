//! Conditions on the figures of a run, such as `p99>5ms`: what fails it, or what must hold.
//!
//! ```text
//! condition = figure relation bound
//! figure    = [series "."] ("p" percentile | "mean" | "min" | "max")     bound: a time
//!           | "errors"       share of requests without a right answer    bound: a share
//!           | "rate"         right answers per second                    bound: a rate
//! series    = "response" (if none is named) | "service" | "send_lag"
//! relation  = ">" | ">=" | "<" | "<="
//! ```
//!
//! Pure: text in, condition out; samples in, the value and a sentence about it out. Whether a
//! condition that is met is good or bad is the business of whoever asks.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::quantity::{self, Rate, show_nanos, show_share};
use crate::sample::Samples;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    text: String,
    figure: Figure,
    relation: Relation,
    /// In nanoseconds, as a share, or per second.
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Time(Series, Statistic),
    Errors,
    Rate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Series {
    Response,
    Service,
    SendLag,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistic {
    Mean,
    Min,
    Max,
    Percentile(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    More,
    AtLeast,
    Less,
    AtMost,
}

impl Condition {
    /// Parses `p99>5ms`, `service.max<=1s`, `errors>0.1%`, `rate<4.9k`.
    ///
    /// *Errors:* one sentence that shows what can be written.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (figure, relation, bound) = divide(text).ok_or_else(|| {
            format!(
                "`{text}` compares nothing; write 'p99>5ms', in quotes, or the like with <, >=, <=: the \
                 shell takes > and < for itself"
            )
        })?;
        let figure = Figure::parse(figure)?;
        Ok(Self {
            text: text.into(),
            figure,
            relation,
            bound: figure.parse_bound(bound)?,
        })
    }

    /// The condition that holds for a run unless another one speaks of errors.
    pub(crate) fn any_error() -> Self {
        Self {
            text: "errors>0".into(),
            figure: Figure::Errors,
            relation: Relation::More,
            bound: 0.0,
        }
    }

    /// Is it about answers that were wrong or did not come?
    pub(crate) fn is_about_errors(&self) -> bool {
        self.figure == Figure::Errors
    }

    /// Is it about a series that only an open loop has?
    pub(crate) fn needs_open_loop(&self) -> bool {
        matches!(self.figure, Figure::Time(Series::SendLag, _))
    }

    /// The figure's value; `None` when nothing was measured that has it.
    pub(crate) fn value(&self, samples: &Samples, measured: Duration) -> Option<f64> {
        let counts = &samples.counts;
        match self.figure {
            Figure::Time(series, statistic) => series
                .times(samples)
                .filter(|times| !times.is_empty())
                .map(|times| statistic.of(times)),
            Figure::Errors => (counts.total() > 0).then(|| error_share(samples)),
            Figure::Rate => {
                (!measured.is_zero()).then(|| counts.answered as f64 / measured.as_secs_f64())
            }
        }
    }

    /// Does it hold for `value`?
    pub(crate) fn is_met(&self, value: f64) -> bool {
        match self.relation {
            Relation::More => value > self.bound,
            Relation::AtLeast => value >= self.bound,
            Relation::Less => value < self.bound,
            Relation::AtMost => value <= self.bound,
        }
    }

    /// A value of its figure, in the unit a reader wants.
    pub(crate) fn show(&self, value: f64) -> String {
        match self.figure {
            Figure::Time(..) => show_nanos(value),
            Figure::Errors => show_share(value),
            Figure::Rate => format!("{value:.1}"),
        }
    }

    /// The same of the least and the most of several, if there is any.
    pub(crate) fn show_span(&self, span: Option<(f64, f64)>) -> String {
        match span {
            Some((least, most)) => format!("{} to {}", self.show(least), self.show(most)),
            None => "not measured".into(),
        }
    }

    /// The bound in nanoseconds, if the figure is a time.
    pub(crate) fn time_bound(&self) -> Option<f64> {
        matches!(self.figure, Figure::Time(..)).then_some(self.bound)
    }

    /// What was measured, in words: `p99 of the response time is 6.12 ms`.
    pub(crate) fn describe(&self, samples: &Samples, measured: Duration) -> String {
        let Some(value) = self.value(samples, measured) else {
            return format!("{} was not measured", self.figure);
        };
        match self.figure {
            Figure::Time(..) => format!("{} is {}", self.figure, show_nanos(value)),
            Figure::Errors => {
                let counts = &samples.counts;
                format!(
                    "{} of {} requests got no right answer, {}",
                    counts.failed_total() + counts.unanswered,
                    counts.total(),
                    show_share(value)
                )
            }
            Figure::Rate => format!("{} is {value:.1} answers/s", self.figure),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The share of requests that got no right answer.
pub(crate) fn error_share(samples: &Samples) -> f64 {
    let counts = &samples.counts;
    (counts.failed_total() + counts.unanswered) as f64 / counts.total().max(1) as f64
}

/// Figure, relation and bound, without the blanks between them.
fn divide(text: &str) -> Option<(&str, Relation, &str)> {
    // The longer signs first: each begins with a shorter one.
    const SIGNS: [(&str, Relation); 4] = [
        (">=", Relation::AtLeast),
        ("<=", Relation::AtMost),
        (">", Relation::More),
        ("<", Relation::Less),
    ];
    let (figure, relation, bound) = SIGNS.iter().find_map(|&(sign, relation)| {
        let (figure, bound) = text.split_once(sign)?;
        Some((figure.trim(), relation, bound.trim()))
    })?;
    (!figure.is_empty() && !bound.is_empty()).then_some((figure, relation, bound))
}

impl Figure {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "`{text}` is not a figure; write p99, p99.9, mean, min or max (after service. or \
                 send_lag. if it is not about the response time), errors, or rate"
            )
        };
        let (series, statistic) = match text.split_once('.') {
            Some(("response", statistic)) => (Series::Response, statistic),
            Some(("service", statistic)) => (Series::Service, statistic),
            Some(("send_lag", statistic)) => (Series::SendLag, statistic),
            // The point of `p99.9` is not that of a series.
            _ => (Series::Response, text),
        };
        Ok(match text {
            "errors" => Self::Errors,
            "rate" => Self::Rate,
            _ => Self::Time(series, Statistic::parse(statistic).ok_or_else(expected)?),
        })
    }

    fn parse_bound(self, text: &str) -> Result<f64, String> {
        match self {
            Self::Time(..) => quantity::duration(text).map(|bound| bound.as_nanos() as f64),
            Self::Errors => quantity::share(text),
            Self::Rate => Rate::parse(text).map(Rate::per_second),
        }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (series, statistic) = match self {
            Self::Errors => return f.write_str("the share of errors"),
            Self::Rate => return f.write_str("the rate"),
            Self::Time(series, statistic) => (series, statistic),
        };
        match statistic {
            Statistic::Mean => f.write_str("mean")?,
            Statistic::Min => f.write_str("min")?,
            Statistic::Max => f.write_str("max")?,
            Statistic::Percentile(percentile) => write!(f, "p{percentile}")?,
        }
        f.write_str(match series {
            Series::Response => " of the response time",
            Series::Service => " of the service time",
            Series::SendLag => " of the send lag",
        })
    }
}

impl Series {
    /// In a closed loop a request is due when it is sent: its service time is its response time.
    fn times(self, samples: &Samples) -> Option<&Histogram<u64>> {
        match (self, &samples.open) {
            (Self::Response, _) | (Self::Service, None) => Some(&samples.latency),
            (Self::Service, Some(open)) => Some(&open.service),
            (Self::SendLag, open) => open.as_ref().map(|open| &open.lag),
        }
    }
}

impl Statistic {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "mean" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            _ => {
                let percentile = text.strip_prefix('p')?.parse().ok()?;
                let is_one = (0.0..=100.0).contains(&percentile);
                is_one.then_some(Self::Percentile(percentile))?
            }
        })
    }

    fn of(self, times: &Histogram<u64>) -> f64 {
        match self {
            Self::Mean => times.mean(),
            Self::Min => times.min() as f64,
            Self::Max => times.max() as f64,
            Self::Percentile(percentile) => times.value_at_percentile(percentile) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::io::Instant;

    use super::*;
    use crate::sample::{Failure, Times};

    const SECOND: Duration = Duration::from_secs(1);

    fn parse(text: &str) -> Condition {
        Condition::parse(text).expect("a condition")
    }

    /// A hundred answers of 1 to 100 ms, each sent half a millisecond late, and a failure.
    fn samples() -> Samples {
        let mut samples = Samples::new(true);
        let at = Instant::from_nanos;
        let times = Times {
            due: at(0),
            free: at(0),
            sent: at(500_000),
        };
        for millis in 1..=100 {
            samples.answered(&times, at(millis * 1_000_000), 200);
        }
        samples.wrong(&times, Failure::Status, 503);
        samples
    }

    #[test]
    fn every_figure_has_its_value_and_relation() {
        let samples = samples();
        for (text, met) in [
            ("p99>98ms", true),
            ("p99>100ms", false),
            ("p50 < 60ms", true),
            ("p99.9>=99ms", true),
            ("mean<=50ms", false),
            ("response.mean <= 51ms", true),
            ("min<999us", false),
            ("service.min<=501us", true),
            ("service.max>99.9ms", false),
            ("send_lag.p99>=500us", true),
            ("send_lag.p99>501us", false),
            ("errors>0.9%", true),
            ("errors>=0.01", false),
            ("rate<101", true),
            ("rate<100", false),
            ("rate<=0.1k", true),
        ] {
            let condition = parse(text);
            let value = condition.value(&samples, SECOND).expect("a value");
            assert_eq!(condition.is_met(value), met, "{text}: {value}");
            assert_eq!(condition.to_string(), text);
        }
    }

    #[test]
    fn what_was_measured_is_said_in_words() {
        let samples = samples();
        for (text, words) in [
            ("p99.9>1s", "p99.9 of the response time is 100 ms"),
            ("send_lag.max>1s", "max of the send lag is 500 us"),
            ("errors>1%", "1 of 101 requests got no right answer, 0.99 %"),
            ("rate<1", "the rate is 100.0 answers/s"),
        ] {
            assert_eq!(parse(text).describe(&samples, SECOND), words);
        }
    }

    #[test]
    fn what_was_not_measured_has_no_value() {
        let closed = Samples::new(false);
        for text in ["p99>1s", "send_lag.p99>1s", "errors>0"] {
            let condition = parse(text);
            assert_eq!(condition.value(&closed, SECOND), None, "{text}");
            assert!(
                condition
                    .describe(&closed, SECOND)
                    .ends_with("was not measured")
            );
        }
        assert!(parse("send_lag.p99>1s").needs_open_loop());
    }

    #[test]
    fn mistakes_are_answered_with_the_grammar() {
        for (text, teaches) in [
            ("p99", "'p99>5ms', in quotes"),
            ("p99=5ms", "'p99>5ms', in quotes"),
            (">5ms", "'p99>5ms', in quotes"),
            ("p99>", "'p99>5ms', in quotes"),
            ("p101>5ms", "is not a figure; write p99"),
            ("median>5ms", "is not a figure; write p99"),
            ("server.p99>5ms", "is not a figure; write p99"),
            ("service.errors>1%", "is not a figure; write p99"),
            ("pNaN>5ms", "is not a figure; write p99"),
            ("p99>5", "not a duration; write 250ms"),
            ("p99>>5ms", "not a duration; write 250ms"),
            ("errors>5", "not a share; write 0.01 or 1%"),
            ("rate<fast", "not a rate; write requests per second"),
        ] {
            let error = Condition::parse(text).expect_err(text);
            assert!(error.contains(teaches), "{text}: {error}");
        }
    }
}
