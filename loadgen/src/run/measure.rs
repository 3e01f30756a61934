//! A run as a value: [`Run::start`] opens its connections, [`Run::measure`] gives its [`Report`].
//!
//! The calling thread is the collector: it never sends a request. Whoever wants to see intervals as
//! they end, or to end the run early, is a [`Follower`]. Nothing is printed and no signal is
//! listened for here, so that one program can make many runs.

use std::time::{Duration, SystemTime};

use engine::io::Instant;
use engine::io::clock;

use crate::client::load::Plan;
use crate::descriptors;
use crate::environment::{Environment, Meter};
use crate::report::entries::EntryResult;
use crate::report::{Description, IntervalRow, Report};
use crate::sample::Samples;
use crate::target::Url;
use crate::transport::opening::Tally;
use crate::verdict::{self, Demands};

use super::collect::{Merged, Merger};
use super::options::RunOptions;
use super::options::about::About;
use super::shard::News;
use super::threads::Threads;
use super::usage::Usage;
use super::watched::Watched;

/// How often the follower is asked while no news comes.
const FOLLOWER_PAUSE: Duration = Duration::from_millis(50);

/// Follows a run while it goes.
pub(crate) trait Follower {
    /// An interval is complete.
    ///
    /// *Errors:* one sentence; the run is given up.
    fn interval(&mut self, stretch: &Stretch<'_>) -> Result<(), String>;

    /// Should the run end now? Asked many times a second.
    fn ends(&mut self) -> bool;
}

/// One interval of a run.
pub(crate) struct Stretch<'a> {
    /// From the beginning of the measured time to that of the interval.
    pub start: Duration,
    /// How long it was.
    pub length: Duration,
    /// What was measured in it.
    pub samples: &'a Samples,
    /// The same in short.
    pub row: &'a IntervalRow,
}

/// A run whose connections are open and whose start is set.
pub(crate) struct Run<'a> {
    options: &'a RunOptions,
    /// How many requests are due in the measured time; `None` for a closed loop.
    scheduled: Option<u64>,
    /// The schedule of an open loop in words, and its rate.
    schedule: Option<(String, f64)>,
    /// The entries of the traffic, still without results; empty when there is only one.
    entries: Vec<EntryResult>,
    environment: Environment,
    meter: Meter,
    about: About,
    watched: Option<Watched>,
    threads: Threads,
    /// The beginning of the measured time.
    from: Instant,
}

impl<'a> Run<'a> {
    /// Starts the threads, opens the connections and sets the start.
    ///
    /// *Errors:* one sentence for the user; no connection at all is one.
    pub(crate) fn start(options: &'a RunOptions, plan: &Plan) -> Result<Self, String> {
        descriptors::reserve(options.generator.connections as u64)?;
        let about = options.about.read()?;
        let watched = options.watch_pid.map(Watched::new).transpose()?;
        let [from, to] = options.window();
        let schedule = plan.schedule.as_ref();
        let scheduled = schedule.map(|schedule| schedule.count(from, to));
        let threads = Threads::start(options, plan)?;
        let environment = Environment::read();
        let meter = Meter::begin();
        let from = threads.begin(options)?;
        Ok(Self {
            options,
            scheduled,
            schedule: schedule
                .map(|schedule| (schedule.to_string(), schedule.mean_rate(options.window()))),
            entries: EntryResult::of(&plan.traffic),
            environment,
            meter,
            about,
            watched,
            threads,
            from,
        })
    }

    /// When the measured time begins, by the calendar.
    pub(crate) fn since(&self) -> SystemTime {
        clock::wall() + self.from.since(clock::now())
    }

    /// The beginning of the measured time.
    pub(crate) const fn from(&self) -> Instant {
        self.from
    }

    /// Where it takes place.
    pub(crate) const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Waits for its end, or ends it when the follower says so.
    ///
    /// *Errors:* one sentence for the user; what was measured is lost.
    pub(crate) fn measure(mut self, follower: &mut impl Follower) -> Result<Report, String> {
        let mut collector = Collector {
            duration: self.options.duration(),
            from: self.from,
            total: Samples::new(self.scheduled.is_some()),
            intervals: Vec::new(),
            entries: std::mem::take(&mut self.entries),
            usages: vec![Usage::default(); self.threads.count()],
            tally: Tally::new(),
            watched: self.watched.take(),
            interrupted: None,
        };
        collector.collect(&self.threads, follower)?;
        Ok(self.report(collector))
    }

