//! One entry of one round: a `loadgen run` of its own, and what it measured.
//!
//! The generator is a process of its own on its own processors, so that what this program does in
//! between costs the generator nothing. Its JSON is read back. Pure but for [`turn`].

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::child::{Launch, Running};
use super::generator::children_cpu_time;
use super::options::CompareOptions;
use super::others::{Others, Reading, Used};
use super::proxy::Proxy;
use super::scenario::Scenario;
use super::stage::{Entry, Part, Stage};
use crate::launch::ITSELF;
use crate::report::figures::{Generator, Requests, Times, Watched};
use crate::run::watched::{self, Consumption};
use crate::verdict::{BUSY_SHARE_MAX, LAG_SHARE_MAX};

/// How much of the rate must have been answered within the measured time's requests.
const RATE_SHARE_MIN: f64 = 0.995;
/// The share of requests that may have waited for a connection where service times are to stand for
/// what users see: well below the share beyond the 99th percentile.
const WAITED_SHARE_MAX: f64 = 0.001;
/// What a run may take beyond its warm-up, duration and grace: opening thousands of connections.
const SLACK: Duration = Duration::from_secs(60);

/// What one run measured, as far as comparisons need it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    /// Right answers per second.
    pub answers_per_second: f64,
    /// Requests by what became of them.
    pub requests: Requests,
    /// Wrong or missing answers by kind.
    pub errors: BTreeMap<String, u64>,
    /// Whole answers by status, right or wrong.
    pub statuses: BTreeMap<u16, u64>,
    /// From the due time; in a closed loop from sending.
    pub response_time: Times,
    /// From sending; open loops only.
    pub service_time: Option<Times>,
    /// How late the generator was; open loops only.
    pub send_lag: Option<Times>,
    /// The generator itself.
    pub generator: Generator,
    /// The proxy.
    pub watched: Option<Watched>,
}

/// What a run is worth.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Worth {
    /// Nothing of it counts, and why.
    pub discarded: Option<String>,
    /// The generator was the bottleneck: throughput and times describe it, the CPU time per
    /// request still the proxy.
    pub generator_bound: bool,
    /// It was so only by sending late. That is in the response times and not in the service times,
    /// which leave nothing else out: nearly no request waited for a connection.
    #[serde(default)]
    pub only_late: bool,
    /// It is discarded only because others disturbed it. Memory does not depend on them.
    #[serde(default)]
    pub only_disturbed: bool,
}

impl Measured {
    /// How many requests got no right answer.
    pub(crate) const fn wrong(&self) -> u64 {
        self.requests.failed + self.requests.unanswered
    }

    /// Judges a run; `rate` of an open loop.
    pub(crate) fn judge(&self, rate: Option<f64>) -> Worth {
        let saturated = self.generator.threads.iter().any(|thread| {
            // Both are shares of the same time.
            thread.busy_share + thread.waiting_share > BUSY_SHARE_MAX
        });
        let lagged = self.send_lag.as_ref().zip(rate).is_some_and(|(lag, _)| {
            let (lag, response) = (lag.at("99"), self.response_time.at("99"));
            lag.zip(response)
                .is_some_and(|(lag, response)| lag > response * LAG_SHARE_MAX)
        });
        let wrong = self.wrong();
        let reached = rate.map(|rate| self.answers_per_second / rate);
        let discarded = match reached {
            _ if wrong > 0 => Some(format!("{wrong} requests got no right answer")),
            Some(share) if share < RATE_SHARE_MIN => Some(format!(
                "only {:.1} % of the rate was reached",
                share * 100.0
            )),
            Some(_) if saturated => Some("the generator had no time left at this rate".into()),
            _ if self.requests.answered == 0 => Some("nothing was answered".into()),
            _ if self.watched.is_none() => Some("the proxy's CPU time could not be read".into()),
            _ => None,
        };
        let waited = self.requests.waited_for_connection as f64;
        let none_waited = waited <= WAITED_SHARE_MAX * self.requests.due as f64;
        Worth {
            discarded,
            generator_bound: saturated || lagged,
            only_late: lagged && !saturated && none_waited,
            only_disturbed: false,
        }
    }

