//! `weft explain`: what would become of a request, step by step, and what decides it.
//!
//! In: a configuration and a request. Out: which listener, virtual host, route, authentication,
//! policies, limits and clusters it meets, and the answer. Nothing is sent and no socket is
//! opened; the request is read, routed, authenticated and judged by the functions that serve
//! traffic, so an explanation cannot be of another opinion. A test compares the two.
//!
//! What it cannot know is what the upstream does, and how much of a limit others have used up.

mod question;
mod story;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use question::Question;

use crate::config::{Address, Config, Listener, Sources};
use crate::control::start::{self, Refusal};
use crate::proxy::{ListenerPlan, Snapshot};
use story::Story;

/// The exit code that says that the request would be refused.
pub const REFUSED: u8 = 3;

/// A question that has no answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswerable(String);

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The steps, a line each, and the result.
    pub text: String,
    /// The status with which weft itself answers; `None` when the request is forwarded.
    pub status: Option<u16>,
    /// It is refused.
    pub is_refused: bool,
}

impl Explanation {
    /// The exit code: 0 when the request is forwarded or answered as configured.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self.is_refused {
            true => REFUSED,
            false => 0,
        }
    }
}

/// Answers the question.
///
/// # Errors
/// The configuration is wrong, or the question.
pub fn run(question: &Question) -> Result<Explanation, Refusal> {
    let sources = Sources::gather(question.config.as_deref());
    let config = start::config_to_try(&sources)?;
    let snapshot = start::compile(&config, &sources)?;
    explain(&config, &snapshot, question).map_err(Refusal::Question)
}

/// The same for a configuration that is compiled already.
fn explain(
    config: &Config,
    snapshot: &Snapshot,
    question: &Question,
) -> Result<Explanation, Unanswerable> {
    let asked = question.asked()?;
    let place = listener(config, question.listener.as_deref(), asked.port)?;
    let found = config.listeners.get(place);
    let plans: Vec<&Arc<ListenerPlan>> = snapshot.listeners.iter().flatten().collect();
    let by_name = |listener: &Listener| plans.iter().find(|plan| plan.name == listener.name);
    let (Some(listener), Some(plan)) = (found, found.and_then(by_name)) else {
        return Err(Unanswerable("there is no such listener".to_owned()));
    };
    Ok(Story::new(snapshot, listener, plan).tell(&asked))
}

/// The listener that the request comes in on: the one that is named, else the one with the port of
/// the URL, else the only one.
fn listener(config: &Config, name: Option<&str>, port: u16) -> Result<usize, Unanswerable> {
    let listeners = || config.listeners.iter();
    let names = || {
        let names: Vec<&str> = listeners().map(|listener| &*listener.name).collect();
        names.join(", ")
    };
    if let Some(name) = name {
        let found = listeners().position(|listener| &*listener.name == name);
        let missing = || {
            Unanswerable(format!(
                "there is no listener {name}; there is: {}",
                names()
            ))
        };
        return found.ok_or_else(missing);
    }
    let has_port = |listener: &Listener| match &listener.address {
        Address::Tcp(address) => address.port() == port,
        Address::Unix(_) => false,
    };
    match (listeners().position(has_port), config.listeners.len()) {
        (Some(found), _) => Ok(found),
        (None, 1) => Ok(0),
        (None, _) => Err(Unanswerable(format!(
            "no listener has port {port}: name one of them with --listener: {}",
            names()
        ))),
    }
}

impl fmt::Display for Unanswerable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "The request cannot be explained: {}.", self.0)
    }
}
