//! Keys behind an address: fetched, rotated, and missed while the issuer is down.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;

use super::jwt::{get, setup, tokens};
use super::{ANSWER, curl};
use crate::harness::{Origin, Peer, Proxy, certificates::Authority, nginx::Nginx, ports, wait};

/// The key set that the issuer publishes at this moment.
type Published = Arc<Mutex<String>>;

fn publish(published: &Published) -> impl Fn(&mut Peer) + Send + Sync + 'static {
    let published = Arc::clone(published);
    move |peer| {
        while peer.request().is_some() {
            let keys = published.lock().expect("a key set").clone();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", keys.len());
            if !peer.send(head + &keys) {
                return;
            }
        }
    }
}

fn published(made: &Value, name: &str) -> Published {
    Arc::new(Mutex::new(made["sets"][name].to_string()))
}

fn token<'a>(made: &'a Value, name: &str) -> &'a str {
    made["tokens"][name]["ES256"].as_str().expect("a token")
}

fn is_let_in(proxy: &Proxy, token: &str) -> bool {
    get(proxy, "/", token).0 == 200
}

#[test]
fn a_rotated_key_is_found_when_a_token_names_it_and_strangers_cause_no_flood() {
    let made = tokens(&["first", "second", "stranger"]);
    let published = published(&made, "first");
    let issuer = Origin::start(publish(&published));
    let origin = Origin::answering(ANSWER);
    // Fetched again long after the test, if nobody asks.
    let keys = format!(
        "{{ url = \"http://{}/keys\", refresh = \"1h\" }}",
        issuer.address()
    );
    let proxy = Proxy::start(&setup(&origin, &keys, ""));
    wait::for_("the first keys", || {
        is_let_in(&proxy, token(&made, "first"))
    });
    let first = issuer.requests();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].target(), "/keys");

    *published.lock().expect("a key set") = made["sets"]["second"].to_string();
    // Names that nobody has, over and over, while the key that somebody has is waited for.
    wait::for_("the second keys", || {
        assert_eq!(get(&proxy, "/", token(&made, "stranger")).0, 401);
        is_let_in(&proxy, token(&made, "second"))
    });
    assert_eq!(issuer.requests().len(), 2, "one fetch for all of them");
    // What the old key signed is over with it, also where it was known.
    assert!(!is_let_in(&proxy, token(&made, "first")));
}

#[test]
fn an_outage_of_the_issuer_is_none_of_the_service() {
    let made = tokens(&["first", "second"]);
    let published = published(&made, "first");
    let address = ports::free();
    let issuer = Origin::start_at(address, publish(&published));
    let origin = Origin::answering(ANSWER);
    let keys = format!("{{ url = \"http://{address}/keys\", refresh = \"1s\" }}");
    let proxy = Proxy::start(&setup(&origin, &keys, ""));
    wait::for_("the keys", || is_let_in(&proxy, token(&made, "first")));
    issuer.kill();
    let fetches = |result: &str| {
        proxy.metric(
            "weft_key_set_fetches_total",
            &format!("result=\"{result}\""),
        )
    };
    wait::for_("failed fetches", || fetches("error") >= 2.0);
    // One that was known, and one that was not.
    assert!(is_let_in(&proxy, token(&made, "first")));
    let other = made["tokens"]["first"]["EdDSA"].as_str().expect("a token");
    assert!(is_let_in(&proxy, other));
    assert_eq!(get(&proxy, "/", token(&made, "second")).0, 401);
    let page = &proxy.admin_json("/keys")[0];
    assert_eq!(page["keys"], 4);
    let error = page["last_error"].as_str().expect("why");
    assert!(error.contains("cannot connect"), "{error}");
    assert_eq!(proxy.metric("weft_key_set_keys", ""), 4.0);

    *published.lock().expect("a key set") = made["sets"]["second"].to_string();
    let _issuer = Origin::start_at(address, publish(&published));
    wait::for_("the issuer to be back", || {
        is_let_in(&proxy, token(&made, "second"))
    });
    assert_eq!(proxy.admin_json("/keys")[0]["last_error"], "");
}