    /// The same, of a run that others `disturbed` in a way that makes it worth less.
    pub(crate) fn judge_disturbed(&self, rate: Option<f64>, disturbed: Option<String>) -> Worth {
        let worth = self.judge(rate);
        match disturbed {
            Some(why) if worth.discarded.is_none() => Worth {
                discarded: Some(why),
                only_disturbed: true,
                ..worth
            },
            Some(_) | None => worth,
        }
    }

    /// The share of the time that the proxy's threads waited for a processor.
    pub(crate) fn proxy_waiting_share(&self) -> Option<f64> {
        let consumed = self.watched?.consumption;
        (consumed.seconds > 0.0).then(|| consumed.waiting_seconds / consumed.seconds)
    }
}

/// One run of an entry.
#[derive(Debug)]
pub(crate) struct Turn {
    /// What was measured.
    pub measured: Measured,
    /// Resident memory of the proxy when the load began.
    pub resident_bytes_at_start: Option<u64>,
    /// What others took of the processors meanwhile.
    pub others: Others,
    /// What went wrong before the load began, which makes the run worth nothing.
    pub complaint: Option<String>,
}

/// Has an entry take its turn: a process of its own, under the scenario's load. `name` is the stem
/// of the files it leaves.
pub(crate) fn turn(
    stage: &Stage,
    entry: &Entry,
    scenario: &Scenario,
    options: &CompareOptions,
    name: &str,
    stop: &AtomicBool,
) -> Result<Turn, String> {
    let cpus = [&*options.proxy_cpus.0, &*options.load_cpus.0];
    let start = match &entry.part {
        Part::Proxy(start) => start,
        Part::Generator(call) => {
            let begin = Reading::now(used(stage, None)?);
            let measured = call.measure(stage, scenario, options, name, stop)?;
            return Ok(Turn {
                measured,
                resident_bytes_at_start: None,
                others: Reading::now(used(stage, None)?).since(&begin, cpus),
                complaint: None,
            });
        }
    };
    let proxy = stage.open(start, scenario, stop)?;
    let begin = Reading::now(used(stage, Some(&proxy))?);
    let mut complaint = None;
    if let Some(before) = scenario.with_load_before() {
        let served = measure(stage, &proxy, &before, options, "before", stop)?;
        complaint = (served.wrong() > 0).then(|| {
            let wrong = served.wrong();
            format!("{wrong} requests got no right answer before the load began")
        });
    }
    let resident = proxy.resident_bytes();
    let measured = measure(stage, &proxy, scenario, options, name, stop)?;
    Ok(Turn {
        measured,
        resident_bytes_at_start: Some(resident),
        others: Reading::now(used(stage, Some(&proxy))?).since(&begin, cpus),
        complaint,
    })
}

/// CPU time that the programs of the comparison have used so far.
fn used(stage: &Stage, proxy: Option<&Proxy>) -> Result<Used, String> {
    let origin = watched::tree_cpu_time(stage.origin.pid());
    let generators = children_cpu_time()?;
    Ok(match proxy {
        Some(proxy) => Used {
            by_proxy: watched::tree_cpu_time(proxy.running.pid()),
            by_load: origin + generators,
        },
        None => Used {
            by_proxy: generators,
            by_load: origin,
        },
    })
}

