//! The whole of the configuration: what loads, what does not, and what is said about it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

/// A file with a problem of every kind, and what is said about it.
const WRONG: &str = include_str!("wrong.toml");
const WRONG_REPORT: &str = include_str!("wrong.report");

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
    let sources = Sources::of_text(complete_example(), Path::new("f"));
    let notes = file::Notes::new(&sources);
    let config = notes.read(read::config);
    assert!(config.is_some(), "{:#?}", read_problems(complete_example()));
    // A virtual host beside the listeners has the keys of one within.
    let described_within = |key: &String| match key.strip_prefix("virtual_hosts[].") {
        Some("listeners") | None => key.clone(),
        Some(_) => format!("listeners[].{key}"),
    };
    let read: BTreeSet<String> = notes.asked.borrow().iter().map(described_within).collect();
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

#[test]
fn all_problems_are_reported_together() {
    let found = read_problems(WRONG);
    let expected: Vec<&str> = WRONG_REPORT.trim().lines().collect();
    assert_eq!(found, expected, "\n{}", found.join("\n"));
}

#[test]
fn tls_defaults_to_the_identity_where_it_is_meant() {
    let text = r#"
        identity = { directory = "me" }
        [[clusters]]
        name = "mesh"
        endpoints = []
        tls = { identity = "spiffe://x.org/a" }
        [[clusters]]
        name = "web"
        endpoints = []
        tls = { server_name = "a.test" }
        [[listeners]]
        name = "inbound"
        address = "127.0.0.1:1"
        tls = {}
        virtual_hosts = [{ hosts = ["*"], routes = [{ forward = "mesh" }] }]
        [[listeners]]
        name = "site"
        address = "127.0.0.1:2"
        tls = { certificates = [{ chain = "a", key = "b" }] }
        virtual_hosts = [{ hosts = ["*"], routes = [{ forward = "web" }] }]
    "#;
    let config = parse(text, Path::new("f")).unwrap_or_else(|errors| panic!("{errors}"));
    let (svid, bundle) = (Path::new("me/svid.pem"), Path::new("me/bundle.pem"));
    let inbound = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(inbound.certificates[0].chain, svid);
    assert_eq!(inbound.certificates[0].key, svid);
    assert_eq!(inbound.client_certificate, ClientCertificate::Required);
    assert_eq!(inbound.client_ca.as_deref(), Some(bundle));
    assert_eq!(
        inbound.client_identities,
        Some(ClientIdentities::OwnTrustDomain)
    );
    assert_eq!(inbound.min_version, TlsVersion::Tls13);
    let site = config.listeners[1].tls.as_ref().unwrap();
    assert_eq!(site.client_certificate, ClientCertificate::Off);
    assert_eq!((&site.client_ca, &site.client_identities), (&None, &None));
    let mesh = config.clusters[0].tls.as_ref().unwrap();
    assert_eq!(mesh.ca.as_deref(), Some(bundle));
    assert_eq!(mesh.certificate.as_ref().unwrap().key, svid);
    let web = config.clusters[1].tls.as_ref().unwrap();
    assert_eq!((&web.ca, &web.certificate), (&None, &None));
    let dumped = toml::to_string(&config).unwrap();
    assert_eq!(parse(&dumped, Path::new("dump")).unwrap(), config);
}

#[test]
fn what_clients_must_show_has_to_go_together() {
    let problems = |tls: &str| {
        let text = format!(
            "[[listeners]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n\
             tls = {{ {tls}, certificates = [{{ chain = \"a\", key = \"b\" }}] }}\n\
             virtual_hosts = [{{ hosts = [\"*\"], \
             routes = [{{ redirect = {{ path = \"/x\" }} }}] }}]"
        );
        let mut found = read_problems(&text);
        found.pop();
        found.join("\n")
    };
    let asked = "client_certificate = \"required\", client_ca = \"c\"";
    assert_eq!(problems(asked), "");
    for (identities, expected) in [
        ("[]", "expected \"own_trust_domain\", or a list"),
        ("\"any\"", "expected \"own_trust_domain\", or a list"),
        ("[\"spiffe://x.org\"]", "client_identities[0]"),
    ] {
        let found = problems(&format!("{asked}, client_identities = {identities}"));
        assert!(found.contains(expected), "{identities}: {found}");
    }
    let found = problems("client_identities = \"own_trust_domain\"");
    assert!(found.contains("has no use while"), "{found}");
}

