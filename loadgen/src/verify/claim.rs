//! A claim, and what a comparison says about it. Pure.
//!
//! A claim compares one figure of an entry to that of one or more peers times a factor, or to a
//! bound. The confidence interval decides: *verified* when all of it lies on the claimed side,
//! *refuted* when all of it lies on the other, else *inconclusive*. With several peers the claim is
//! against each of them, so the least favourable verdict is the claim's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::document::Document;
use crate::compare::metric::Metric;
use crate::compare::statistics::{self, Estimate};

/// Rounds that a claim asks for if it does not say.
const ROUNDS_DEFAULT: usize = 7;
/// Confidence that a claim asks for if it does not say.
const CONFIDENCE_DEFAULT: f64 = 0.95;

/// The file of claims.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    /// The claims, in the order of the table.
    #[serde(rename = "claim")]
    pub claims: Vec<Claim>,
}

/// A sentence that can be tested.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// Its name.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// The scenario that tests it, a name in `scenarios` beside the file.
    pub scenario: String,
    /// The entry it is about.
    #[serde(default = "subject")]
    pub subject: String,
    /// The figure.
    pub metric: String,
    /// How the figure relates.
    pub relation: Relation,
    /// To whose figure.
    #[serde(default)]
    pub peer: OneOrMore,
    /// What the peer's figure is multiplied by.
    pub factor: Option<f64>,
    /// To what number, in the metric's unit, if not to a peer.
    pub bound: Option<f64>,
    /// Rounds.
    #[serde(default = "rounds")]
    pub rounds: usize,
    /// Confidence of the interval.
    #[serde(default = "confidence")]
    pub confidence: f64,
}

/// How a figure relates to another.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Relation {
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
}

/// One name or several.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl OneOrMore {
    /// All of them.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::More(names) => names,
        }
    }
}

fn subject() -> String {
    "weft".into()
}

fn rounds() -> usize {
    ROUNDS_DEFAULT
}

fn confidence() -> f64 {
    CONFIDENCE_DEFAULT
}

/// What became of a claim; the worse one is the greater.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// The whole interval lies on the claimed side.
    Verified,
    /// The interval holds the limit.
    Inconclusive,
    /// The whole interval lies on the other side.
    Refuted,
}

impl Verdict {
    /// As it is printed.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Inconclusive => "inconclusive",
            Self::Refuted => "refuted",
        }
    }
}

/// A figure against one peer or a bound.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// The peer; `None` for a bound.
    pub peer: Option<String>,
    /// The ratio to the peer's figure, or the figure itself.
    pub figure: Estimate,
    /// What it means.
    pub verdict: Verdict,
}

/// What a run says about a claim.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Judgement {
    /// The claim as it was tested.
    pub claim: Claim,
    /// The verdict; `None` when it could not be tested.
    pub verdict: Option<Verdict>,
    /// By peer.
    pub findings: Vec<Finding>,
    /// Why it could not be tested.
    pub reason: Option<String>,
    /// What qualifies the figures: rounds of its entries that do not count.
    #[serde(default)]
    pub remarks: Vec<String>,
}

impl Claims {
    /// Reads and checks.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let claims: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut seen = BTreeMap::new();
        for claim in &claims.claims {
            claim
                .check()
                .map_err(|error| format!("claim {}: {error}", claim.id))?;
            if seen.insert(&claim.id, ()).is_some() {
                return Err(format!("claim {}: there are two", claim.id));
            }
        }
        Ok(claims)
    }
}

impl Claim {
    fn check(&self) -> Result<(), String> {
        Metric::find(&self.metric)?;
        let to_peer = !self.peer.names().is_empty() && self.factor.is_some();
        let to_bound = self.peer.names().is_empty() && self.factor.is_none();
        if !(to_peer && self.bound.is_none() || to_bound && self.bound.is_some()) {
            return Err("needs either peer and factor, or bound".into());
        }
        if self.peer.names().contains(&self.subject) {
            return Err(format!("{} cannot be its own peer", self.subject));
        }
        if self.text.contains(['|', '\n']) {
            return Err("text: one line without |, it stands in a table".into());
        }
        if !(0.5..=0.9999).contains(&self.confidence) {
            return Err("confidence: between 0.5 and 0.9999".into());
        }
        match self.rounds {
            2..=1_000 => Ok(()),
            _ => Err("rounds: from 2 to 1000; one round has no interval".into()),
        }
    }

    /// Judges by a comparison.
    pub(crate) fn judge(&self, document: &Document) -> Judgement {
        let findings =
            Metric::find(&self.metric).and_then(|metric| self.findings(document, metric));
        match findings {
            Ok(findings) => Judgement {
                claim: self.clone(),
                verdict: findings.iter().map(|finding| finding.verdict).max(),
                findings,
                reason: None,
                remarks: self.remarks(document),
            },
            Err(reason) => self.untested(&reason),
        }
    }

