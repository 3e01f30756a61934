//! The command line: what `weft` accepts, and the help that teaches it.
//!
//! Uses: run (no subcommand), `check` a configuration with the code of the start, `doctor` for the
//! machine, `identity` to make certificates, `hash-key` and `hash-password` for secrets of a
//! configuration. Everything that shapes traffic is in the configuration file; a flag exists only
//! for what must be known before the file is read. Exit codes are part of the interface and are
//! listed in the help.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use super::discovery::registry::Probe;
use super::explain;
use super::identity;
use super::log::Level;
use crate::config::{self, Address};

/// `weft --version`: the version, and the commit when the build knew it.
pub const VERSION: &str = env!("WEFT_VERSION");

/// The command line of `weft`.
#[derive(Debug, Parser)]
#[command(
    name = "weft",
    version = VERSION,
    about = "HTTP edge and sidecar proxy with one pinned shard per core",
    long_about = "weft is an HTTP edge and sidecar proxy for Linux (6.1 or later, io_uring): one \
        pinned shard per core, and latency histograms of every listener, route and cluster.\n\n\
        Without --config it serves an embedded default with two built-in echo endpoints, and \
        prints what to try.",
    after_help = "Try `weft`, then `curl http://127.0.0.1:8080/`. `weft --help` says more.",
    after_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Configuration file (TOML); without it an embedded default with echo endpoints is served
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How much of the event log goes to standard error
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "info")]
    pub log: Level,
}

/// What to do instead of running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Load and compile a configuration with the code of the start, without running it
    ///
    /// Prints one summary line and exits 0, or prints every problem (file, field, value, what
    /// was expected) and exits 1. No socket is opened.
    Check {
        /// Configuration file (TOML); without it the embedded default is checked
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Say what a reload from one configuration to another would change
    ///
    /// One line for each listener, route, cluster, endpoint and setting that is added (+), removed
    /// (-) or changed (~, with the field), and for what a reload refuses because only a restart
    /// can change it (!). Where another file is named, says what it holds instead: certificates by
    /// name, validity and digest, keys by their public half, key sets by their ids, endpoints one
    /// by one; secrets are compared and not shown. Prints nothing when there is no difference.
    /// Exits 0, or 1 when either has problems.
    Diff(Diff),
    /// Run an application, and register it with a proxy for as long as it runs
    ///
    /// Starts the command, registers it once its check passes, renews its lease, and registers it
    /// anew when the proxy was restarted without it. On SIGTERM or SIGINT it drains, waits for the
    /// requests under way, leaves, and then passes the signal on. Other signals are passed on at
    /// once. Exits as the command does (128 and the signal's number if one ended it).
    Register(Box<Register>),
    /// Say whether this machine can run weft, and what to change if not
    ///
    /// Asks the kernel for io_uring, its operations and features, and for the limits of locked
    /// memory and open files. Every problem gets its own sentence with the fix. Exits 0 when weft
    /// can run (perhaps with warnings), 1 when it cannot.
    Doctor {
        /// Check the limits against this configuration instead of the embedded default
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Make the authority of a trust domain, and the identities of its workloads
    ///
    /// For development and small sites: an authority of one's own, and short-lived SPIFFE
    /// certificates (X.509-SVID) with which proxies know each other. Keys are readable by their
    /// owner only.
    #[command(
        disable_help_subcommand = true,
        after_help = IDENTITY_EXAMPLES
    )]
    Identity {
        /// What to make
        #[command(subcommand)]
        command: identity::Command,
    },
    /// Say what would become of a request, and what decides it, step by step
    ///
    /// Goes through listener, virtual host, route, authentication, policies, rate limits and
    /// clusters with the functions that serve traffic. Sends nothing and opens no socket. Exits 0
    /// when the request would be forwarded or answered as configured, 3 when it would be refused, 1
    /// when the configuration or the question is wrong.
    Explain(explain::Question),
    /// Print the hash under which an API key is configured
    ///
    /// Reads the key from standard input (a newline at its end is not part of it), so that it does
    /// not show in the list of processes. The key must be hard to guess: 16 random bytes or more.
    HashKey,
    /// Print the hash under which a password is configured
    ///
    /// Reads the password from standard input (a newline at its end is not part of it), and takes
    /// another salt each time.
    HashPassword,
}

const IDENTITY_EXAMPLES: &str = "\
Two workloads that know each other, each with a sidecar:
  weft identity init --trust-domain example.org
  weft identity issue /shop --directory shop/identity
  weft identity issue /orders --directory orders/identity
and in each sidecar's configuration (config/sidecar.toml is complete):
  [identity]
  directory = \"shop/identity\"";

/// What `weft diff` compares.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The configuration that runs
    pub old: PathBuf,
    /// The one that is to follow
    pub new: PathBuf,
    /// Folder in which the relative paths in OLD begin, instead of the working directory
    #[arg(long, value_name = "FOLDER")]
    pub old_directory: Option<PathBuf>,
    /// Folder in which the relative paths in NEW begin, instead of the working directory
    #[arg(long, value_name = "FOLDER")]
    pub new_directory: Option<PathBuf>,
}