/// Puts the scenario's load on a proxy; `name` is the stem of the files it leaves.
pub(crate) fn measure(
    stage: &Stage,
    proxy: &Proxy,
    scenario: &Scenario,
    options: &CompareOptions,
    name: &str,
    stop: &AtomicBool,
) -> Result<Measured, String> {
    let file = |ending: &str| stage.scratch.file(&format!("{name}.{ending}"));
    let arguments = arguments(
        stage,
        (proxy.address, proxy.running.pid()),
        scenario,
        options,
        [&file("json"), &file("hlog")],
    );
    let mut running = Running::start(&Launch {
        name: "the generator",
        program: ITSELF.as_ref(),
        arguments: &arguments,
        cpus: &options.load_cpus.0,
        log: file("log"),
    })?;
    let limit = scenario.load.warmup + scenario.load.duration + SLACK;
    let status = running.wait(limit, stop)?;
    match status.code() {
        // Broken and invalid are judged here, with the figures.
        Some(0 | 2 | 3) => {}
        _ => return Err(running.complaint(&format!("failed against {}", proxy.running.name()))),
    }
    if proxy.running.ends_within(Duration::ZERO) {
        return Err(proxy.running.complaint("ended while it was measured"));
    }
    read(&file("json"))
}

/// What is known of a generator that ran for `duration`: how much it was answered, and what it
/// consumed.
pub(crate) fn of_generator(
    answered: u64,
    wrong: u64,
    cpu_time: Duration,
    duration: Duration,
) -> Measured {
    let per_request = cpu_time.as_secs_f64() * 1e6 / answered.max(1) as f64;
    let wrong_ones = (wrong > 0).then(|| ("wrong".to_owned(), wrong));
    Measured {
        answers_per_second: answered as f64 / duration.as_secs_f64(),
        requests: Requests {
            due: answered + wrong,
            answered,
            failed: wrong,
            unanswered: 0,
            waited_for_connection: 0,
        },
        errors: wrong_ones.into_iter().collect(),
        statuses: BTreeMap::new(),
        response_time: Times::default(),
        service_time: None,
        send_lag: None,
        generator: Generator {
            cpu_us_per_request: per_request,
            ..Generator::default()
        },
        watched: Some(Watched {
            cpu_us_per_request: (answered > 0).then_some(per_request),
            consumption: Consumption {
                seconds: duration.as_secs_f64(),
                cpu_seconds: cpu_time.as_secs_f64(),
                ..Consumption::default()
            },
        }),
    }
}

fn read(path: &Path) -> Result<Measured, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}

