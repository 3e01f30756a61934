//! The whole of the configuration: what loads, what does not, and what is said about it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

const REFERENCE: &str = include_str!("../../../config/README.md");

fn read_problems(text: &str) -> Vec<String> {
    match parse(text, Path::new("f")) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect()
}

/// The example at the end of the reference that sets every key.
fn complete_example() -> &'static str {
    let (_, block) = REFERENCE.rsplit_once("```toml\n").unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn embedded_loads() {
    let config = embedded();
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.unwrap().address.to_string(), "127.0.0.1:9901");
    let echo = |endpoint: &Endpoint| endpoint.address == EndpointAddress::BuiltinEcho;
    assert_eq!(config.clusters[0].endpoints.len(), 2);
    assert!(config.clusters[0].endpoints.iter().all(echo));
}

#[test]
fn every_shipped_file_loads() {
    let files = shipped();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        load(Some(&file)).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn what_is_dumped_loads_again_and_means_the_same() {
    let files = shipped();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap());
    for text in texts.chain([complete_example().to_owned()]) {
        let config = parse(&text, Path::new("f")).unwrap_or_else(|errors| panic!("{errors}"));
        let dumped = toml::to_string(&config).unwrap();
        let again = parse(&dumped, Path::new("dump"));
        assert_eq!(
            again.unwrap_or_else(|errors| panic!("{errors}\n{dumped}")),
            config
        );
    }
}

#[test]
fn the_reference_has_every_key_and_no_other() {
    let headings = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("#### `"));
    let described: Vec<&str> = headings.map(|rest| rest.trim_end_matches('`')).collect();
    let notes = file::Notes::new(complete_example());
    let config = notes.read(read::config);
    assert!(config.is_some(), "{:#?}", read_problems(complete_example()));
    let read = notes.asked.borrow();
    let described_once: BTreeSet<String> = described.iter().map(|key| key.to_string()).collect();
    assert_eq!(
        described.len(),
        described_once.len(),
        "a key is described twice"
    );
    let undescribed: Vec<_> = read.difference(&described_once).collect();
    let unread: Vec<_> = described_once.difference(&read).collect();
    assert!(
        undescribed.is_empty() && unread.is_empty(),
        "{undescribed:?} {unread:?}"
    );
}

#[test]
fn profiles_choose_defaults_and_a_listener_may_differ() {
    let text = r#"
        profile = "sidecar"
        clusters = [{ name = "c", endpoints = [] }]
        [[listeners]]
        name = "in"
        address = "127.0.0.1:1"
        virtual_hosts = [{ hosts = ["*"], routes = [{ forward = "c" }] }]
        [[listeners]]
        name = "out"
        address = "127.0.0.1:2"
        profile = "edge"
        virtual_hosts = [{ hosts = ["*"], routes = [{ forward = "c" }] }]
    "#;
    let config = parse(text, Path::new("f")).unwrap();
    let [sidecar, edge] = &config.listeners[..] else {
        panic!()
    };
    assert_eq!(config.drain.as_secs(), 120);
    assert_eq!(config.clusters[0].connect_timeout.as_secs(), 1);
    assert_eq!(
        (sidecar.limits.body_bytes, edge.limits.body_bytes),
        (None, Some(1 << 20))
    );
    assert_eq!(sidecar.limits.requests_per_connection, None);
    assert_eq!(
        (
            sidecar.timeouts.idle.as_secs(),
            edge.timeouts.idle.as_secs()
        ),
        (3600, 75)
    );
    assert_eq!(
        (sidecar.fields.trusted_hops, edge.fields.trusted_hops),
        (TRUST_ALL_HOPS, 0)
    );
    assert_eq!(sidecar.fields.underscores, UnderscorePolicy::Pass);
    assert_eq!(edge.fields.underscores, UnderscorePolicy::Refuse);
    assert_eq!(
        (sidecar.path.merge_slashes, edge.path.merge_slashes),
        (false, true)
    );
    let indexes = config
        .listeners
        .iter()
        .map(|l| l.virtual_hosts[0].routes[0].index);
    assert_eq!(indexes.collect::<Vec<_>>(), [0, 1]);
    assert_eq!(&*edge.virtual_hosts[0].routes[0].name, "*/0");
}

