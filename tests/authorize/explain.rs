//! `weft explain` against what is served.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{ask, levels};
use crate::authenticate::hash;
use crate::harness::{Origin, Proxy, Setup, dice::Dice, proxy};

/// A request.
struct Asked {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    headers: Vec<&'static str>,
}

impl Asked {
    fn any(dice: &mut Dice) -> Self {
        let mut headers =
            vec![*dice.pick(&["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.3.1"])];
        for header in [
            "X-Team: shop",
            "X-Team: other",
            "X-Api-Key: billing-key-0123456789",
            "X-Api-Key: shop-key-0123456789-xx",
            "Max-Forwards: 0",
        ] {
            if dice.below(4) == 0 {
                headers.push(header);
            }
        }
        Self {
            method: dice.pick::<&str>(&["GET", "GET", "GET", "POST", "OPTIONS", "TRACE"]),
            host: dice.pick::<&str>(&[
                "a.test",
                "B.a.test.",
                "other.test",
                "keys.test",
                "keys.test",
            ]),
            path: dice.pick::<&str>(&[
                "/open",
                "/open/x;y",
                "/team",
                "/moved",
                "/admin",
                "//admin",
                "/admin%2e",
                "/x/%2e%2e/admin",
                "/none",
                "/%2fadmin",
                "/",
                "/team%",
            ]),
            headers,
        }
    }

    /// What is served.
    fn served(&self, proxy: &Proxy) -> u16 {
        let mut fields = format!("Host: {}\r\n", self.host);
        for header in &self.headers {
            write!(fields, "{header}\r\n").expect("text");
        }
        ask(proxy, &format!("{} {}", self.method, self.path), &fields)
    }

    /// What is explained, and the exit code.
    fn explained(&self, proxy: &Proxy) -> (String, Option<i32>) {
        let mut explain = proxy::weft();
        explain
            .args(["explain", "--listener", "main", "--method", self.method])
            .arg("--config")
            .arg(proxy.file("weft.toml"))
            .args(["--url", &format!("http://{}{}", self.host, self.path)]);
        for header in &self.headers {
            explain.args(["-H", header]);
        }
        let explained = proxy::output(&mut explain);
        let text = String::from_utf8_lossy(&explained.stdout).into_owned();
        (text, explained.status.code())
    }
}

/// The levels of the other tests, and a host for callers with API keys.
fn with_keys(origin: &Origin) -> Setup {
    levels()
        .host("keys", "[\"keys.test\"]\nauthenticate = { any_of = [\"partners\"] }")
        .route(
            "partners",
            "forward = \"origin\"\nauthorization = { policies = [{ name = \"b\", \
             action = \"allow\", principals = [{ key_owner = \"billing\" }] }] }",
        )
        .top(&format!(
            "[[authentication.api_keys]]\nname = \"partners\"\nheader = \"x-api-key\"\n\
             keys = [{{ owner = \"billing\", hash = \"{}\" }}, {{ owner = \"shop\", hash = \"{}\" }}]",
            hash("hash-key", "billing-key-0123456789").expect("a hash"),
            hash("hash-key", "shop-key-0123456789-xx").expect("a hash"),
        ))
        .cluster("origin", &[origin.address()])
}

#[test]
fn explanations_agree_with_what_is_served() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&with_keys(&origin));
    let mut dice = Dice::new(7);
    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    for _ in 0..120 {
        let asked = Asked::any(&mut dice);
        let (text, code) = asked.explained(&proxy);
        let served = asked.served(&proxy);
        let result = text.lines().last().unwrap_or_default();
        let result = result.strip_prefix("result").expect("a result").trim();
        let expected = match result.split_once(' ') {
            Some(("forwarded", _)) => 200,
            Some((status, _)) => status.parse().expect("a status"),
            None => panic!("{text}"),
        };
        assert_eq!(served, expected, "{:?}\n{text}", asked.headers);
        let expected = if result.contains(" refused ") { 3 } else { 0 };
        assert_eq!(code, Some(expected), "{text}");
        *seen.entry(served).or_default() += 1;
    }
    for status in [200, 302, 400, 401, 403, 404] {
        assert!(seen.contains_key(&status), "all kinds of answers: {seen:?}");
    }
}
