//! A scenario: what is asked of the proxies, by how many connections, in how many rounds.
//!
//! A TOML file; `bench/README.md` is the reference of its keys. Unknown keys are errors. The peers
//! it names are looked up in `peers/` beside it, in `peers.toml` or, when it compares generators,
//! in `generators.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A scenario as it stands in its file, with what the command line put in its place.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Name of the file, without its ending.
    #[serde(default)]
    pub name: String,
    /// What it is about, in half a line.
    pub title: String,
    /// What its entries are.
    #[serde(default)]
    pub compares: Compares,
    /// What is requested.
    #[serde(default)]
    pub request: Request,
    /// How it is requested.
    pub load: Load,
    /// What each process has served when its memory is read for the first time.
    pub before: Option<Before>,
    /// The proxies are spoken to over TLS 1.3; they speak clear text to the origin.
    #[serde(default)]
    pub tls: bool,
    /// Groups to exchange keys in, as `--groups` of the generator takes them.
    #[serde(default)]
    pub tls_groups: Vec<String>,
    /// Every handshake is a full one.
    #[serde(default)]
    pub tls_full_handshakes: bool,
    /// What answers.
    #[serde(default)]
    pub origin: Origin,
    /// The peers, in the order of the table.
    pub peers: Vec<String>,
    /// The peer that is entered a second time, so that the table shows how large noise is.
    pub twice: Option<String>,
    /// The peer that the ratios are to.
    pub ratio_to: Option<String>,
    /// Rounds.
    #[serde(default = "rounds")]
    pub rounds: usize,
}

/// What the entries of a scenario are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compares {
    /// Proxies, between the generator and the origin.
    #[default]
    Proxies,
    /// Generators, which ask the origin.
    Generators,
}

impl Compares {
    /// Their name in the plural.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Proxies => "proxies",
            Self::Generators => "generators",
        }
    }

    /// What runs on the other processors.
    pub(crate) const fn others(self) -> &'static str {
        match self {
            Self::Proxies => "origin and generator",
            Self::Generators => "origin",
        }
    }

    /// The ending of the file that a run leaves: its histograms, or what the generator said.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Proxies => "hlog",
            Self::Generators => "txt",
        }
    }
}

/// What is requested.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Fields, `Name: value`.
    pub fields: Vec<String>,
    /// Size of the content sent, as in `64KiB`.
    pub body_size: Option<String>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            fields: Vec::new(),
            body_size: None,
        }
    }
}

/// How it is requested.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// Connections.
    pub connections: usize,
    /// Requests per second of an open loop; without it the loop is closed.
    pub rate: Option<f64>,
    /// Before each round's measured time.
    #[serde(with = "time", default = "warmup")]
    pub warmup: Duration,
    /// The measured time of a round.
    #[serde(with = "time")]
    pub duration: Duration,
}

/// What each process serves before its load begins: a closed loop.
///
/// Afterwards it holds what any busy proxy holds (pages of its program, histograms, buffers, room
/// for requests under way), and its memory is read: what it grows by from then on is the load's.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Before {
    /// Its connections. What they took is there when the load begins.
    pub connections: usize,
    /// How long it goes on.
    #[serde(with = "time")]
    pub duration: Duration,
}

/// What answers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Origin {
    /// Size of the answers, as in `1KiB`, or a distribution as `loadgen origin` takes it.
    pub body_size: Option<String>,
    /// Delay of the answers.
    pub delay: Option<String>,
    /// Listens on a Unix socket.
    pub unix: bool,
}

fn rounds() -> usize {
    7
}

fn warmup() -> Duration {
    Duration::from_millis(300)
}

/// Durations are written as they are read: `2s`, `300ms`.
mod time {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::quantity;

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let nanos = time.as_nanos();
        let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];
        let whole = units.iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
        let (unit, length) = whole.copied().unwrap_or(("ns", 1));
        to.collect_str(&format_args!("{}{unit}", nanos / length))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        quantity::duration(&text).map_err(D::Error::custom)
    }
}