#[test]
fn route_timeouts_are_inherited_from_the_listener() {
    let text = r#"
        clusters = [{ name = "c", endpoints = [] }]
        [[listeners]]
        name = "a"
        address = "127.0.0.1:1"
        route_timeouts = { first_byte = "1m", idle = "off" }
        [[listeners.virtual_hosts]]
        hosts = ["*"]
        routes = [
            { forward = "c", timeouts = { first_byte = "2s" } },
            { name = "r", redirect = { path = "/" }, matches = [{ path = { exact = "/r" } }] },
        ]
    "#;
    let config = parse(text, Path::new("f")).unwrap();
    let routes = &config.listeners[0].virtual_hosts[0].routes;
    let timeouts = routes[0].timeouts.as_ref().unwrap();
    assert_eq!(timeouts.first_byte.unwrap().as_secs(), 2);
    assert_eq!((timeouts.idle, timeouts.request), (None, None));
    assert_eq!(routes[1].timeouts, None);
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let missing = load(Some(Path::new("/nonexistent/weft.toml"))).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "/nonexistent/weft.toml: cannot be opened: No such file or directory (os error 2)\n1 error"
    );
    let folder = load(Some(Path::new("/"))).unwrap_err();
    assert!(
        folder.to_string().starts_with("/: cannot be read: "),
        "{folder}"
    );
}

#[test]
fn text_that_is_not_toml_is_reported_by_line() {
    assert_eq!(
        read_problems("a = \n\nb = [1,\nc = 2\nd = 1\nd = 2\n"),
        [
            "f:1: not TOML: string values must be quoted, expected literal string",
            "f:4: not TOML: unexpected `=` in array, expected value, `]`",
            "f:5: not TOML: missing comma between array elements, expected `,`",
            "f:6: not TOML: missing comma between array elements, expected `,`",
            "4 errors",
        ]
    );
}

#[test]
fn an_empty_file_lacks_listeners() {
    let expected = [
        "f:1: listeners: missing, expected at least one listener",
        "1 error",
    ];
    assert_eq!(read_problems(""), expected);
    let expected = [
        "f:1: listeners = []: expected at least one listener",
        "1 error",
    ];
    assert_eq!(read_problems("listeners = []"), expected);
}

/// One file with a problem of every kind: all are reported, in the order of the file.
#[test]
fn all_problems_are_reported_together() {
    let found = read_problems(WRONG);
    let expected: Vec<&str> = WRONG_REPORT.trim().lines().collect();
    assert_eq!(found, expected, "\n{}", found.join("\n"));
}

const WRONG: &str = r##"
max_connections = 0
drain = "10"
foo = 1
clusters-x = 1
profile = 1

[shards]
count = 9
cpus = "0-3" # one fewer than needed

[admin]
address = "127.0.0.1:8080"

[access_log]
format = "xml"
buffer = "1KiB"

[histograms.dump]
interval = 10

[[listeners]]
name = "web"
adress = "127.0.0.1:8080"

upgrades = ["a b"]
allow_connect = "yes"
max_connections = 4294967296

[listeners.limits]
field_count = 1000
request_line_bytes = "1MiB"
body_bytes = "many"
head_bytes = "2GiB"
requests_per_connection = -1

[listeners.timeouts]
idle = "2 minutes"
lifetime = "never"

[listeners.fields]
trusted_hops = 99
via = "a b"
server = { set = "\n" }
forwarded = "append"

[[listeners.virtual_hosts]]
name = "a b"
hosts = ["example.com", "EXAMPLE.com", "a.b:80"]

[[listeners.virtual_hosts.routes]]
forward = "ap"
matches = [
  { path = { prefix = "a" } },
  { path = { regex = "(" }, method = "get" },
  { headers = [{ name = "x y", exact = "1" }, { name = "a", exact = "1", regex = "2" }] },
  { query = [{ name = "a", exact = "1" }, { name = "a", regex = ".*" }, {}] },
]

[[listeners.virtual_hosts.routes]]
redirect = { status = 304 }
rewrite = { host = "x" }

[[listeners.virtual_hosts.routes]]
direct_response = { status = 204, body = "x" }
timeouts = { idle = "1s" }

[[listeners.virtual_hosts.routes]]
redirect = { path = "/a?b", scheme = "ftp", port = 0 }
direct_response = { status = 100 }
matches = []

[[listeners.virtual_hosts.routes]]
redirect = { path_prefix = "/x", host = "a:1" }
matches = [{ path = { exact = "/y" } }, { path = { exact = "/y" } }, { path = { exact = "/y", prefix = "/" } }]

[[listeners.virtual_hosts.routes]]
name = "w"
forward = [{ cluster = "app", weight = 0 }, { cluster = "app", weight = 0 }]
rewrite = { path_prefix = "/x", path = "/y" }
request_headers = { set = { host = "x", "a b" = "c", connection = "x", ok = "a\r\nb" }, remove = ["te"], add = {x = ["a", 1]} }

[[listeners.virtual_hosts.routes]]
name = "w"
forward = []