/// What `weft register` is told.
#[derive(Debug, clap::Args)]
pub struct Register {
    /// The service that the application is an instance of
    #[arg(long, value_name = "NAME")]
    pub service: String,
    /// Where the application is reached: an address and port, or unix: and a path
    #[arg(long, value_name = "ADDRESS")]
    pub address: String,
    /// Its name among the service's instances; made from the address if there is none
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,
    /// Its share of the requests
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub weight: u32,
    /// How long it is believed without a heartbeat, which is sent three times as often
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub ttl: String,
    /// Where it is: a zone, a rack, a machine; proxies prefer those that are where they are
    #[arg(long, value_name = "NAME")]
    pub locality: Option<String>,
    /// What it says of itself; can be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub metadata: Vec<(String, String)>,
    /// What has to answer with 2xx before it is registered, such as http://127.0.0.1:8000/healthz
    #[arg(long, value_name = "URL", value_parser = check)]
    pub check: Option<(Address, Probe)>,
    /// How long requests under way may take after the drain
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub drain: Duration,
    /// The admin interface of the proxy
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901", value_parser = admin)]
    pub admin: Address,
    /// The file with the proxy's token
    #[arg(long, value_name = "FILE", default_value = "registry.token")]
    pub token_file: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let pair = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "expected KEY=VALUE".to_owned())
}

fn check(text: &str) -> Result<(Address, Probe), String> {
    let check = super::register::parse_check(text);
    check.ok_or_else(|| "expected http://, an address with a port, and a path".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).ok_or_else(|| "expected a duration such as 5s".to_owned())
}

fn admin(text: &str) -> Result<Address, String> {
    let expected = "expected an address such as 127.0.0.1:9901 or unix:/run/weft.sock";
    config::parse_address(text).ok_or_else(|| expected.to_owned())
}

const EXAMPLES: &str = "\
Examples:
  weft                                serve the embedded default on 127.0.0.1:8080
  weft --config config/minimal.toml   serve a configuration
  weft check --config my.toml         is it valid? prints every problem at once
  weft explain --config my.toml --url http://shop.example.com/admin --source 192.0.2.7
                                      who decides about this request, and how
  weft diff my.toml new.toml          what would a reload change?
  weft doctor                         can this machine run it? says what to change
  weft identity init --trust-domain example.org && weft identity issue /orders
                                      certificates with which proxies know each other
  openssl rand -hex 20 | tee key.txt | weft hash-key
                                      a new API key and its hash

Signals:
  SIGTERM, SIGINT   drain: stop accepting, finish the exchanges under way (bounded by `drain` in
                    the configuration), then exit 0; a second one exits at once
  SIGHUP            read the configuration anew, as when a file of it changes; one that is wrong is
                    refused, and the one before stays in effect
  SIGUSR1           open the access log anew, after it was renamed (SIGHUP does that, too)

Exit codes:
  0    drained and stopped; `check`, `doctor`, `identity`: all well
  1    could not start, or the process failed; `check`, `doctor`, `identity`: problems found
  2    the command line is wrong
  3    `explain`: the request would be refused
  130  a second SIGINT arrived while draining; exchanges were cut
  143  a second SIGTERM arrived while draining; exchanges were cut";

impl Arguments {
    /// The command line of this process, which ends here if that is wrong or asks for help.
    #[must_use]
    pub fn of_process() -> Self {
        Self::try_parse().unwrap_or_else(|error| with_tip(error).exit())
    }
}

/// Several servers take their configuration without a flag.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let tip = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if word.ends_with(".toml") => {
            format!("to run this configuration: weft --config {word}")
        }
        _ => return error,
    };
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
    error
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_use_is_parsed() {
        let parsed = Arguments::try_parse_from(["weft"]).expect("no arguments");
        assert!(parsed.command.is_none() && parsed.config.is_none());
        assert_eq!(parsed.log, Level::Info);
        let parsed = Arguments::try_parse_from(["weft", "--config", "a.toml", "--log", "debug"]);
        let parsed = parsed.expect("run");
        assert_eq!(
            (parsed.config, parsed.log),
            (Some("a.toml".into()), Level::Debug)
        );
        let parsed = Arguments::try_parse_from(["weft", "check", "--config", "a.toml"]);
        let command = parsed.expect("check").command;
        assert!(matches!(command, Some(Command::Check { config: Some(_) })));
        let parsed = Arguments::try_parse_from(["weft", "diff", "a", "b", "--new-directory", "c"]);
        let Some(Command::Diff(sides)) = parsed.expect("diff").command else {
            panic!("diff")
        };
        let directories = (sides.old_directory, sides.new_directory);
        assert_eq!(directories, (None, Some("c".into())));
        let command = Arguments::try_parse_from(["weft", "doctor"])
            .expect("doctor")
            .command;
        assert!(matches!(command, Some(Command::Doctor { config: None })));
    }

    #[test]
    fn a_configuration_without_its_flag_is_a_mistake_that_is_understood() {
        let told = |word| {
            let error = Arguments::try_parse_from(["weft", word]).expect_err("refused");
            with_tip(error).to_string()
        };
        assert!(told("my.toml").contains("weft --config my.toml"));
        assert!(!told("run").contains("--config run"));
    }

    #[test]
    fn wrong_command_lines_exit_2_and_help_exits_0() {
        for (line, kind, code) in [
            (&["weft", "--confg", "a"][..], ErrorKind::UnknownArgument, 2),
            (&["weft", "run"], ErrorKind::InvalidSubcommand, 2),
            (
                &["weft", "--config", "a", "doctor"],
                ErrorKind::ArgumentConflict,
                2,
            ),
            (&["weft", "--log", "loud"], ErrorKind::InvalidValue, 2),
            (&["weft", "--help"], ErrorKind::DisplayHelp, 0),
            (&["weft", "--version"], ErrorKind::DisplayVersion, 0),
        ] {
            let error = Arguments::try_parse_from(line).expect_err("refused or answered");
            assert_eq!((error.kind(), error.exit_code()), (kind, code), "{line:?}");
        }
    }
}