    /// A judgement that says why there is none.
    /// It is kept for others to read, so it names no folder of the machine.
    pub(crate) fn untested(&self, reason: &str) -> Judgement {
        Judgement {
            claim: self.clone(),
            verdict: None,
            findings: Vec::new(),
            reason: Some(crate::environment::command::sentence(reason)),
            remarks: Vec::new(),
        }
    }

    /// Rounds of the claim's entries that do not count, and why.
    fn remarks(&self, document: &Document) -> Vec<String> {
        let is_mine = |name: &String| *name == self.subject || self.peer.names().contains(name);
        let lines = document.summary.entries.iter();
        let lines = lines.filter(|line| is_mine(&line.name));
        let discarded = lines.flat_map(|line| {
            let all = line.discarded.iter();
            all.map(|why| format!("{}: discarded {why}", line.name))
        });
        discarded.collect()
    }

    fn findings(&self, document: &Document, metric: Metric) -> Result<Vec<Finding>, String> {
        let ours = document.figures(&self.subject, metric);
        let missing = |name: &str| format!("{name} has no rounds that count for {}", self.metric);
        if let Some(bound) = self.bound {
            let values: Vec<f64> = ours.into_values().collect();
            let figure = statistics::mean(&values, self.confidence);
            let figure = figure.ok_or_else(|| missing(&self.subject))?;
            return Ok(vec![Finding {
                peer: None,
                verdict: self.relation.verdict(&figure, bound),
                figure,
            }]);
        }
        let finding = |peer: &String| {
            let theirs = document.figures(peer, metric);
            let pairs: Vec<(f64, f64)> = ours
                .iter()
                .filter_map(|(round, &ours)| Some((ours, *theirs.get(round)?)))
                .collect();
            let figure = statistics::ratio(&pairs, self.confidence).ok_or_else(|| missing(peer))?;
            Ok(Finding {
                peer: Some(peer.clone()),
                verdict: self.relation.verdict(&figure, self.factor.unwrap_or(1.0)),
                figure,
            })
        };
        self.peer.names().iter().map(finding).collect()
    }
}

impl Relation {
    fn verdict(self, figure: &Estimate, limit: f64) -> Verdict {
        let (holds, fails) = match self {
            Self::AtMost => (figure.high <= limit, figure.low > limit),
            Self::AtLeast => (figure.low >= limit, figure.high < limit),
        };
        match (holds, fails) {
            (true, _) => Verdict::Verified,
            (_, true) => Verdict::Refuted,
            _ => Verdict::Inconclusive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: &str = r#"
        [[claim]]
        id = "a"
        text = "t"
        scenario = "h1-1k"
        metric = "cpu_us_per_request"
        relation = "<="
        peer = "nginx"
        factor = 0.8
    "#;

    fn estimate(low: f64, high: f64) -> Estimate {
        Estimate {
            mean: (low + high) / 2.0,
            low,
            high,
            rounds: 7,
        }
    }

    #[test]
    fn the_interval_decides() {
        for (relation, low, high, verdict) in [
            (Relation::AtMost, 0.7, 0.8, Verdict::Verified),
            (Relation::AtMost, 0.75, 0.81, Verdict::Inconclusive),
            (Relation::AtMost, 0.81, 0.9, Verdict::Refuted),
            (Relation::AtMost, 0.0, f64::INFINITY, Verdict::Inconclusive),
            (Relation::AtLeast, 0.8, 0.9, Verdict::Verified),
            (Relation::AtLeast, 0.7, 0.9, Verdict::Inconclusive),
            (Relation::AtLeast, 0.7, 0.79, Verdict::Refuted),
        ] {
            assert_eq!(relation.verdict(&estimate(low, high), 0.8), verdict);
        }
    }

    #[test]
    fn the_least_favourable_peer_decides() {
        let verdicts = [Verdict::Verified, Verdict::Refuted, Verdict::Inconclusive];
        assert_eq!(verdicts.into_iter().max(), Some(Verdict::Refuted));
        assert!(Verdict::Verified < Verdict::Inconclusive);
    }

    #[test]
    fn claims_are_checked() {
        let claims = Claims::parse(CLAIM).expect("a claim").claims;
        assert_eq!((claims[0].rounds, &*claims[0].subject), (7, "weft"));
        let check = |from: &str, to: &str, complaint: &str| {
            let error = Claims::parse(&CLAIM.replace(from, to)).expect_err(complaint);
            assert!(error.contains(complaint), "{error}");
        };
        check("cpu_us", "cpu", "is not a metric");
        check("\"<=\"", "\"<\"", "<=");
        check("factor = 0.8", "bound = 5", "either");
        check("factor = 0.8", "factor = 0.8\nrounds = 1", "rounds");
        check("\"nginx\"", "[\"weft\"]", "its own peer");
        check("\"t\"", "\"a | b\"", "table");
        let twice = Claims::parse(&[CLAIM, CLAIM].concat()).expect_err("two");
        assert!(twice.contains("two"));
    }
}