[[listeners.virtual_hosts.routes]]
forward = 1
rewrite = 5

[[listeners.virtual_hosts.routes]]

[[listeners]]
name = "web"
address = "127.0.0.1:8080"

[[clusters]]
name = "app"
endpoints = ["localhost:80", { adress = "127.0.0.1:80" }, 5]

[[clusters]]
name = "app"
lb_policy = "random"
"##;

const WRONG_REPORT: &str = r##"
f:2: max_connections = 0: expected a whole number from 1
f:3: drain = "10": expected a duration from 1ms to 365d, such as "250ms" or "1h30m"
f:4: foo: unknown key, expected one of `profile`, `max_connections`, `drain`, `shards`, `admin`, `access_log`, `histograms`, `clusters`, `listeners`
f:5: clusters-x: unknown key, did you mean `clusters`?
f:6: profile = 1: expected one of `edge`, `sidecar`
f:9: shards.count = 9: more shards than the 4 cores in `cpus`
f:15: access_log.path: missing, expected the path of a file
f:16: access_log.format = "xml": expected one of `json`, `text`
f:17: access_log.buffer = "1KiB": expected a size from 64KiB to 1GiB, such as "64KiB"
f:19: histograms.dump.path: missing, expected the path of a file
f:20: histograms.dump.interval = 10: expected a duration from 1ms to 365d, such as "250ms" or "1h30m"
f:22: listeners[0].address: missing, expected an address such as "127.0.0.1:8080", "[::1]:8080" or "unix:/run/weft.sock"
f:24: listeners[0].adress: unknown key, did you mean `address`?
f:26: listeners[0].upgrades[0] = "a b": expected a protocol name such as "websocket"
f:27: listeners[0].allow_connect = "yes": expected true or false
f:28: listeners[0].max_connections = 4294967296: expected a whole number from 1
f:31: listeners[0].limits.field_count = 1000: expected a whole number from 1 to 256
f:32: listeners[0].limits.request_line_bytes = "1MiB": expected a size from 64B to 64KiB, such as "64KiB"
f:33: listeners[0].limits.body_bytes = "many": expected a size such as "1MiB", or "unlimited"
f:34: listeners[0].limits.head_bytes = "2GiB": expected a size from 1KiB to 1MiB, such as "64KiB"
f:35: listeners[0].limits.requests_per_connection = -1: expected a whole number from 1, or "unlimited"
f:38: listeners[0].timeouts.idle = "2 minutes": expected a duration from 1ms to 365d, such as "250ms" or "1h30m"
f:39: listeners[0].timeouts.lifetime = "never": expected a duration from 1ms to 365d, such as "30s", or "off"
f:42: listeners[0].fields.trusted_hops = 99: expected a whole number from 0 to 32, or "all"
f:43: listeners[0].fields.via = "a b": expected a pseudonym (RFC 9110 token) or "off"
f:44: listeners[0].fields.server.set = "\n": expected a header value: visible ASCII, no space at the start or the end
f:45: listeners[0].fields.forwarded = "append": expected one of `set`, `pass`
f:48: listeners[0].virtual_hosts[0].name = "a b": expected a name of 1 to 128 letters, digits or `-_.:/*`
f:49: listeners[0].virtual_hosts[0].hosts[1] = "EXAMPLE.com": already used in listeners[0].virtual_hosts[0].hosts[0]
f:49: listeners[0].virtual_hosts[0].hosts[2] = "a.b:80": expected a host without port such as "example.com", "*.example.com", "*", "127.0.0.1" or "[::1]"
f:52: listeners[0].virtual_hosts[0].routes[0].forward = "ap": no such cluster, did you mean "app"?
f:54: listeners[0].virtual_hosts[0].routes[0].matches[0].path.prefix = "a": expected a path such as "/a/b" in the form requests are brought to: from `/`, no empty or dot segment, no `?` or `#`, only other characters percent-encoded in upper case
f:55: listeners[0].virtual_hosts[0].routes[0].matches[1].path.regex = "(": not a regular expression: unclosed group
f:55: listeners[0].virtual_hosts[0].routes[0].matches[1].method = "get": expected a method in upper case such as "GET"
f:56: listeners[0].virtual_hosts[0].routes[0].matches[2].headers[0].name = "x y": expected a header name (RFC 9110 token)
f:56: listeners[0].virtual_hosts[0].routes[0].matches[2].headers[1]: expected exactly one of `exact`, `regex`
f:57: listeners[0].virtual_hosts[0].routes[0].matches[3].query[1].name = "a": occurs twice in one match
f:57: listeners[0].virtual_hosts[0].routes[0].matches[3].query[2].name: missing, expected a name
f:57: listeners[0].virtual_hosts[0].routes[0].matches[3].query[2]: expected exactly one of `exact`, `regex`
f:61: listeners[0].virtual_hosts[0].routes[1].redirect.status = 304: expected one of 301, 302, 303, 307, 308
f:61: listeners[0].virtual_hosts[0].routes[1].redirect: leads back to the same place, expected `scheme`, `host`, `port`, `path` or `path_prefix`
f:62: listeners[0].virtual_hosts[0].routes[1].rewrite = { host = "x" }: has no effect without `forward`
f:65: listeners[0].virtual_hosts[0].routes[2].direct_response.body = "x": not allowed with status 204, 205 or 304
f:66: listeners[0].virtual_hosts[0].routes[2].timeouts = { idle = "1s" }: has no effect without `forward`
f:68: listeners[0].virtual_hosts[0].routes[3]: more than one action, expected one of `forward`, `redirect`, `direct_response`
f:71: listeners[0].virtual_hosts[0].routes[3].matches = []: expected a list of at least one match
f:74: listeners[0].virtual_hosts[0].routes[4].redirect.host = "a:1": expected a host without port such as "example.com"
f:74: listeners[0].virtual_hosts[0].routes[4].redirect.path_prefix = "/x": expected a route with exactly one match, by path prefix
f:75: listeners[0].virtual_hosts[0].routes[4].matches[1] = { path = { exact = "/y" } }: never reached, listeners[0].virtual_hosts[0].routes[4].matches[0] matches the same requests
f:75: listeners[0].virtual_hosts[0].routes[4].matches[2].path: expected exactly one of `exact`, `prefix`, `regex`
f:79: listeners[0].virtual_hosts[0].routes[5].forward = [{ cluster = "app", weight = 0 }, { cluster = "app", weight ...: all weights are 0, expected one that is not
f:80: listeners[0].virtual_hosts[0].routes[5].rewrite.path_prefix = "/x": expected only one of `path`, `path_prefix`
f:81: listeners[0].virtual_hosts[0].routes[5].request_headers.set."a b" = "c": the key is not a header name (RFC 9110 token)
f:81: listeners[0].virtual_hosts[0].routes[5].request_headers.set.connection = "x": `connection` belongs to the connection, not to the message
f:81: listeners[0].virtual_hosts[0].routes[5].request_headers.set.host = "x": `Host` is changed with `rewrite.host`
f:81: listeners[0].virtual_hosts[0].routes[5].request_headers.set.ok = "a\r\nb": expected a header value: visible ASCII, no space at the start or the end
f:81: listeners[0].virtual_hosts[0].routes[5].request_headers.add.x[1] = 1: expected a header value: visible ASCII, no space at the start or the end
f:81: listeners[0].virtual_hosts[0].routes[5].request_headers.remove[0] = "te": `te` belongs to the connection, not to the message
f:84: listeners[0].virtual_hosts[0].routes[6].name = "w": already used in listeners[0].virtual_hosts[0].routes[5].name
f:85: listeners[0].virtual_hosts[0].routes[6].forward = []: expected at least one cluster
f:88: listeners[0].virtual_hosts[0].routes[7].forward = 1: expected the name of a cluster, or a list of { cluster, weight }
f:89: listeners[0].virtual_hosts[0].routes[7].rewrite = 5: expected a table
f:91: listeners[0].virtual_hosts[0].routes[8]: missing action, expected one of `forward`, `redirect`, `direct_response`
f:93: listeners[1].virtual_hosts: missing, expected at least one virtual host
f:94: listeners[1].name = "web": already used in listeners[0].name
f:95: listeners[1].address = "127.0.0.1:8080": already used in admin.address
f:99: clusters[0].endpoints[0] = "localhost:80": expected an IP address and port such as "10.0.0.1:80" or "[::1]:80", "unix:/run/app.sock" or "builtin:echo" (host names are not resolved)
f:99: clusters[0].endpoints[1].address: missing, expected an IP address and port such as "10.0.0.1:80" or "[::1]:80", "unix:/run/app.sock" or "builtin:echo" (host names are not resolved)
f:99: clusters[0].endpoints[1].adress: unknown key, did you mean `address`?
f:99: clusters[0].endpoints[2] = 5: expected an IP address and port such as "10.0.0.1:80" or "[::1]:80", "unix:/run/app.sock" or "builtin:echo" (host names are not resolved)
f:101: clusters[1].endpoints: missing, expected a list of addresses (empty to answer 503)
f:102: clusters[1].name = "app": already used in clusters[0].name
f:103: clusters[1].lb_policy = "random": expected one of `round_robin`, `least_request`
73 errors
"##;
