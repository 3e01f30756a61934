//! Whom to ask, in the words of the command line: URL, fields, method.
//!
//! The name is resolved once; all connections go to the first address, so that a run measures one
//! peer.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::http1::is_token_byte;
use crate::traffic::request::Path;

/// A URL, taken apart. `grpc://` is `http://` with a gRPC method as its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host and, if given, port: the `Host` field.
    authority: String,
    /// `https://` or `grpcs://`.
    secure: bool,
    /// `grpc://` or `grpcs://`.
    is_call: bool,
    host: String,
    port: u16,
    /// Path and query, `/` at least: the request target.
    path: String,
}

impl Url {
    /// Parses `http[s]://host[:port][/path][?query]` or `grpc[s]://host[:port]/Service/Method`; left
    /// out, the scheme is `http`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (secure, is_call) = match &*scheme.to_ascii_lowercase() {
            "http" => (false, false),
            "https" => (true, false),
            "grpc" => (false, true),
            "grpcs" => (true, true),
            _ => {
                return Err(format!(
                    "`{scheme}` is not spoken; write http://…, https://…, grpc://… or grpcs://…"
                ));
            }
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
            None if port.is_empty() => {
                if secure {
                    443
                } else {
                    80
                }
            }
            None => return Err(format!("`{authority}` is not host:port")),
        };
        if host.is_empty() || host.contains(['@', '[', ']']) {
            return Err(format!("`{authority}` is not host:port"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            authority: authority.into(),
            secure,
            is_call,
            host: host.into(),
            port,
            path: format!("{slash}{path}"),
        })
    }

    /// Is it to be asked for through TLS?
    pub(crate) const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Is a gRPC method called, which the path names?
    pub(crate) const fn is_call(&self) -> bool {
        self.is_call
    }

    /// The scheme.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The host: a name or an address, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Host and, if given, port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        &self.path
    }

    /// Path and query, the same for every request.
    pub(crate) fn path(&self) -> Path {
        Path::fixed(self.path.clone())
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
    /// Its name, as given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its value, without blanks around it.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// Is this its name, in whatever case?
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, authority: &str, host: &str, port: u16, path: &str| {
            let expected = Url {
                authority: authority.into(),
                secure: text.starts_with("https") || text.starts_with("grpcs"),
                is_call: text.starts_with("grpc"),
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
        check("https://a", "a", "a", 443, "/");
        check("https://a:1/b", "a:1", "a", 1, "/b");
        check("grpc://a:1/p.S/M", "a:1", "a", 1, "/p.S/M");
        check("grpcs://a/p.S/M", "a", "a", 443, "/p.S/M");
        for text in [
            "wss://a",
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
    fn fields_cannot_smuggle_lines() {
        for text in ["no colon", ": v", "a b: v", "a: b\r\nc: d", "a: b\0"] {
            assert!(Field::parse(text).is_err(), "{text:?}");
        }
        assert!(method("GE T").is_err() && method("").is_err() && method("PURGE").is_ok());
    }
}