#[test]
fn an_identity_has_one_source() {
    let problems = |identity: &str| {
        let text = format!(
            "identity = {{ {identity} }}\n\
             [[listeners]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\ntls = {{}}\n\
             virtual_hosts = [{{ hosts = [\"*\"], \
             routes = [{{ direct_response = {{ status = 200 }} }}] }}]"
        );
        read_problems(&text).join("\n")
    };
    let asks = "workload_api = \"unix:///run/agent.sock\"";
    assert_eq!(problems("directory = \"me\""), "");
    assert_eq!(
        problems(&format!("{asks}, hint = \"a\", start_timeout = \"2m\"")),
        ""
    );
    assert_eq!(problems("workload_api = \"environment\""), "");
    for (identity, expected) in [
        (
            String::new(),
            "identity.directory: missing, expected the path of a folder, or `work",
        ),
        (
            format!("directory = \"me\", {asks}"),
            "has no use beside `workload_api`",
        ),
        (
            "directory = \"me\", hint = \"a\"".into(),
            "has no use without `workload_api`",
        ),
        (
            "directory = \"me\", start_timeout = \"1s\"".into(),
            "has no use without",
        ),
        (
            "workload_api = \"/run/agent.sock\"".into(),
            "expected a socket such as",
        ),
        (
            "workload_api = \"tcp://10.0.0.1:80\"".into(),
            "on this machine",
        ),
        (
            format!("{asks}, hint = \"\""),
            "expected the hint of an identity",
        ),
    ] {
        let found = problems(&identity);
        assert!(found.contains(expected), "{identity}: {found}");
    }
}

#[test]
fn what_needs_a_request_cannot_be_had_with_passthrough() {
    let problems = |lines: &str, route: &str| {
        let text = format!(
            "[[clusters]]\nname = \"c\"\nendpoints = []\n\
             [[clusters]]\nname = \"tls\"\nendpoints = []\ntls = {{}}\n\
             [[listeners]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\npassthrough = true\n{lines}\n\
             virtual_hosts = [{{ name = \"v\", hosts = [\"*\"], routes = [{route}] }}]"
        );
        let mut found = read_problems(&text);
        found.pop();
        found.join("\n")
    };
    let good = "{ forward = \"c\", timeouts = { idle = \"1m\" } }";
    assert_eq!(problems("", good), "");
    let tls = "tls = { certificates = [{ chain = \"a\", key = \"b\" }] }";
    for lines in [
        tls,
        "authenticate = \"none\"",
        "rate_limits = [{ name = \"a\", requests = 1 }]",
    ] {
        let found = problems(lines, good);
        assert!(
            found.contains("cannot be had with `passthrough`"),
            "{lines}: {found}"
        );
    }
    let policy = |condition: &str| {
        let action = "name = \"p\", action = \"allow\"";
        format!("authorization = {{ policies = [{{ {action}, {condition} }}] }}")
    };
    for condition in [
        "sources = [\"10.0.0.0/8\"]",
        "not = { hosts = [\"x.test\"] }",
    ] {
        assert_eq!(problems(&policy(condition), good), "", "{condition}");
    }
    for (condition, aspect) in [
        ("methods = [\"GET\"]", "methods"),
        ("paths = [{ exact = \"/\" }]", "paths"),
        ("not = { principals = [\"anonymous\"] }", "principals"),
        ("sources = [\"::1\"], ports = [443]", "ports"),
        ("headers = [{ name = \"x\", present = true }]", "headers"),
    ] {
        let found = problems(&policy(condition), good);
        let expected = format!("listener/p asks for `{aspect}`");
        assert!(found.contains(&expected), "{condition}: {found}");
    }
    let tls = good.replace("\"c\"", "\"tls\"");
    let found = problems("", &tls);
    assert!(
        found.contains("expected clusters without `tls`, which \"tls\" has"),
        "{found}"
    );
    for route in [
        "{ redirect = { path = \"/x\" } }",
        "{ forward = \"c\", rewrite = { host = \"x\" } }",
        "{ forward = \"c\", matches = [{ method = \"GET\" }] }",
        "{ forward = \"c\", request_headers = { remove = [\"x\"] } }",
        "{ forward = \"c\" }, { forward = \"c\", matches = [{ path = { exact = \"/x\" } }] }",
    ] {
        let found = problems("", route);
        assert!(
            found.contains("virtual host \"v\": with `passthrough`"),
            "{route}: {found}"
        );
    }
}
