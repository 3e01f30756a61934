//! The pages of the admin interface: which exist, and which one a request means.
//!
//! One table holds path, method and description; routing, `Allow` and the index page are read
//! from it, so that a page cannot exist without being listed. Only POST changes anything. Pure.

use std::borrow::Cow;

use hyper::{Method, StatusCode};

/// What a page shows or does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Index,
    Live,
    Ready,
    Metrics,
    Stats,
    Histograms,
    Clusters,
    Listeners,
    Keys,
    ConfigDump,
    Drain,
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Entry {
    /// Exact path.
    pub(super) path: &'static str,
    /// Whether the page changes something; then only POST will do, else only GET and HEAD.
    pub(super) changes: bool,
    pub(super) page: Page,
    /// For the index, after the path.
    pub(super) description: &'static str,
}

const fn shows(path: &'static str, page: Page, description: &'static str) -> Entry {
    Entry {
        path,
        changes: false,
        page,
        description,
    }
}

/// Every page, in the order of the index.
pub(super) const PAGES: [Entry; 11] = [
    shows("/", Page::Index, "this list"),
    shows("/livez", Page::Live, "200 while every shard runs"),
    shows(
        "/readyz",
        Page::Ready,
        "200 while connections are accepted, 503 before that and when draining",
    ),
    shows(
        "/metrics",
        Page::Metrics,
        "counters and histograms in the Prometheus text format",
    ),
    shows("/stats", Page::Stats, "counters and latencies, for people"),
    shows("/histograms", Page::Histograms, HISTOGRAMS),
    shows(
        "/clusters",
        Page::Clusters,
        "clusters and their endpoints, as JSON; of one: ?cluster=",
    ),
    shows(
        "/listeners",
        Page::Listeners,
        "listeners and their connections, as JSON",
    ),
    shows(
        "/keys",
        Page::Keys,
        "key sets that are fetched from issuers, as JSON",
    ),
    shows(
        "/config_dump",
        Page::ConfigDump,
        "the configuration with every default, since when and why it runs, and what was refused \
         last, as JSON",
    ),
    Entry {
        path: "/drain",
        changes: true,
        page: Page::Drain,
        description: "POST: stop accepting, finish the exchanges under way, exit 0",
    },
];

const HISTOGRAMS: &str = "latencies by phase: ?format=hgrm|hlog|json \
    &listener= or &route= or &cluster= &phase=";

/// Why no page was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// No page has this path.
    NotFound,
    /// The page has another method; holds the value for `Allow`.
    WrongMethod(&'static str),
}

impl Miss {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

/// The page that `method` and `path` mean.
pub(super) fn find(method: &Method, path: &str) -> Result<Page, Miss> {
    let entry = PAGES
        .iter()
        .find(|entry| entry.path == path)
        .ok_or(Miss::NotFound)?;
    match (entry.changes, method) {
        (true, &Method::POST) | (false, &(Method::GET | Method::HEAD)) => Ok(entry.page),
        (true, _) => Err(Miss::WrongMethod("POST")),
        (false, _) => Err(Miss::WrongMethod("GET, HEAD")),
    }
}

/// The value of `name` in a query, `%`-decoded; the first one when there are several.
pub(super) fn argument<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    query?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decode(value))
}

fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains(['%', '+']) {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', tail),
            },
            (b'+', _) => (b' ', tail),
            (other, _) => (*other, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_method_and_exact_path() {
        for (method, path, expected) in [
            (Method::GET, "/", Ok(Page::Index)),
            (Method::GET, "/stats", Ok(Page::Stats)),
            (Method::HEAD, "/metrics", Ok(Page::Metrics)),
            (Method::POST, "/drain", Ok(Page::Drain)),
            (Method::GET, "/drain", Err(Miss::WrongMethod("POST"))),
            (Method::HEAD, "/drain", Err(Miss::WrongMethod("POST"))),
            (Method::POST, "/stats", Err(Miss::WrongMethod("GET, HEAD"))),
            (Method::DELETE, "/", Err(Miss::WrongMethod("GET, HEAD"))),
            (Method::GET, "/stats/", Err(Miss::NotFound)),
            (Method::GET, "/Stats", Err(Miss::NotFound)),
            (Method::POST, "/quit", Err(Miss::NotFound)),
        ] {
            assert_eq!(find(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn no_two_pages_share_a_path() {
        for (index, entry) in PAGES.iter().enumerate() {
            assert!(PAGES[..index].iter().all(|other| other.path != entry.path));
            assert!(entry.path.starts_with('/') && !entry.description.is_empty());
        }
    }

    #[test]
    fn query_arguments_are_decoded() {
        let query = Some("format=hgrm&route=a%2Fb+c&empty=&flag&format=json");
        for (name, expected) in [
            ("format", Some("hgrm")),
            ("route", Some("a/b c")),
            ("empty", Some("")),
            ("flag", Some("")),
            ("rout", None),
        ] {
            assert_eq!(argument(query, name).as_deref(), expected, "{name}");
        }
        assert_eq!(argument(Some("a=100%&b=%zz"), "a").as_deref(), Some("100%"));
        assert_eq!(argument(Some("a=100%&b=%zz"), "b").as_deref(), Some("%zz"));
        assert_eq!(argument(None, "a"), None);
    }
}
