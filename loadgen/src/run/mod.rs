//! `loadgen run`: starts the shards, collects what they measure, reports.
//!
//! The calling thread is the collector: it never sends a request. Shards open their connections
//! first; when all have reported, one common start instant goes out to them. SIGINT and SIGTERM
//! end the run early with a full report; a second one ends the program at once.

mod collect;
pub(crate) mod environment;
pub(crate) mod options;
mod shard;
pub(crate) mod usage;
pub(crate) mod watched;

use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io as std_io};

use engine::io::clock;
use engine::io::{Address, Instant, Runtime, RuntimeThread};
use flume::{Receiver, Sender};

use self::options::RunOptions;
use crate::client::load::{Exchange, Plan};
use crate::descriptors;
use crate::expect::Expectation;
use crate::quantity::show_nanos;
use crate::report::hlog::{IntervalLog, Sink};
use crate::report::text::Text;
use crate::report::{Description, IntervalRow, Report, hgrm, json};
use crate::sample::Samples;
use crate::schedule::Schedule;
use crate::target::{Request, Url};
use crate::verdict::{self, Demands, Outcome};

use self::collect::{Merged, Merger};
use self::environment::Environment;
use self::shard::{Assignment, Link, News, Order, Phases};
use self::usage::Usage;
use self::watched::Watched;

/// From "all are ready" to the start: long enough for every shard to have set up its tasks.
const START_DELAY: Duration = Duration::from_millis(20);
/// How often the collector looks for a signal while no news comes.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// Runs and reports.
///
/// *Errors:* one sentence for the user; nothing was measured.
pub(crate) fn run(options: &RunOptions) -> Result<Outcome, String> {
    let plan = plan(options, &options.check()?)?;
    descriptors::reserve(options.connections as u64)?;
    // A file that cannot be written is better known before the run than after it.
    let outputs = [options.json.as_deref(), options.hgrm.as_deref()];
    for path in outputs
        .into_iter()
        .flatten()
        .filter(|path| *path != Path::new("-"))
    {
        fs::File::create(path).map_err(|error| cannot_write(path, &error))?;
    }
    let mut sink = match &options.hlog {
        Some(path) => Some(Sink::create(path).map_err(|error| cannot_write(path, &error))?),
        None => None,
    };
    let watched = options.watch_pid.map(Watched::new).transpose()?;
    let shards = Shards::start(options, &plan)?;
    let mut collector = Collector::new(options, plan.schedule.is_some(), watched);
    let environment = Environment::read();
    let pressure = environment::cpu_pressure();
    let from = shards.begin(options)?;
    let command = environment.command.join(" ");
    let since = clock::wall() + from.since(clock::now());
    let mut log = match &mut sink {
        Some(sink) => Some(
            sink.begin(&command, since)
                .map_err(|error| error.to_string())?,
        ),
        None => None,
    };
    collector.collect(&shards, from, log.as_mut())?;
    let scheduled = plan
        .schedule
        .map(|schedule| schedule.count(options.warmup, options.warmup + options.duration));
    let report = report(options, collector, scheduled, environment, pressure);
    write(options, &report)?;
    Ok(report.verdict.outcome)
}

/// What all shards send.
fn plan(options: &RunOptions, url: &Url) -> Result<Plan, String> {
    let body = match (&options.body, options.body_size) {
        (Some(text), _) => Some(match text.strip_prefix('@') {
            Some(path) => fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?,
            None => text.clone().into_bytes(),
        }),
        (None, Some(size)) => Some(vec![
            b'x';
            usize::try_from(size)
                .map_err(|_| "--body-size is too large")?
        ]),
        (None, None) => None,
    };
    let thread_count = options.placement().len() as u64;
    Ok(Plan {
        address: match &options.unix {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp(url.resolve()?),
        },
        exchanges: vec![Exchange {
            request: Request::encode(url, &options.method, &options.fields, body),
            expectation: Expectation {
                status: options.expect_status.clone(),
                length: options.expect_length,
                hash: options.expect_hash,
            },
        }],
        schedule: options
            .rate
            .map(|rate| Schedule::new(options.arrivals, rate, thread_count)),
        timeout: options.timeout,
        spin: options.spin,
    })
}

/// The running shards and the channels to them.
struct Shards {
    threads: Vec<RuntimeThread>,
    orders: Vec<Sender<Order>>,
    spares: Vec<Sender<Box<Samples>>>,
    news: Receiver<News>,
}

