//! Tokens and key sets. What must hold for any bytes: no panic; a token that nobody signed is never
//! let in, wherever it is sent; a token that can be read can be read again, and not when a byte
//! stands behind it; a key set that is taken has keys and is within its bounds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::authenticate::{Asked, KeySet, Memory, Methods, Obstacle, Requirement, is_readable};
use engine::config;
use engine::http::{HeadLimits, RequestHead, h1};

/// The key of RFC 8037 appendix A.1; nobody signs claims with it here.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const METHODS: &str = "\
[[authentication.jwt]]\nname = 'bearer'\nissuer = 'i'\naudiences = ['a']\nkeys = { file = 'k' }\n\
[[authentication.jwt]]\nname = 'cookie'\nissuer = 'i'\naudiences = ['a']\nkeys = { file = 'k' }\n\
cookie = 'id'\n\
[[authentication.jwt]]\nname = 'query'\nissuer = 'i'\naudiences = ['a']\nkeys = { file = 'k' }\n\
query = 'token'\n\
[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
authenticate = { any_of = ['bearer', 'cookie', 'query'] }\n\
virtual_hosts = [{ hosts = ['*'], routes = [{ direct_response = { status = 200 } }] }]\n";

/// Checks it for `bytes`; says whether they are a token that can be read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    if let Ok(keys) = KeySet::parse(bytes) {
        assert!(!keys.is_empty());
        assert!(keys.len() + keys.ignored() <= engine::limits::KEY_SET_KEYS_MAX);
    }
    let is_token = is_readable(bytes);
    if is_token {
        assert!(is_readable(bytes));
        for behind in [b".", b"=", b" "] {
            assert!(!is_readable(&[bytes, behind].concat()));
        }
    }
    let (methods, requirement) = configured();
    let mut memory = Memory::new(&[7; 32]);
    for (before, after) in [
        (
            "/ HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ",
            "\r\n\r\n",
        ),
        ("/ HTTP/1.1\r\nHost: h\r\nCookie: a=b; id=", "\r\n\r\n"),
        ("/?token=", " HTTP/1.1\r\nHost: h\r\n\r\n"),
    ] {
        let text = [b"GET ", before.as_bytes(), bytes, after.as_bytes()].concat();
        let mut head = RequestHead::new();
        if h1::request::parse(&text, &HeadLimits::default(), &mut head).is_err() {
            continue;
        }
        let asked = Asked {
            request: head.view(&text),
            peer: None,
            now: Duration::from_secs(1_800_000_000),
        };
        match methods.authenticate(&requirement, &asked, &mut memory) {
            Err(Obstacle::Refused(refusal)) => {
                let challenges = methods.challenges(&requirement, refusal);
                assert!(!challenges.as_slice().is_empty());
            }
            other => panic!("let in: {other:?}"),
        }
    }
    is_token
}

fn configured() -> (Methods, Requirement) {
    let config = config::parse(METHODS, Path::new("fuzz")).expect("a configuration");
    let keys = Arc::new(KeySet::parse(KEYS.as_bytes()).expect("a key set"));
    let keys = vec![Some(keys); config.authentication.jwt.len()];
    let route = &config.listeners[0].virtual_hosts[0].routes[0];
    (
        Methods::compile(&config.authentication, keys),
        Requirement::compile(&route.authenticate),
    )
}