#[test]
fn before_there_are_keys_nobody_is_let_in_and_nobody_is_blamed() {
    let made = tokens(&[]);
    let published = published(&made, "first");
    let address = ports::free();
    let origin = Origin::answering(ANSWER);
    let keys = format!("{{ url = \"http://{address}/keys\", refresh = \"1s\" }}");
    let proxy = Proxy::start(&setup(&origin, &keys, ""));
    // 503: the token may be in order.
    assert_eq!(get(&proxy, "/", token(&made, "first")).0, 503);
    assert_eq!(curl(&proxy, "/", &[]).0, 401);
    proxy.expect_count(
        "weft_listener_failures_total",
        "failure=\"keys_missing\"",
        1,
    );
    assert_eq!(origin.connections(), 0);
    // Not a key set, a redirect, too large: each with its reason.
    for (response, reason) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "status 404",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            "status 302",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
            "not a JSON Web Key Set",
        ),
    ] {
        let issuer = Origin::start_at(address, move |peer| {
            while peer.request().is_some() && peer.send(response) {}
        });
        wait::for_(reason, || {
            let error = proxy.admin_json("/keys")[0]["last_error"].to_string();
            error.contains(reason)
        });
        issuer.kill();
    }
    let _issuer = Origin::start_at(address, publish(&published));
    wait::for_("the keys", || is_let_in(&proxy, token(&made, "first")));
}

#[test]
fn rfc9525_keys_are_fetched_by_https_from_who_proves_the_name_only() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let made = tokens(&[]);
    let certificate = authority.issue("issuer", "IP:127.0.0.1");
    let [_, chain, _, key] = certificate.curl();
    let issuer = Nginx::start_tls(&format!(
        "ssl_certificate {chain}; ssl_certificate_key {key};"
    ));
    let keys = made["sets"]["first"].to_string();
    issuer.scratch().write("keys.json", &keys);
    let origin = Origin::answering(ANSWER);
    let start = |ca: &Authority| {
        let keys = format!(
            "{{ url = \"https://{}/keys.json\", ca = \"{}\" }}",
            issuer.address(),
            ca.ca().display()
        );
        Proxy::start(&setup(&origin, &keys, ""))
    };
    let trusting = start(&authority);
    wait::for_("the keys", || is_let_in(&trusting, token(&made, "first")));
    let doubting = start(&stranger);
    wait::for_("a refused certificate", || {
        let error = doubting.admin_json("/keys")[0]["last_error"].to_string();
        error.contains("TLS")
    });
    assert_eq!(get(&doubting, "/", token(&made, "first")).0, 503);
}

#[test]
fn keys_stay_when_a_reload_has_them_fetched_otherwise() {
    let made = tokens(&[]);
    let published = published(&made, "first");
    let is_held = Arc::new(AtomicBool::new(false));
    let (held, answer) = (Arc::clone(&is_held), publish(&published));
    // Once it is told to, it takes requests and answers none.
    let issuer = Origin::start(move |peer| match held.load(Ordering::SeqCst) {
        false => answer(peer),
        true => while peer.some().is_some() {},
    });
    let origin = Origin::answering(ANSWER);
    let keys = |more: &str| format!("{{ url = \"http://{}/keys\", {more} }}", issuer.address());
    let before = setup(&origin, &keys("refresh = \"1h\""), "");
    let proxy = Proxy::start(&before);
    wait::for_("the keys", || is_let_in(&proxy, token(&made, "first")));
    is_held.store(true, Ordering::SeqCst);
    let reload = |more: &str, generation: f64| {
        let next = setup(&origin, &keys(more), "");
        let text = next.render(proxy.address(), proxy.admin_address());
        fs::write(proxy.file("weft.toml"), text).expect("written");
        wait::for_("the reload", || {
            proxy.metric("weft_config_generation", "") == generation
        });
    };
    reload("refresh = \"2h\"", 2.0);
    wait::for_("the fetch", || issuer.connections() == 2);
    let errors = || proxy.metric("weft_key_set_fetches_total", "result=\"error\"");
    wait::for_("its failure", || {
        assert!(is_let_in(&proxy, token(&made, "first")));
        errors() >= 1.0
    });
    assert!(is_let_in(&proxy, token(&made, "first")));
    let fetched = proxy.metric("weft_key_set_fetches_total", "result=\"ok\"");
    assert_eq!(fetched, 1.0, "counters go on");
    // Whoever is trusted now has not confirmed them.
    let authority = Authority::new();
    reload(&format!("ca = \"{}\"", authority.ca().display()), 3.0);
    wait::for_("the keys to be given up", || {
        get(&proxy, "/", token(&made, "first")).0 == 503
    });
    is_held.store(false, Ordering::SeqCst);
    wait::for_("the keys again", || {
        is_let_in(&proxy, token(&made, "first"))
    });
}