    fn report(self, collector: Collector) -> Report {
        let Collector {
            total,
            intervals,
            entries,
            usages,
            tally,
            watched,
            interrupted,
            ..
        } = collector;
        let options = self.options;
        let asked = options.duration();
        let measured = interrupted.map_or(asked, |end| end.since(self.from).min(asked));
        let demands = Demands {
            fail_if: options.fail_if.clone(),
            scheduled: self.scheduled.filter(|_| interrupted.is_none()),
            spins: !options.generator.spin.is_zero(),
        };
        let verdict = verdict::judge(&demands, &total, &usages, measured);
        Report {
            description: description(options, self.schedule),
            about: self.about,
            environment: self.environment,
            samples: total,
            entries,
            intervals,
            measured,
            interrupted: interrupted.is_some(),
            usages,
            tally,
            meanwhile: self.meter.end(),
            watched: watched.and_then(|watched| watched.consumption()),
            verdict,
        }
    }
}

fn description(options: &RunOptions, schedule: Option<(String, f64)>) -> Description {
    let (schedule, rate) = schedule.unzip();
    let (request, generator) = (&options.request, &options.generator);
    let placement = generator.placement();
    Description {
        url: request.url.clone(),
        unix: request.unix.as_ref().map(|path| path.display().to_string()),
        rate,
        schedule,
        seed: options.seed,
        connections: generator.connections,
        protocol: Url::parse(&request.url).map_or("", |url| request.protocol.name(&url)),
        streams: request.protocol.streams,
        threads: placement.len(),
        cpus: placement.into_iter().flatten().collect(),
        warmup_seconds: options.warmup.as_secs_f64(),
        duration_seconds: options.duration().as_secs_f64(),
    }
}

/// Receives and adds up what the shards measure.
struct Collector {
    duration: Duration,
    /// The beginning of the measured time.
    from: Instant,
    total: Samples,
    intervals: Vec<IntervalRow>,
    entries: Vec<EntryResult>,
    usages: Vec<Usage>,
    tally: Tally,
    watched: Option<Watched>,
    interrupted: Option<Instant>,
}

impl Collector {
    fn collect(&mut self, threads: &Threads, follower: &mut impl Follower) -> Result<(), String> {
        let mut merger = Merger::new(threads.count());
        let mut running = threads.count();
        while running > 0 {
            match threads.news(self.pause())? {
                Some(News::Interval(interval)) => {
                    let shard = interval.shard;
                    if let Some(spare) = merger.add(interval) {
                        threads.give_back(shard, spare);
                    }
                }
                Some(News::Finished {
                    shard,
                    usage,
                    tally,
                    entries,
                }) => {
                    running -= 1;
                    self.tally.add(&tally);
                    let sums = self.entries.iter_mut().zip(&entries);
                    sums.for_each(|(sum, part)| sum.samples.add(part));
                    if let Some(slot) = self.usages.get_mut(shard as usize) {
                        *slot = usage;
                    }
                }
                Some(News::Ready { .. }) | None => {}
            }
            self.look();
            while let Some(merged) = merger.next(running == 0) {
                let mut samples = self.add(merged, follower)?;
                samples.reset();
                threads.give_back(0, samples);
            }
            if self.interrupted.is_none() && follower.ends() {
                self.interrupted = Some(clock::now());
                threads.end();
            }
        }
        Ok(())
    }

    /// Until the next look at the watched process or question to the follower.
    fn pause(&self) -> Duration {
        let now = clock::now();
        let bounds = [self.from, self.from + self.duration];
        let next = bounds.into_iter().find(|&bound| bound > now);
        next.filter(|_| self.watched.is_some())
            .map_or(FOLLOWER_PAUSE, |next| next.since(now).min(FOLLOWER_PAUSE))
    }

    fn look(&mut self) {
        let (from, to) = (self.from, self.from + self.duration);
        if let Some(watched) = &mut self.watched {
            watched.look(clock::now(), from, self.interrupted.unwrap_or(to).min(to));
        }
    }

    fn add(
        &mut self,
        merged: Merged,
        follower: &mut impl Follower,
    ) -> Result<Box<Samples>, String> {
        let Merged {
            from, to, samples, ..
        } = merged;
        let is_tail = from.since(self.from) >= self.duration;
        if is_tail && samples.counts.total() == 0 {
            return Ok(samples);
        }
        let (start, length) = (from.since(self.from), to.since(from));
        let row = IntervalRow {
            start_seconds: start.as_secs_f64(),
            length_seconds: length.as_secs_f64(),
            answered: samples.counts.answered,
            failed: samples.counts.failed_total(),
            p50_ns: samples.latency.value_at_percentile(50.0),
            p99_ns: samples.latency.value_at_percentile(99.0),
            max_ns: samples.latency.max(),
        };
        follower.interval(&Stretch {
            start,
            length,
            samples: &samples,
            row: &row,
        })?;
        self.intervals.push(row);
        self.total.add(&samples);
        Ok(samples)
    }
}
