//! Changes of endpoints: the last instance of a service moves to and fro.
//!
//! In: the services, and how many changes a second. Out: how many there were, or how long each took
//! until it was answered and until a request went to the new address.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::fleet::{Fleet, MOVED};
use super::http::{self, Client};
use super::proxy::Proxy;

/// How long the effect of a registration is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who changes what, and how often.
pub(crate) struct Churn<'a> {
    proxy: &'a Proxy,
    fleet: &'a Fleet,
    rate: u32,
}

/// How long a registration took until its answer, and until it had an effect.
#[derive(Clone, Copy)]
pub(crate) struct Effect {
    pub(crate) answered: Duration,
    pub(crate) routed: Duration,
}

impl<'a> Churn<'a> {
    pub(crate) fn new(proxy: &'a Proxy, fleet: &'a Fleet, rate: u32) -> Self {
        Self { proxy, fleet, rate }
    }

    /// Changes until told to stop; how many changes that were.
    pub(crate) fn until(&self, is_over: &AtomicBool) -> Result<u32, String> {
        let (begin, period) = (Instant::now(), Duration::from_secs(1) / self.rate);
        let mut changes = 0;
        while !is_over.load(Ordering::Relaxed) {
            let due = begin + period * changes;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // All but the first in turn, with a stride so that neighbours do not follow each other.
            let turn = changes as usize;
            let others = self.fleet.services - 1;
            let service = 1 + turn.wrapping_mul(7919) % others;
            let moved = 1 + turn / others;
            self.change(service, moved)?;
            changes += 1;
        }
        Ok(changes)
    }

    /// Does something while endpoints change.
    pub(crate) fn during<T>(&self, act: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let changing = scope.spawn(|| self.until(&is_over));
            let done = act();
            is_over.store(true, Ordering::Relaxed);
            let changed = changing.join().map_err(|_| "the changer died".to_owned())?;
            changed.and(done)
        })
    }

    /// Registers the first service's instance elsewhere, again and again, and sends requests until
    /// one is answered from there.
    pub(crate) fn effects(&self, count: usize) -> Result<Vec<Effect>, String> {
        let mut client = Client::connect(self.proxy.address)?;
        let mut effects = Vec::new();
        for turn in 1..=count {
            let expected = MOVED.get(turn % 2).copied().unwrap_or_default();
            let begin = Instant::now();
            self.change(0, turn)?;
            let answered = begin.elapsed();
            loop {
                let answer = client.ask("GET /s0 HTTP/1.1\r\nHost: s\r\n\r\n")?;
                if answer.body.len() == expected {
                    break;
                }
                if begin.elapsed() > PATIENCE {
                    return Err("a registration has no effect".to_owned());
                }
            }
            let routed = begin.elapsed();
            effects.push(Effect { answered, routed });
            thread::sleep(Duration::from_millis(5));
        }
        Ok(effects)
    }

    fn change(&self, service: usize, moved: usize) -> Result<(), String> {
        let answer = http::ask(self.proxy.admin, &self.fleet.moving(service, moved))?;
        if answer.status == 200 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        Err(format!("a change was refused: {text}"))
    }
}
