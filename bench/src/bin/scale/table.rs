//! The table: a row for each figure, a column for each size.
//!
//! In: what was measured. Out: Markdown, with times in us or ms, as the row says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::churn::{Churn, Effect};
use super::proxy::Proxy;
use super::traffic::Times;

/// The figures of one size.
pub(crate) struct Column {
    services: usize,
    endpoints: usize,
    pub(crate) memory_before: u64,
    pub(crate) memory_after: u64,
    changes: u32,
    control_per_change: Duration,
    all_per_change: Duration,
    pub(crate) effects: Vec<Effect>,
    pub(crate) quiet: Times,
    pub(crate) changing: Times,
    pub(crate) reading: Times,
    pub(crate) reload: Duration,
    pub(crate) start: Duration,
}

impl Column {
    pub(crate) fn new(services: usize, endpoints: usize) -> Self {
        Self {
            services,
            endpoints,
            memory_before: 0,
            memory_after: 0,
            changes: 0,
            control_per_change: Duration::ZERO,
            all_per_change: Duration::ZERO,
            effects: Vec::new(),
            quiet: Times::default(),
            changing: Times::default(),
            reading: Times::default(),
            reload: Duration::ZERO,
            start: Duration::ZERO,
        }
    }

    /// What a change costs: what is used while endpoints change, less what is used while they do
    /// not.
    pub(crate) fn cost(
        &mut self,
        proxy: &Proxy,
        churn: &Churn<'_>,
        time: Duration,
    ) -> Result<(), String> {
        let before = proxy.used()?;
        thread::sleep(time);
        let idle = proxy.used()?;
        let is_over = AtomicBool::new(false);
        self.changes = thread::scope(|scope| {
            let changing = scope.spawn(|| churn.until(&is_over));
            thread::sleep(time);
            is_over.store(true, Ordering::Relaxed);
            let changed = changing.join();
            changed.map_err(|_| "the changer died".to_owned())?
        })?;
        let after = proxy.used()?;
        let more = |before, idle, after: Duration| {
            let (in_vain, with): (Duration, Duration) = (idle - before, after - idle);
            with.saturating_sub(in_vain) / self.changes.max(1)
        };
        self.control_per_change = more(before.control, idle.control, after.control);
        self.all_per_change = more(before.all, idle.all, after.all);
        Ok(())
    }

    /// Of fewer than a thousand endpoints it would say what a process needs anyway.
    fn kilobytes_per_thousand(&self) -> String {
        if self.endpoints < 1000 {
            return "-".to_owned();
        }
        let grown = self.memory_after.saturating_sub(self.memory_before);
        ((grown >> 10) * 1000 / self.endpoints as u64).to_string()
    }

    fn effect(&self, percent: usize, which: impl Fn(&Effect) -> Duration) -> Duration {
        let mut times: Vec<Duration> = self.effects.iter().map(which).collect();
        times.sort_unstable();
        let place = times.len().saturating_mul(percent) / 100;
        times.get(place).copied().unwrap_or_default()
    }
}

/// One row for each figure.
pub(crate) fn table(columns: &[Column], rate: u32, requests: u32) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|column| format!("{} services", column.services))
        .collect();
    let mut text = format!("| | {} |\n", names.join(" | "));
    text.push_str(&format!("|---|{}\n", "--:|".repeat(columns.len())));
    for (name, cell) in rows(rate, requests) {
        let cells: Vec<String> = columns.iter().map(cell).collect();
        text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    text
}

/// What a row says of a size.
type Cell = Box<dyn Fn(&Column) -> String>;

fn rows(rate: u32, requests: u32) -> Vec<(String, Cell)> {
    let times = |of: fn(&Column) -> Times| -> Cell {
        Box::new(move |column| {
            let times = of(column);
            let wrong = match times.wrong {
                0 => String::new(),
                some => format!(", {some} wrong"),
            };
            let [p50, p99, p999] = [times.p50, times.p99, times.p999].map(micros);
            format!("{p50} / {p99} / {p999}{wrong}")
        })
    };
    let effect = |of: fn(&Effect) -> Duration| -> Cell {
        Box::new(move |column| {
            let [p50, p99] = [50, 99].map(|percent| millis(column.effect(percent, of)));
            format!("{p50} / {p99}")
        })
    };
    vec![
        ("endpoints".into(), Box::new(|it| it.endpoints.to_string())),
        (
            "resident before the registrations, MiB".into(),
            Box::new(|it| (it.memory_before >> 20).to_string()),
        ),
        (
            "resident with them, MiB".into(),
            Box::new(|it| (it.memory_after >> 20).to_string()),
        ),
        (
            "per 1,000 endpoints, KiB".into(),
            Box::new(Column::kilobytes_per_thousand),
        ),
        (
            format!("control thread per change at {rate}/s, us"),
            Box::new(|it| micros(it.control_per_change)),
        ),
        (
            "whole process per change, us".into(),
            Box::new(|it| micros(it.all_per_change)),
        ),
        (
            "registration answered, p50 / p99, ms".into(),
            effect(|effect| effect.answered),
        ),
        (
            "request routed to it after the answer, p50 / p99, ms".into(),
            effect(|effect| effect.routed.saturating_sub(effect.answered)),
        ),
        (
            format!("{requests} requests/s, p50 / p99 / p99.9, us"),
            times(|it| it.quiet),
        ),
        (format!("with {rate} changes/s"), times(|it| it.changing)),
        ("with /clusters being read".into(), times(|it| it.reading)),
        ("reload, ms".into(), Box::new(|it| millis(it.reload))),
        (
            "start to first answer, ms".into(),
            Box::new(|it| millis(it.start)),
        ),
    ]
}

fn micros(time: Duration) -> String {
    time.as_micros().to_string()
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}
