//! The threads of a run and the channels to them: start, common begin, orders.
//!
//! Each thread is a shard (`shard.rs`). They open their connections first; when all have reported,
//! one common start instant goes out to them.

use std::io::{Write, stderr};
use std::time::Duration;

use engine::io::clock;
use engine::io::{Instant, Runtime, RuntimeThread};
use flume::{Receiver, RecvTimeoutError, Sender};

use crate::client::load::Plan;
use crate::sample::Samples;
use crate::transport::complaint;

use super::options::RunOptions;
use super::shard::{self, Assignment, Link, News, Order, Phases};

/// From "all are ready" to the start: long enough for every shard to have set up its tasks.
const START_DELAY: Duration = Duration::from_millis(20);

/// The running threads and the channels to them.
pub(super) struct Threads {
    threads: Vec<RuntimeThread>,
    orders: Vec<Sender<Order>>,
    spares: Vec<Sender<Box<Samples>>>,
    news: Receiver<News>,
}

impl Threads {
    /// Starts them; they begin to open their connections.
    pub(super) fn start(options: &RunOptions, plan: &Plan) -> Result<Self, String> {
        let placement = options.generator.placement();
        let connections = options.generator.connections;
        let phases = Phases {
            warmup: options.warmup,
            measure: options.duration(),
            grace: options.generator.grace,
        };
        let (sender, news) = flume::unbounded();
        let mut started = Self {
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
            let rest = usize::from(shard < connections % placement.len());
            let assignment = Assignment {
                shard: shard as u64,
                shard_count: placement.len() as u64,
                connection_count: connections / placement.len() + rest,
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
            started.threads.push(thread);
            started.orders.push(orders);
            started.spares.push(spares);
        }
        Ok(started)
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.threads.len()
    }

    /// Waits until all have opened what they could, then starts them; gives the beginning of the
    /// measured time.
    pub(super) fn begin(&self, options: &RunOptions) -> Result<Instant, String> {
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
            let request = &options.request;
            let target = request
                .unix
                .as_ref()
                .map_or_else(|| request.url.clone(), |path| path.display().to_string());
            if opened_total == 0 {
                return Err(format!("cannot connect to {target}: {}", complaint(&error)));
            }
            let missing = options.generator.connections - opened_total;
            let _ = writeln!(
                stderr(),
                "{missing} connections could not be opened: {}",
                complaint(&error)
            );
        }
        let start = clock::now() + START_DELAY;
        for orders in &self.orders {
            let _ = orders.send(Order::Begin(start));
        }
        Ok(start + options.warmup)
    }

    /// The next news, if some come within `pause`.
    pub(super) fn news(&self, pause: Duration) -> Result<Option<News>, String> {
        match self.news.recv_timeout(pause) {
            Ok(news) => Ok(Some(news)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err("a thread of the generator failed during the run".into())
            }
        }
    }

    /// Gives a shard memory to measure into.
    pub(super) fn give_back(&self, shard: u64, samples: Box<Samples>) {
        if let Some(spares) = self.spares.get(shard as usize) {
            // A shard that has ended needs no memory.
            let _ = spares.send(samples);
        }
    }

    /// Ends the run: what is due later is not sent.
    pub(super) fn end(&self) {
        for orders in &self.orders {
            let _ = orders.send(Order::End);
        }
    }
}