impl Shards {
    fn start(options: &RunOptions, plan: &Plan) -> Result<Self, String> {
        let placement = options.placement();
        let phases = Phases {
            warmup: options.warmup,
            measure: options.duration,
            grace: options.grace,
        };
        let (sender, news) = flume::unbounded();
        let mut shards = Self {
            threads: Vec::new(),
            orders: Vec::new(),
            spares: Vec::new(),
            news,
        };
        for (shard, &cpu) in placement.iter().enumerate() {
            let (orders, to_shard) = flume::unbounded();
            let (spares, spares_to_shard) = flume::unbounded();
            let link = Link {
                orders: to_shard,
                news: sender.clone(),
                spares: spares_to_shard,
            };
            // The first shards take one connection more when the division leaves a rest.
            let rest = usize::from(shard < options.connections % placement.len());
            let assignment = Assignment {
                shard: shard as u64,
                connection_count: options.connections / placement.len() + rest,
                plan: plan.clone(),
                phases,
            };
            let runtime = Runtime {
                cpu,
                name: format!("load-{shard}"),
                ..Runtime::default()
            };
            let thread = runtime
                .start(move || shard::run(assignment, link))
                .map_err(|error| format!("cannot start thread {shard}: {error}"))?;
            shards.threads.push(thread);
            shards.orders.push(orders);
            shards.spares.push(spares);
        }
        Ok(shards)
    }

    /// Waits until all have opened what they could, then starts them; gives the beginning of the
    /// measured time.
    fn begin(&self, options: &RunOptions) -> Result<Instant, String> {
        let (mut opened_total, mut last_error) = (0, None);
        for _ in &self.threads {
            match self.news.recv() {
                Ok(News::Ready { opened, error }) => {
                    opened_total += opened;
                    last_error = error.or(last_error);
                }
                Ok(News::Interval(_) | News::Finished { .. }) | Err(_) => {
                    return Err("a thread of the generator ended before the run began".into());
                }
            }
        }
        if let Some(error) = last_error {
            let target = options
                .unix
                .as_ref()
                .map_or_else(|| options.url.clone(), |path| path.display().to_string());
            if opened_total == 0 {
                return Err(format!("cannot connect to {target}: {error}"));
            }
            let missing = options.connections - opened_total;
            let _ = writeln!(
                stderr(),
                "{missing} connections could not be opened: {error}"
            );
        }
        let start = clock::now() + START_DELAY;
        for orders in &self.orders {
            let _ = orders.send(Order::Begin(start));
        }
        Ok(start + options.warmup)
    }
}

/// Receives and adds up what the shards measure.
struct Collector<'a> {
    options: &'a RunOptions,
    shows_progress: bool,
    total: Samples,
    intervals: Vec<IntervalRow>,
    usages: Vec<Usage>,
    watched: Option<Watched>,
    /// When the last interval that held requests of the measured time ended.
    from: Instant,
    interrupted: Option<Instant>,
}

impl<'a> Collector<'a> {
    fn new(options: &'a RunOptions, is_open: bool, watched: Option<Watched>) -> Self {
        Self {
            options,
            shows_progress: !options.quiet && stderr().is_terminal(),
            total: Samples::new(is_open),
            intervals: Vec::new(),
            usages: vec![Usage::default(); options.placement().len()],
            watched,
            from: Instant::default(),
            interrupted: None,
        }
    }

    fn collect(
        &mut self,
        shards: &Shards,
        from: Instant,
        mut log: Option<&mut IntervalLog<'_, fs::File>>,
    ) -> Result<(), String> {
        self.from = from;
        let signal = ending_signal()?;
        let mut merger = Merger::new(shards.threads.len());
        let mut running = shards.threads.len();
        while running > 0 {
            match shards.news.recv_timeout(self.pause()) {
                Ok(News::Interval(interval)) => {
                    let shard = interval.shard;
                    if let Some(spare) = merger.add(interval) {
                        give_back(shards, shard, spare);
                    }
                }
                Ok(News::Finished { shard, usage }) => {
                    running -= 1;
                    if let Some(slot) = self.usages.get_mut(shard as usize) {
                        *slot = usage;
                    }
                }
                Ok(News::Ready { .. }) | Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => {
                    return Err("a thread of the generator failed during the run".into());
                }
            }
            self.look();
            while let Some(merged) = merger.next(running == 0) {
                let mut samples = self.add(merged, log.as_deref_mut())?;
                samples.reset();
                give_back(shards, 0, samples);
            }
            if signal.load(Ordering::Relaxed) && self.interrupted.is_none() {
                self.interrupted = Some(clock::now());
                for orders in &shards.orders {
                    let _ = orders.send(Order::End);
                }
            }
        }
        if self.shows_progress {
            let _ = write!(stderr(), "\r\x1b[K");
        }
        Ok(())
    }

    /// Until the next look at the watched process or for a signal.
    fn pause(&self) -> Duration {
        let now = clock::now();
        let bounds = [self.from, self.from + self.options.duration];
        let next = bounds.into_iter().find(|&bound| bound > now);
        next.filter(|_| self.watched.is_some())
            .map_or(SIGNAL_CHECK, |next| next.since(now).min(SIGNAL_CHECK))
    }

    fn look(&mut self) {
        let (from, to) = (self.from, self.from + self.options.duration);
        if let Some(watched) = &mut self.watched {
            watched.look(clock::now(), from, self.interrupted.unwrap_or(to).min(to));
        }
    }

