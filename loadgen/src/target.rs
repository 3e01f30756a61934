//! What is asked of whom: the URL, and the request as bytes encoded once before the run.
//!
//! Only `http://` is spoken. The name is resolved once; all connections go to the first address,
//! so that a run measures one peer. The encoded request is sent as it is, so a `Content-Length`
//! or `Host` given by the user replaces ours.

use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::http1::is_token_byte;

/// An `http://` URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host and, if given, port: the `Host` field.
    authority: String,
    host: String,
    port: u16,
    /// Path and query, `/` at least: the request target.
    path: String,
}

impl Url {
    /// Parses `http://host[:port][/path][?query]`; the scheme may be left out.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(format!("`{scheme}` is not spoken; write http://…")),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a URL has no blanks and only ASCII; percent-encode the rest".into());
        }
        let (host, port) = match authority
            .strip_prefix('[')
            .and_then(|v6| v6.split_once(']'))
        {
            Some((host, port)) => (host, port),
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port
                .parse()
                .map_err(|_| format!("`{port}` is not a port"))?,
            None if port.is_empty() => 80,
            None => return Err(format!("`{authority}` is not host:port")),
        };
        if host.is_empty() || host.contains(['@', '[', ']']) {
            return Err(format!("`{authority}` is not host:port"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            authority: authority.into(),
            host: host.into(),
            port,
            path: format!("{slash}{path}"),
        })
    }

    /// The address all connections go to.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, String> {
        let addresses = (self.host.as_str(), self.port).to_socket_addrs();
        let first = addresses
            .map_err(|error| format!("cannot resolve {}: {error}", self.host))?
            .next();
        first.ok_or_else(|| format!("{} has no address", self.host))
    }
}

/// One field to send, as given: `Name: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    name: String,
    value: String,
}

impl Field {
    /// Parses `Name: value`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("write 'Name: value'")?;
        let value = value.trim();
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(format!("`{name}` is not a field name"));
        }
        if value
            .bytes()
            .any(|byte| byte.is_ascii_control() && byte != b'\t')
        {
            return Err("a field value has no control characters".into());
        }
        Ok(Self {
            name: name.into(),
            value: value.into(),
        })
    }
}

/// Checks a method: any token.
pub(crate) fn method(text: &str) -> Result<String, String> {
    let is_token = !text.is_empty() && text.bytes().all(is_token_byte);
    is_token
        .then(|| text.to_owned())
        .ok_or_else(|| format!("`{text}` is not a method"))
}

/// A request, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Request line and fields, with the empty line.
    pub head: Vec<u8>,
    /// The content; may be empty.
    pub body: Vec<u8>,
    /// HEAD: the answer will have no body, whatever it says.
    pub is_head: bool,
}

impl Request {
    /// Encodes it; `body` of `None` sends no `Content-Length`.
    pub(crate) fn encode(url: &Url, method: &str, fields: &[Field], body: Option<Vec<u8>>) -> Self {
        let mut head = format!("{method} {} HTTP/1.1\r\n", url.path);
        let given = |name: &str| {
            fields
                .iter()
                .any(|field| field.name.eq_ignore_ascii_case(name))
        };
        if !given("host") {
            let _ = write!(head, "Host: {}\r\n", url.authority);
        }
        for Field { name, value } in fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(body) = &body
            && !given("content-length")
            && !given("transfer-encoding")
        {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        Self {
            head: head.into_bytes(),
            body: body.unwrap_or_default(),
            is_head: method == "HEAD",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, authority: &str, host: &str, port: u16, path: &str| {
            let expected = Url {
                authority: authority.into(),
                host: host.into(),
                port,
                path: path.into(),
            };
            assert_eq!(Url::parse(text), Ok(expected), "{text}");
        };
        check("http://a", "a", "a", 80, "/");
        check("HTTP://a.b:8080/x?y#z", "a.b:8080", "a.b", 8080, "/x?y");
        check("127.0.0.1:1/", "127.0.0.1:1", "127.0.0.1", 1, "/");
        check("http://[::1]:81?q", "[::1]:81", "::1", 81, "/?q");
        check("http://[::1]", "[::1]", "::1", 80, "/");
        for text in [
            "https://a",
            "http://",
            "http://a:99999",
            "http://a b",
            "http://:80",
            "http://u@h",
            "http://[::1",
            "http://[::1]x",
            "ftp://a",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn requests_are_encoded_once_and_fields_replace_ours() {
        let url = Url::parse("http://h:1/p?q").expect("a URL");
        let get = Request::encode(&url, "GET", &[], None);
        assert_eq!(get.head, b"GET /p?q HTTP/1.1\r\nHost: h:1\r\n\r\n");
        let fields =
            [Field::parse("host: x"), Field::parse("A:b c ")].map(|field| field.expect("a field"));
        let post = Request::encode(&url, "POST", &fields, Some(b"abc".to_vec()));
        let expected = b"POST /p?q HTTP/1.1\r\nhost: x\r\nA: b c\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(post.head, expected);
        assert!(Request::encode(&url, "HEAD", &[], None).is_head);
    }

    #[test]
    fn fields_cannot_smuggle_lines() {
        for text in ["no colon", ": v", "a b: v", "a: b\r\nc: d", "a: b\0"] {
            assert!(Field::parse(text).is_err(), "{text:?}");
        }
        assert!(method("GE T").is_err() && method("").is_err() && method("PURGE").is_ok());
    }
}
