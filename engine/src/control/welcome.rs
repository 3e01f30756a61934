//! What to try: printed on standard output when weft runs its embedded default.
//!
//! The first minute of a stranger: where it listens, three requests, a load, the figures, and how
//! it ends. Every line can be pasted. Pure.

use std::fmt::{self, Write as _};

use super::arguments::VERSION;
use crate::config::{Address, Config};

/// What the text tells.
#[derive(Debug)]
pub struct Running<'a> {
    /// The configuration that runs.
    pub config: &'a Config,
    /// How many shards run it.
    pub shard_count: usize,
    /// How many built-in origins answer.
    pub origin_count: usize,
    /// How the load generator is called.
    pub loadgen: &'a str,
}

/// The text for what runs.
#[must_use]
pub fn welcome(running: &Running<'_>) -> String {
    let mut text = String::new();
    let _infallible = write(&mut text, running);
    text
}

fn write(text: &mut String, running: &Running<'_>) -> fmt::Result {
    let Running {
        config,
        shard_count,
        origin_count,
        loadgen,
    } = running;
    writeln!(
        text,
        "weft {VERSION}\nThe embedded default on {shard_count} shards, with {origin_count} \
         built-in echo endpoints.\n\nTry, in another terminal:"
    )?;
    if let Some(Address::Tcp(address)) = config.listeners.first().map(|one| &one.address) {
        writeln!(
            text,
            "  curl -i 'http://{address}/hello?from=me'    # a request, told back"
        )?;
        writeln!(
            text,
            "  curl -i http://{address}/status/503         # any status"
        )?;
        writeln!(
            text,
            "  curl -s http://{address}/delay/250          # a slow answer"
        )?;
        writeln!(
            text,
            "  {loadgen} run http://{address}/bytes/1024     # load"
        )?;
    }
    if let Some(Address::Tcp(address)) = config.admin.as_ref().map(|admin| &admin.address) {
        writeln!(
            text,
            "\nThen look at what happened; phase added is the proxy's own time:"
        )?;
        writeln!(
            text,
            "  curl -s http://{address}/stats              # counters, latencies"
        )?;
        writeln!(
            text,
            "  curl -s 'http://{address}/histograms?format=hgrm&phase=added'"
        )?;
        writeln!(
            text,
            "  curl -s http://{address}/                   # everything else"
        )?;
    }
    writeln!(
        text,
        "\nCtrl-C drains and stops it. To serve your own endpoints: weft --config FILE\n\
         (config/minimal.toml is a start, config/README.md has every key)."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_default_is_told_with_its_own_addresses() {
        let config = crate::config::embedded();
        let running = Running {
            config: &config,
            shard_count: 2,
            origin_count: 2,
            loadgen: "bin/loadgen",
        };
        let text = welcome(&running);
        for part in [
            "on 2 shards, with 2 built-in",
            "curl -i 'http://127.0.0.1:8080/hello?from=me'",
            "  bin/loadgen run http://127.0.0.1:8080/",
            "http://127.0.0.1:9901/stats",
            "Ctrl-C",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }
}