    fn add(
        &mut self,
        merged: Merged,
        log: Option<&mut IntervalLog<'_, fs::File>>,
    ) -> Result<Box<Samples>, String> {
        let Merged {
            from, to, samples, ..
        } = merged;
        let is_tail = from.since(self.from) >= self.options.duration;
        if is_tail && samples.counts.total() == 0 {
            return Ok(samples);
        }
        let (start, length) = (from.since(self.from), to.since(from));
        if let (Some(log), Some(path)) = (log, &self.options.hlog) {
            log.write(&samples, start, length)
                .map_err(|error| cannot_write(path, &error))?;
        }
        let row = IntervalRow {
            start_seconds: start.as_secs_f64(),
            length_seconds: length.as_secs_f64(),
            answered: samples.counts.answered,
            failed: samples.counts.failed_total(),
            p50_ns: samples.latency.value_at_percentile(50.0),
            p99_ns: samples.latency.value_at_percentile(99.0),
            max_ns: samples.latency.max(),
        };
        if self.shows_progress {
            progress(&row, self.options.duration);
        }
        self.intervals.push(row);
        self.total.add(&samples);
        Ok(samples)
    }
}

fn give_back(shards: &Shards, shard: u64, samples: Box<Samples>) {
    if let Some(spares) = shards.spares.get(shard as usize) {
        // A shard that has ended needs no memory.
        let _ = spares.send(samples);
    }
}

/// One line, rewritten each second.
fn progress(row: &IntervalRow, duration: Duration) {
    let end = row.start_seconds + row.length_seconds;
    let rate = row.answered as f64 / row.length_seconds.max(1e-9);
    let [p50, p99, max] =
        [row.p50_ns, row.p99_ns, row.max_ns].map(|nanos| show_nanos(nanos as f64));
    let _ = write!(
        stderr(),
        "\r\x1b[K{end:.0}/{:.0} s  {rate:.0} answers/s  p50 {p50}  p99 {p99}  max {max}  failed {}",
        duration.as_secs_f64(),
        row.failed
    );
    let _ = stderr().flush();
}

/// Becomes true at the first SIGINT or SIGTERM; the second ends the program.
pub(crate) fn ending_signal() -> Result<Arc<AtomicBool>, String> {
    let signal = Arc::new(AtomicBool::new(false));
    for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the first sees the flag still down.
        signal_hook::flag::register_conditional_shutdown(number, 1, Arc::clone(&signal))
            .and_then(|_| signal_hook::flag::register(number, Arc::clone(&signal)))
            .map_err(|error| format!("cannot listen for signals: {error}"))?;
    }
    Ok(signal)
}

fn report(
    options: &RunOptions,
    collector: Collector<'_>,
    scheduled: Option<u64>,
    environment: Environment,
    pressure: Option<Duration>,
) -> Report {
    let Collector {
        total,
        intervals,
        usages,
        watched,
        from,
        interrupted,
        ..
    } = collector;
    let measured = interrupted.map_or(options.duration, |end| {
        end.since(from).min(options.duration)
    });
    let demands = Demands {
        error_share_max: options.error_limit,
        limits: options.limit.clone(),
        scheduled: scheduled.filter(|_| interrupted.is_none()),
        spins: !options.spin.is_zero(),
    };
    let verdict = verdict::judge(&demands, &total, &usages, measured);
    let placement = options.placement();
    Report {
        description: Description {
            url: options.url.clone(),
            unix: options.unix.as_ref().map(|path| path.display().to_string()),
            rate: options.rate.map(crate::quantity::Rate::per_second),
            connections: options.connections,
            threads: placement.len(),
            cpus: placement.into_iter().flatten().collect(),
            warmup_seconds: options.warmup.as_secs_f64(),
            duration_seconds: options.duration.as_secs_f64(),
        },
        environment,
        samples: total,
        intervals,
        measured,
        interrupted: interrupted.is_some(),
        usages,
        cpu_pressure: environment::cpu_pressure()
            .zip(pressure)
            .map(|(after, before)| after.saturating_sub(before)),
        watched: watched.and_then(|watched| watched.consumption()),
        verdict,
    }
}

fn write(options: &RunOptions, report: &Report) -> Result<(), String> {
    let mut out = std_io::stdout().lock();
    let printed = match &options.json {
        Some(path) if path == Path::new("-") => out.write_all(json::document(report).as_bytes()),
        json => {
            if let Some(path) = json {
                fs::write(path, json::document(report))
                    .map_err(|error| cannot_write(path, &error))?;
            }
            write!(out, "{}", Text(report))
        }
    };
    printed
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot print: {error}"))?;
    if let Some(path) = &options.hgrm {
        write_hgrm(path, report).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(())
}

fn write_hgrm(path: &PathBuf, report: &Report) -> std_io::Result<()> {
    let mut out = std_io::BufWriter::new(fs::File::create(path)?);
    hgrm::write(&mut out, &report.samples.latency)?;
    out.flush()
}

fn cannot_write(path: &Path, error: &std_io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
