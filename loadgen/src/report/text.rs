//! The report for a person: one screen, the verdict last.
//!
//! Times are rounded to three digits, the precision of the histograms. What did not happen (errors,
//! waits for a connection) is left out or said in one word.

use std::fmt::{Display, Formatter, Result};

use hdrhistogram::Histogram;

use super::{Report, entries};
use crate::grpc;
use crate::quantity::{show_bytes, show_nanos};
use crate::sample::Failure;
use crate::verdict::share;

/// Shows a report as text.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub &'a Report);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.title(f)?;
        self.requests(f)?;
        self.connections(f)?;
        self.times(f)?;
        entries::table(f, &self.0.entries)?;
        self.errors(f)?;
        self.generator(f)?;
        self.watched(f)?;
        self.verdict(f)
    }
}

impl Text<'_> {
    fn title(&self, f: &mut Formatter<'_>) -> Result {
        let run = &self.0.description;
        let pace = run.schedule.as_ref().map_or_else(
            || "closed loop".into(),
            |schedule| format!("open loop at {schedule}"),
        );
        let unix = run
            .unix
            .as_ref()
            .map_or_else(String::new, |path| format!(" over {path}"));
        writeln!(f, "{}{unix}", run.url)?;
        write!(
            f,
            "{pace}, {}, {} connections",
            run.protocol, run.connections
        )?;
        if run.streams > 1 {
            write!(f, " of {} streams", run.streams)?;
        }
        write!(f, ", {} thread(s)", run.threads)?;
        if !run.cpus.is_empty() {
            write!(f, " on processors {:?}", run.cpus)?;
        }
        write!(f, ", {:.3} s measured", self.0.measured.as_secs_f64())?;
        if self.0.interrupted {
            write!(f, " (interrupted, {} s asked)", run.duration_seconds)?;
        }
        writeln!(f, ", {} s warm-up\n", run.warmup_seconds)
    }

    fn requests(&self, f: &mut Formatter<'_>) -> Result {
        let counts = &self.0.samples.counts;
        let (total, failed) = (counts.total(), counts.failed_total());
        write!(
            f,
            "requests       {total} due: {} answered, ",
            counts.answered
        )?;
        writeln!(f, "{failed} failed, {} unanswered", counts.unanswered)?;
        if self.0.samples.open.is_some() && counts.waited > 0 {
            writeln!(
                f,
                "               {} were due while no connection was free",
                counts.waited
            )?;
        }
        let received = show_bytes(self.0.per_second(counts.received_bytes));
        let rate = self.0.answered_per_second();
        writeln!(
            f,
            "throughput     {rate:.1} answers/s, {received}/s received"
        )
    }

    /// Said only if it was more than opening them at the start.
    fn connections(&self, f: &mut Formatter<'_>) -> Result {
        let tally = &self.0.tally;
        let is_tls = !tally.handshakes.is_empty();
        let (before, failed) = (tally.opened_before, tally.failed());
        if tally.opened == before && failed == 0 && tally.complaint.is_none() && !is_tls {
            return Ok(());
        }
        write!(
            f,
            "connections    {} opened, {before} of them before the start",
            tally.opened
        )?;
        if failed > 0 {
            write!(f, ", {failed} failed")?;
        }
        if is_tls {
            write!(
                f,
                "; handshakes: {} full, {} resumed",
                tally.full(),
                tally.resumed
            )?;
        }
        writeln!(f)?;
        match &tally.complaint {
            Some(complaint) => writeln!(f, "               TLS: {complaint}"),
            None => Ok(()),
        }
    }

    fn times(&self, f: &mut Formatter<'_>) -> Result {
        let titles = [
            "mean", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "p99.999", "max",
        ];
        write!(f, "\n{:<15}", "")?;
        titles
            .iter()
            .try_for_each(|title| write!(f, "{title:>9}"))?;
        writeln!(f)?;
        let samples = &self.0.samples;
        row(f, "response time", &samples.latency)?;
        let handshakes = &self.0.tally.handshakes;
        if let Some(open) = &samples.open {
            row(f, "service time", &open.service)?;
            row(f, "send lag", &open.lag)?;
        }
        if !handshakes.is_empty() {
            row(f, "TLS handshake", handshakes)?;
        }
        if samples.open.is_some() {
            writeln!(
                f,
                "\nresponse time counts from when a request was due (corrected), service time \
                 from\n\
                 when it was sent (uncorrected); send lag is how late the generator itself was."
            )?;
        }
        Ok(())
    }

    fn errors(&self, f: &mut Formatter<'_>) -> Result {
        let counts = &self.0.samples.counts;
        writeln!(f)?;
        write!(f, "errors        ")?;
        let failures = Failure::ALL.map(|failure| (failure, counts.failed(failure)));
        for (failure, count) in failures.into_iter().filter(|&(_, count)| count > 0) {
            write!(f, " {} {count}", failure.label())?;
        }
        writeln!(
            f,
            "{}",
            if counts.failed_total() == 0 {
                " none"
            } else {
                ""
            }
        )?;
        write!(f, "statuses      ")?;
        counts
            .statuses()
            .try_for_each(|(status, count)| write!(f, " {status}: {count}"))?;
        writeln!(f)?;
        if counts.grpc_statuses().next().is_some() {
            write!(f, "gRPC statuses ")?;
            counts
                .grpc_statuses()
                .try_for_each(|(code, count)| write!(f, " {} {count}", grpc::name(code)))?;
            writeln!(f)?;
        }
        Ok(())
    }

    fn generator(&self, f: &mut Formatter<'_>) -> Result {
        let (busy, waiting) = self.0.busiest();
        let measured = self.0.measured;
        write!(
            f,
            "generator      {:.1} us CPU per request; ",
            self.0.cpu_us_per_request()
        )?;
        writeln!(
            f,
            "busiest thread {:.0} % busy, {:.1} % waiting for a CPU",
            share(busy, measured) * 100.0,
            share(waiting, measured) * 100.0
        )
    }

    fn watched(&self, f: &mut Formatter<'_>) -> Result {
        let Some((watched, cpu)) = self.0.watched.zip(self.0.watched_us_per_request()) else {
            return Ok(());
        };
        writeln!(
            f,
            "watched        {cpu:.2} us CPU per request; waiting for a CPU {:.1} % of the time; \
             {} resident in {} process(es)",
            watched.waiting_seconds / watched.seconds * 100.0,
            show_bytes(watched.resident_bytes as f64),
            watched.process_count
        )
    }

    fn verdict(&self, f: &mut Formatter<'_>) -> Result {
        let verdict = &self.0.verdict;
        for reason in &verdict.bottleneck {
            writeln!(
                f,
                "               the generator was the bottleneck: {reason}"
            )?;
        }
        for reason in &verdict.broken {
            writeln!(f, "               {reason}")?;
        }
        writeln!(f, "result         {}", verdict.outcome.label())
    }
}

fn row(f: &mut Formatter<'_>, title: &str, times: &Histogram<u64>) -> Result {
    write!(f, "{title:<15}")?;
    if times.is_empty() {
        return writeln!(f, "  no samples");
    }
    write!(f, "{:>9}", show_nanos(times.mean()))?;
    for percentile in super::PERCENTILES {
        write!(
            f,
            "{:>9}",
            show_nanos(times.value_at_percentile(percentile) as f64)
        )?;
    }
    writeln!(f, "{:>9}", show_nanos(times.max() as f64))
}
