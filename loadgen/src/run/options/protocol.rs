//! Options of which HTTP the target is spoken to in.
//!
//! Every command that puts load on a target has them with its request.

use clap::{Args, ValueEnum};

use crate::grpc::Codes;
use crate::target::{Field, Url};
use crate::traffic::block;
use crate::transport::Protocol;

/// What the command line calls the versions of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    /// HTTP/1.1.
    #[value(name = "1.1")]
    Http1,
    /// HTTP/2: agreed on in TLS (ALPN), in clear text without asking (prior knowledge).
    #[value(name = "2")]
    Http2,
    /// Through TLS whichever the target prefers (ALPN), HTTP/1.1 in clear text.
    Auto,
}

/// Which HTTP is spoken, and what gRPC adds.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProtocolOptions {
    /// Version of HTTP [default: 1.1, or 2 for gRPC].
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "Protocol")]
    pub http: Option<Version>,
    /// HTTP/2: requests under way at a time on each connection, each timed by itself.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Protocol")]
    pub streams: usize,
    /// gRPC statuses that are right, as in `0` or `OK,NOT_FOUND` [default: OK].
    #[arg(long, value_name = "LIST", value_parser = Codes::parse, help_heading = "Expectations")]
    pub expect_grpc_status: Option<Codes>,
}

impl ProtocolOptions {
    /// What is spoken; `None` when TLS is to agree on it.
    pub(crate) fn of(&self, url: &Url) -> Option<Protocol> {
        match self.http {
            Some(Version::Http2) => Some(Protocol::Http2),
            Some(Version::Auto) if url.is_secure() => None,
            None if url.is_call() => Some(Protocol::Http2),
            // Clear text has nothing that could say what the target prefers.
            None | Some(Version::Http1 | Version::Auto) => Some(Protocol::Http1),
        }
    }

    /// What is spoken, as reports call it.
    pub(crate) fn name(&self, url: &Url) -> &'static str {
        match self.of(url) {
            Some(Protocol::Http2) if url.is_call() => "gRPC",
            Some(Protocol::Http2) => "HTTP/2",
            Some(Protocol::Http1) => "HTTP/1.1",
            None => "auto",
        }
    }

    /// The gRPC statuses that are right; `None` when no calls are made.
    pub(crate) fn codes(&self, url: &Url) -> Option<Codes> {
        url.is_call()
            .then(|| self.expect_grpc_status.unwrap_or(Codes::OK))
    }

    /// Pipelining is of HTTP/1.1, and must not go unheard where something else is spoken.
    pub(crate) fn check_pipeline(&self, url: &Url) -> Result<(), String> {
        match self.of(url) {
            Some(Protocol::Http1) => Ok(()),
            Some(Protocol::Http2) => Err("--pipeline is for HTTP/1.1; HTTP/2 has --streams".into()),
            None => Err("--pipeline needs --http 1.1: TLS may agree on HTTP/2".into()),
        }
    }

    /// Checks values against each other and against what is asked.
    pub(crate) fn check(&self, url: &Url, method: &str, fields: &[Field]) -> Result<(), String> {
        let is_http2 = self.of(url) == Some(Protocol::Http2);
        if !(1..=100_000).contains(&self.streams) {
            return Err("--streams goes from 1 to 100000".into());
        }
        if self.streams > 1 && !is_http2 {
            return Err("--streams needs --http 2: HTTP/1.1 answers one at a time".into());
        }
        if url.is_call() && !is_http2 {
            return Err("gRPC is spoken over HTTP/2 only; leave --http away".into());
        }
        if url.is_call() && !matches!(method, "GET" | "POST") {
            return Err("gRPC knows no methods; leave --method away".into());
        }
        if self.expect_grpc_status.is_some() && !url.is_call() {
            return Err("--expect-grpc-status needs a grpc:// or grpcs:// URL".into());
        }
        match fields
            .iter()
            .find(|field| is_http2 && block::is_of_connection(field))
        {
            Some(field) => Err(format!("HTTP/2 has no field `{}` like this", field.name())),
            None => Ok(()),
        }
    }
}