impl Scenario {
    /// Reads a scenario from a file, or from `bench/scenarios` by its name; gives its folder too.
    pub(crate) fn read(given: &str) -> Result<(Self, PathBuf), String> {
        let named = Path::new("bench/scenarios").join(format!("{given}.toml"));
        let path = match Path::new(given).is_file() {
            true => PathBuf::from(given),
            false if named.is_file() => named,
            false => {
                return Err(format!(
                    "there is no scenario {given}: neither that file nor {} (run this where bench/ is, \
                     or name the file)",
                    named.display()
                ));
            }
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let mut scenario =
            Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default();
        scenario.name = stem.to_string_lossy().into_owned();
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
        Ok((scenario, folder))
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Checks values against each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        let known = |peer: &Option<String>, key: &str| match peer {
            Some(peer) if !self.peers.contains(peer) => Err(format!(
                "{key}: {peer} is not among the peers {:?}",
                self.peers
            )),
            Some(_) | None => Ok(()),
        };
        known(&self.twice, "twice")?;
        known(&self.ratio_to, "ratio_to")?;
        let mut names = self.peers.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() != self.peers.len() || names.is_empty() {
            return Err("peers: each once, and at least one".into());
        }
        if self.rounds == 0 || self.rounds > 1_000 {
            return Err("rounds: from 1 to 1000".into());
        }
        if self
            .load
            .rate
            .is_some_and(|rate| rate.is_nan() || rate <= 0.0)
        {
            return Err("load.rate: above zero".into());
        }
        if let Some(before) = &self.before
            && !(1..self.load.connections).contains(&before.connections)
        {
            return Err("before.connections: at least one, fewer than load.connections".into());
        }
        if !self.tls && (self.tls_full_handshakes || !self.tls_groups.is_empty()) {
            return Err("tls_groups, tls_full_handshakes: only with tls = true".into());
        }
        match self.compares {
            Compares::Proxies => Ok(()),
            Compares::Generators => self.check_for_generators(),
        }
    }

    /// Only what every generator can be told in the same way is compared.
    fn check_for_generators(&self) -> Result<(), String> {
        let (asked, plain) = (&self.request, Request::default());
        let complaint = match () {
            () if self.load.rate.is_some() => "load.rate: generators are compared in a closed loop",
            () if self.load.duration.subsec_nanos() > 0 || self.load.duration.is_zero() => {
                "load.duration: whole seconds, for generators that take no others"
            }
            () if self.before.is_some() => "before: generators are not served anything",
            () if self.tls => "tls: generators are compared in clear text",
            () if self.origin.unix => "origin.unix: not every generator connects to one",
            () if asked.method != plain.method
                || !asked.fields.is_empty()
                || asked.body_size.is_some() =>
            {
                "request: generators are compared by a GET of a path"
            }
            () => return Ok(()),
        };
        Err(complaint.into())
    }

    /// Connections of the load beyond those that each process has had before.
    pub(crate) fn connections_beyond(&self) -> usize {
        let there = self.before.as_ref().map_or(0, |before| before.connections);
        self.load.connections.saturating_sub(there)
    }

    /// The scenario with what each process serves before in the place of its load.
    pub(crate) fn with_load_before(&self) -> Option<Self> {
        let before = self.before.as_ref()?;
        Some(Self {
            load: Load {
                connections: before.connections,
                rate: None,
                warmup: Duration::ZERO,
                duration: before.duration,
            },
            ..self.clone()
        })
    }

    /// What the table says above itself.
    pub(crate) fn describe(&self) -> String {
        format!("{}: {}; {}", self.name, self.title, self.load.describe())
    }
}

impl Load {
    /// In a few words.
    pub(crate) fn describe(&self) -> String {
        let pace = match self.rate {
            Some(rate) => format!("open loop at {rate}/s"),
            None => "closed loop".into(),
        };
        format!("{} connections, {pace}", self.connections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        title = "t"
        peers = ["weft", "nginx"]
        twice = "weft"
        ratio_to = "nginx"
        rounds = 3
        [request]
        method = "POST"
        path = "/?echo=1"
        fields = ["X-A: b"]
        body_size = "64KiB"
        [load]
        connections = 8
        rate = 5000
        duration = "2s"
        [origin]
        body_size = "1KiB"
        unix = true
    "#;

    #[test]
    fn a_scenario_is_read_with_its_defaults() {
        let scenario = Scenario::parse(WHOLE).expect("a scenario");
        assert!(scenario.check().is_ok());
        assert_eq!(scenario.load.rate, Some(5_000.0));
        assert_eq!(scenario.load.duration, Duration::from_secs(2));
        assert_eq!(scenario.load.warmup, warmup());
        let least = "title = ''\npeers = ['a']\n[load]\nconnections = 1\nduration = '1s'";
        let scenario = Scenario::parse(least).expect("a scenario");
        assert_eq!((scenario.rounds, &*scenario.request.path), (7, "/"));
        let text = toml::to_string(&scenario).expect("it can be written");
        assert!(text.contains("warmup = \"300ms\""), "{text}");
        let again = Scenario::parse(&text).expect("it can be read");
        assert_eq!(again.load.duration, scenario.load.duration);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |from: &str, to: &str, complaint: &str| {
            let text = WHOLE.replace(from, to);
            let error = Scenario::parse(&text)
                .and_then(|scenario| scenario.check())
                .expect_err(complaint);
            assert!(error.contains(complaint), "{error}");
        };
        check("rounds", "round", "round");
        check("\"2s\"", "\"2\"", "duration");
        check("rounds = 3", "rounds = 0", "rounds");
        check("twice = \"weft\"", "twice = \"envoy\"", "twice");
        check("\"weft\", \"nginx\"", "\"nginx\", \"nginx\"", "peers");
        check("rate = 5000", "rate = -1", "rate");
        check("title", "compares = 'origins'\ntitle", "origins");
        let before = |connections: usize| {
            format!("[before]\nconnections = {connections}\nduration = '1s'\n[load]")
        };
        check("[load]", &before(0), "before.connections");
        check("[load]", &before(8), "before.connections");
    }

    #[test]
    fn what_was_served_before_has_connections_of_its_own() {
        let before = "[before]\nconnections = 3\nduration = '500ms'\n[load]";
        let scenario = Scenario::parse(&WHOLE.replace("[load]", before)).expect("a scenario");
        assert_eq!(scenario.check(), Ok(()));
        assert_eq!(scenario.connections_beyond(), 5);
        let before = scenario.with_load_before().expect("it is there");
        assert_eq!((before.load.connections, before.load.rate), (3, None));
        assert_eq!(before.load.duration, Duration::from_millis(500));
        let plain = Scenario::parse(WHOLE).expect("a scenario");
        assert_eq!(plain.connections_beyond(), 8);
        assert!(plain.with_load_before().is_none());
    }

    #[test]
    fn generators_are_asked_what_all_of_them_can() {
        let plain = "title = ''\ncompares = 'generators'\npeers = ['a']\n\
                     [load]\nconnections = 1\nduration = '2s'\n";
        let check = |text: &str| Scenario::parse(text).and_then(|scenario| scenario.check());
        assert_eq!(check(plain), Ok(()));
        assert_eq!(check(&format!("{plain}[request]\npath = '/a'")), Ok(()));
        for (text, complaint) in [
            (plain.replace("2s", "1500ms"), "duration"),
            (format!("{plain}rate = 5"), "rate"),
            (format!("{plain}[origin]\nunix = true"), "unix"),
            (format!("tls = true\n{plain}"), "tls"),
            (
                format!("tls_full_handshakes = true\n{plain}"),
                "only with tls",
            ),
            (format!("{plain}[request]\nmethod = 'POST'"), "request"),
            (
                plain.replace("connections = 1", "connections = 2")
                    + "[before]\nconnections = 1\nduration = '1s'",
                "before",
            ),
        ] {
            let error = check(&text).expect_err(complaint);
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn the_scenarios_of_the_repository_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios");
        let mut count = 0;
        for entry in fs::read_dir(folder).expect("bench/scenarios").flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "toml")
            {
                let path = entry.path();
                let (scenario, _) = Scenario::read(&path.to_string_lossy()).expect("a scenario");
                assert_eq!(scenario.check(), Ok(()), "{}", path.display());
                count += 1;
            }
        }
        assert!(count > 1);
    }
}