fn arguments(
    stage: &Stage,
    (proxy, proxy_pid): (SocketAddr, u32),
    scenario: &Scenario,
    options: &CompareOptions,
    [json, hlog]: [&Path; 2],
) -> Vec<String> {
    let (load, request, answer) = (&scenario.load, &scenario.request, stage.answer);
    let cpus: Vec<String> = options
        .load_cpus
        .0
        .iter()
        .map(ToString::to_string)
        .collect();
    let nanos = |time: Duration| format!("{}ns", time.as_nanos());
    let scheme = if stage.tls.is_some() { "https" } else { "http" };
    let mut arguments = vec![
        "run".to_owned(),
        format!("{scheme}://{proxy}{}", request.path),
    ];
    let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    add("--connections", load.connections.to_string());
    add("--warmup", nanos(load.warmup));
    add("--duration", nanos(load.duration));
    add("--cpus", cpus.join(","));
    add("--watch-pid", proxy_pid.to_string());
    add("--method", request.method.clone());
    add("--expect-status", answer.status.to_string());
    add("--expect-length", answer.length.to_string());
    add("--expect-hash", format!("{:08x}", answer.hash));
    add("--json", json.display().to_string());
    add("--hlog", hlog.display().to_string());
    if let Some(files) = &stage.tls {
        add("--cacert", files.certificate.display().to_string());
        add("--tls-version", "1.3".into());
        if !scenario.tls_groups.is_empty() {
            add("--groups", scenario.tls_groups.join(","));
        }
    }
    if let Some(rate) = load.rate {
        add("--rate", rate.to_string());
    }
    if let Some(size) = &request.body_size {
        add("--body-size", size.clone());
    }
    for field in &request.fields {
        add("--header", field.clone());
    }
    if scenario.tls_full_handshakes {
        arguments.push("--no-resumption".into());
    }
    arguments.push("--quiet".into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::Thread;

    fn measured(answered: u64, failed: u64, busy: f64, lag: u64) -> Measured {
        let times = |nanos| Times {
            percentiles_ns: [("99".to_owned(), nanos)].into(),
            ..Times::default()
        };
        Measured {
            answers_per_second: answered as f64,
            requests: Requests {
                due: answered + failed,
                answered,
                failed,
                unanswered: 0,
                waited_for_connection: 0,
            },
            errors: BTreeMap::new(),
            statuses: BTreeMap::new(),
            response_time: times(1_000),
            service_time: None,
            send_lag: Some(times(lag)),
            generator: Generator {
                cpu_us_per_request: 1.0,
                threads: vec![Thread {
                    busy_share: busy,
                    waiting_share: 0.06,
                }],
                ..Generator::default()
            },
            watched: Some(Watched {
                cpu_us_per_request: Some(10.0),
                consumption: Consumption {
                    seconds: 2.0,
                    cpu_seconds: 1.0,
                    waiting_seconds: 0.5,
                    ..Consumption::default()
                },
            }),
        }
    }

    #[test]
    fn a_rate_that_was_not_reached_discards_the_run() {
        let rate = Some(5_000.0);
        let worth = |run: &Measured| run.judge(rate).discarded.unwrap_or_default();
        assert_eq!(worth(&measured(5_000, 0, 0.5, 10)), "");
        assert!(worth(&measured(4_900, 0, 0.5, 10)).contains("98.0 %"));
        assert!(worth(&measured(5_000, 0, 0.9, 10)).contains("no time left"));
        assert!(worth(&measured(5_000, 1, 0.5, 10)).contains("1 requests"));
        let mut blind = measured(5_000, 0, 0.5, 10);
        blind.watched = None;
        assert!(worth(&blind).contains("CPU time"));
    }

    #[test]
    fn a_saturated_generator_leaves_the_cpu_time_of_a_closed_loop() {
        let busy = measured(5_000, 0, 0.9, 10).judge(None);
        assert!(busy.discarded.is_none() && busy.generator_bound);
        let idle = measured(5_000, 0, 0.5, 10).judge(None);
        assert!(!idle.generator_bound);
        let late = measured(5_000, 0, 0.5, 300).judge(Some(5_000.0));
        assert!(late.discarded.is_none() && late.generator_bound);
    }

    #[test]
    fn service_times_stand_when_the_generator_was_only_late() {
        use crate::compare::metric::Metric;
        let stand = |run: &Measured| {
            let worth = run.judge(Some(5_000.0));
            [Metric::P99, Metric::ServiceP99, Metric::CpuUs].map(|metric| metric.stands(&worth))
        };
        assert_eq!(stand(&measured(5_000, 0, 0.5, 10)), [true; 3]);
        assert_eq!(stand(&measured(5_000, 0, 0.5, 300)), [false, true, true]);
        assert_eq!(stand(&measured(5_000, 0, 0.9, 300)), [false, false, true]);
        let mut crowded = measured(5_000, 0, 0.5, 300);
        crowded.requests.waited_for_connection = 6;
        assert_eq!(stand(&crowded), [false, false, true]);
    }

    #[test]
    fn a_disturbed_run_says_nothing_but_what_memory_it_took() {
        use crate::compare::metric::Metric;
        let counts = |run: &Measured| {
            let worth = run.judge_disturbed(None, Some("others".into()));
            [Metric::CpuUs, Metric::ResidentPerConnection].map(|metric| metric.counts(&worth))
        };
        assert_eq!(counts(&measured(5_000, 0, 0.5, 10)), [false, true]);
        assert_eq!(counts(&measured(5_000, 1, 0.5, 10)), [false, false]);
        let undisturbed = measured(5_000, 0, 0.5, 10).judge_disturbed(None, None);
        assert!(Metric::CpuUs.counts(&undisturbed) && undisturbed.discarded.is_none());
    }

    #[test]
    fn waiting_is_a_share_of_the_time() {
        assert_eq!(measured(1, 0, 0.0, 0).proxy_waiting_share(), Some(0.25));
    }
}
