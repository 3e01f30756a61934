//! The question: a request as a user writes it on the command line, and as it comes off the wire.
//!
//! The URL and the headers become the bytes that a client would send, which are then read like any
//! client's: what is malformed is refused for the same reason. Only what would add lines that
//! nobody sees is refused here.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::Unanswerable;
use crate::config::SpiffeId;
use crate::tls::Peer;

/// A request, and where it comes from.
#[derive(Clone, Debug, clap::Args)]
pub struct Question {
    /// Configuration file (TOML); without it the embedded default is asked
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The request's method
    #[arg(short, long, value_name = "METHOD", default_value = "GET")]
    pub method: String,

    /// The request's URL, as a client has it: http://host:port/path?query
    #[arg(short, long, value_name = "URL")]
    pub url: String,

    /// A header of the request, 'name: value'; may be given several times
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,

    /// Who the caller has proved to be: a SPIFFE ID (shown in the TLS handshake), `key:OWNER` (an
    /// API key), `user:NAME` (a password), or `anonymous`; without it, by what the headers hold,
    /// tokens included
    #[arg(short, long, value_name = "PRINCIPAL")]
    pub principal: Option<String>,

    /// The address that the connection comes from
    #[arg(short, long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub source: IpAddr,

    /// The listener it comes in on; without it, by the port of the URL
    #[arg(short, long, value_name = "NAME")]
    pub listener: Option<String>,
}

/// The question, understood.
#[derive(Debug)]
pub(super) struct Asked {
    /// The request's head, as it comes off the wire.
    pub(super) head: Vec<u8>,
    /// The host of the URL: what a client asks for in a TLS handshake.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) source: IpAddr,
    pub(super) claimed: Claimed,
}

/// Who is said to call.
#[derive(Debug)]
pub(super) enum Claimed {
    /// Whoever the headers prove.
    ByHeaders,
    /// The holder of this certificate.
    Peer(Box<Peer>),
    /// The owner of an API key, whose key is not known here.
    KeyOwner(String),
    /// A user, whose password is not known here.
    User(String),
}

impl Question {
    pub(super) fn asked(&self) -> Result<Asked, Unanswerable> {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => {
                return Err(unanswerable(
                    "the URL has to begin with http:// or https://",
                ));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = host_and_port(authority)
            .ok_or_else(|| unanswerable("the URL has no host, or a port that is none"))?;
        Ok(Asked {
            head: self.head(authority, path)?,
            host: host.to_owned(),
            port: port.unwrap_or(default_port),
            source: self.source,
            claimed: self.claimed()?,
        })
    }

    fn head(&self, authority: &str, path: &str) -> Result<Vec<u8>, Unanswerable> {
        let target = match path.as_bytes() {
            // RFC 9112 §3.2.3.
            _ if self.method == "CONNECT" => authority.to_owned(),
            // RFC 9112 §3.2.4: how a client asks about a server.
            b"" if self.method == "OPTIONS" => "*".to_owned(),
            [b'/', ..] => path.to_owned(),
            _ => format!("/{path}"),
        };
        let mut head = format!("{} {target} HTTP/1.1\r\n", self.method);
        let is_host = |header: &String| {
            let name = header.split(':').next();
            name.is_some_and(|name| name.eq_ignore_ascii_case("host"))
        };
        if !self.headers.iter().any(is_host) {
            head += &format!("Host: {authority}\r\n");
        }
        for header in &self.headers {
            // One header is one line: more would be headers that nobody sees here.
            if header.contains(['\r', '\n']) || !header.contains(':') {
                let what = format!("{header:?} is no header of the form 'name: value'");
                return Err(Unanswerable(what));
            }
            head += &format!("{header}\r\n");
        }
        head += "\r\n";
        Ok(head.into_bytes())
    }

    fn claimed(&self) -> Result<Claimed, Unanswerable> {
        let text = match self.principal.as_deref() {
            None | Some("anonymous") => return Ok(Claimed::ByHeaders),
            Some(text) => text,
        };
        if let Some(owner) = text.strip_prefix("key:") {
            return Ok(Claimed::KeyOwner(owner.to_owned()));
        }
        if let Some(user) = text.strip_prefix("user:") {
            return Ok(Claimed::User(user.to_owned()));
        }
        match SpiffeId::parse(text) {
            Some(identity) => Ok(Claimed::Peer(Box::new(Peer {
                subject: text.into(),
                identity: Some(identity),
                names: Vec::new(),
                not_after: Duration::MAX,
                forwarded: Box::default(),
            }))),
            None => Err(Unanswerable(format!(
                "{text:?} is no principal: a SPIFFE ID, key:OWNER, user:NAME, or anonymous"
            ))),
        }
    }
}

fn unanswerable(why: &str) -> Unanswerable {
    Unanswerable(why.to_owned())
}

/// An IPv6 address keeps its brackets.
fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_literal = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match authority[after_literal..].find(':') {
        None => (authority, None),
        Some(colon) => {
            let (host, port) = authority.split_at(after_literal + colon);
            (host, Some(port[1..].parse().ok()?))
        }
    };
    (!host.is_empty()).then_some((host, port))
}
