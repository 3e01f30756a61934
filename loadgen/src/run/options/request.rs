//! Options of what is asked and what must come back.
//!
//! Every command that puts load on a target flattens them into its own. What the answers as a whole
//! are held to is that command's.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use engine::io::Address;

use super::{ConnectionOptions, ProtocolOptions};
use crate::distribution::Sizes;
use crate::expect::{self, Expectation, StatusSet};
use crate::grpc;
use crate::quantity;
use crate::target::{self, Field, Url};
use crate::traffic::Traffic;
use crate::traffic::mix::{Content, Entry, Mix};
use crate::traffic::mix_file::{self, Defaults};
use crate::traffic::request::Request;
use crate::transport::Protocol;
use crate::transport::dial::Dial;
use crate::transport::options::TlsOptions;
use crate::transport::trust::Trust;

/// What is asked, and what must come back.
#[derive(Clone, Debug, Args)]
pub(crate) struct RequestOptions {
    /// What to request, `http://host[:port]/path` or `https://…`; or the gRPC method to call,
    /// `grpc://host[:port]/package.Service/Method` or `grpcs://…`.
    #[arg(value_name = "URL")]
    pub url: String,

    /// Method.
    #[arg(short = 'X', long, value_parser = target::method, default_value = "GET",
        help_heading = "Request")]
    pub method: String,
    /// A field to send, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = Field::parse,
        help_heading = "Request")]
    pub fields: Vec<Field>,
    /// Content to send; `@FILE` sends a file's.
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "body_size",
        help_heading = "Request"
    )]
    pub body: Option<String>,
    /// Send content of this many bytes.
    #[arg(long, value_name = "SIZE", value_parser = quantity::size, help_heading = "Request")]
    pub body_size: Option<u64>,
    /// Send the requests of this TOML file, each as often as its weight says; it says of each what
    /// is sent and what must come back.
    #[arg(long, value_name = "FILE", help_heading = "Request",
        conflicts_with_all = ["method", "body", "body_size", "expect_length", "expect_hash"])]
    pub mix: Option<PathBuf>,
    /// Connect to this Unix socket; the URL still gives Host and path.
    #[arg(long, value_name = "PATH", help_heading = "Request")]
    pub unix: Option<PathBuf>,

    /// Statuses that are right, as in `200,204` or `2xx`.
    #[arg(long, value_name = "LIST", value_parser = StatusSet::parse, default_value = "2xx",
        help_heading = "Expectations")]
    pub expect_status: StatusSet,
    /// Length the body must have.
    #[arg(long, value_name = "SIZE", value_parser = quantity::size, help_heading = "Expectations")]
    pub expect_length: Option<u64>,
    /// CRC-32 (as in gzip and zlib, eight hexadecimal digits) the body must have.
    #[arg(long, value_name = "CRC32", value_parser = expect::hash, help_heading = "Expectations")]
    pub expect_hash: Option<u32>,

    /// Which HTTP is spoken.
    #[command(flatten)]
    pub protocol: ProtocolOptions,
    /// How TLS is spoken.
    #[command(flatten)]
    pub tls: TlsOptions,
}

impl RequestOptions {
    /// Checks values against each other and against how connections are used; gives the URL,
    /// taken apart.
    pub(crate) fn check(&self, connection: &ConnectionOptions) -> Result<Url, String> {
        if self.body_size.is_some_and(|size| size > 1 << 30) {
            return Err("--body-size goes up to 1GiB".into());
        }
        let url = Url::parse(&self.url)?;
        self.protocol.check(&url, &self.method, &self.fields)?;
        if connection.pipeline > 1 {
            self.protocol.check_pipeline(&url)?;
        }
        match self.tls.given() {
            Some(option) if !url.is_secure() => Err(format!("{option} needs an https:// URL")),
            _ => Ok(url),
        }
    }

    /// Where connections go, and how.
    ///
    /// *Errors:* one sentence for the user.
    pub(crate) fn dial(&self, url: &Url, connection: &ConnectionOptions) -> Result<Dial, String> {
        let address = match &self.unix {
            Some(path) => Address::Unix(path.clone()),
            None => Address::Tcp(url.resolve()?),
        };
        let offered = match self.protocol.of(url) {
            Some(Protocol::Http1) => &[Protocol::Http1][..],
            Some(Protocol::Http2) => &[Protocol::Http2],
            None => &[Protocol::Http2, Protocol::Http1],
        };
        let trust = || Trust::new(&self.tls, url.host(), offered);
        let tls = url.is_secure().then(trust).transpose()?;
        Ok(Dial {
            address,
            tls,
            rate: connection.connection_rate,
            requests: connection.requests_per_connection,
            closing: connection.closing,
        })
    }

    /// What is sent; what is drawn is drawn from `seed`. A call is told how long it may take.
    ///
    /// *Errors:* one sentence, or a line for each mistake in the file of a mix.
    pub(crate) fn traffic(
        &self,
        url: &Url,
        seed: u64,
        timeout: Duration,
    ) -> Result<Traffic, String> {
        let fields = match url.is_call() {
            true => grpc::fields(&self.fields, timeout),
            false => self.fields.clone(),
        };
        let entries = match &self.mix {
            Some(path) => {
                let defaults = Defaults {
                    url,
                    fields: &fields,
                    status: &self.expect_status,
                    grpc: self.protocol.codes(url),
                };
                mix_file::read(path, defaults)?
            }
            None => vec![self.entry(url, &fields)?],
        };
        Ok(Traffic::mixed(Mix::new(entries, seed)))
    }

    /// The only kind of request, if there is no mix.
    fn entry(&self, url: &Url, fields: &[Field]) -> Result<Entry, String> {
        let content = match (&self.body, self.body_size) {
            (Some(text), _) => Some(Content::Same(match text.strip_prefix('@') {
                Some(path) => fs::read(path)
                    .map_err(|error| format!("cannot read {path}: {error}"))?
                    .into(),
                None => text.clone().into(),
            })),
            (None, size) => size.map(|size| Content::Sized(Sizes::of(size))),
        };
        let (method, has_content) = (&self.method, content.is_some());
        Ok(Entry {
            name: format!("{method} {}", self.url),
            weight: 1,
            request: Request::new(url, method, url.path(), fields, has_content),
            content: content.unwrap_or_else(|| Content::Same("".into())),
            expectation: Expectation {
                status: self.expect_status.clone(),
                length: self.expect_length,
                hash: self.expect_hash,
                grpc: self.protocol.codes(url),
            },
        })
    }
}
