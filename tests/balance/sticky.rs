//! Sticky clients: a signed cookie names the endpoint that served before.

use super::{get_with, named};
use crate::harness::{Client, Origin, Proxy, Response, Setup, ports};

const KEY: &str = "sixteen bytes or more";

/// A proxy in front of these, with a key of its own in its folder.
fn start(origins: &[&Origin], key: &str) -> Proxy {
    let addresses: Vec<String> = origins
        .iter()
        .map(|origin| origin.address().to_string())
        .collect();
    let lines = "lb_policy = \"round_robin\"\nsticky = { cookie = \"at\", key_file = \"key\" }";
    let setup = Setup::new().cluster_with("origin", &addresses, lines);
    let (address, admin) = (ports::free(), ports::free());
    let config = setup.render(address, admin);
    Proxy::start_with_file(&config, ("key", key), address, admin)
}

/// The cookie that a response sets, as a client sends it.
fn cookie(response: &Response) -> Option<String> {
    let set = response.field("Set-Cookie")?;
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    Some(pair.to_owned())
}

fn get(client: &mut Client, cookie: &str) -> Response {
    get_with(client, "/", &format!("Cookie: {cookie}"))
}

#[test]
fn a_client_with_a_cookie_stays_also_over_a_restart() {
    let origins = ["a", "b", "c"].map(named);
    let mut proxy = start(&origins.each_ref(), KEY);
    let mut client = proxy.connect();
    for _ in 0..3 {
        let first = client.get("/");
        let cookie = cookie(&first).expect("a cookie for a client without one");
        for _ in 0..5 {
            let again = get(&mut client, &cookie);
            assert_eq!(again.text(), first.text());
            assert_eq!(again.field("Set-Cookie"), None, "it has one");
        }
    }
    let first = client.get("/");
    let kept = cookie(&first).expect("a cookie");
    proxy.terminate();
    proxy.wait();
    proxy.restart();
    let mut client = proxy.connect();
    for _ in 0..5 {
        let again = get(&mut client, &kept);
        assert_eq!(
            (again.text(), again.field("Set-Cookie")),
            (first.text(), None)
        );
    }
    // A proxy with another key takes it for anybody's.
    let other = start(&origins.each_ref(), "another key of sixteen bytes");
    assert_ne!(cookie(&get(&mut other.connect(), &kept)), None);
}

#[test]
fn a_forged_cookie_is_ignored_and_replaced() {
    let origins = ["a", "b"].map(named);
    let proxy = start(&origins.each_ref(), KEY);
    let mut client = proxy.connect();
    let good = cookie(&client.get("/")).expect("a cookie");
    let mut changed = good.clone().into_bytes();
    let last = changed.last_mut().expect("a digit");
    *last = if *last == b'0' { b'1' } else { b'0' };
    let address = format!("at={}", origins[0].address());
    for forged in [
        "at=",
        "at=00000000000000000000000000000000",
        &String::from_utf8(changed).expect("text"),
        &good[..good.len() - 1],
        &format!("{good}0"),
        &address,
    ] {
        // As without one: both in turn, each time with a cookie of theirs.
        let answers = [get(&mut client, forged), get(&mut client, forged)];
        assert_ne!(answers[0].text(), answers[1].text(), "{forged}");
        assert!(answers.iter().all(|it| cookie(it).is_some()), "{forged}");
    }
}

#[test]
fn when_its_endpoint_is_gone_a_client_gets_another_one_and_stays_there() {
    let [a, b, c] = ["a", "b", "c"].map(named);
    let proxy = start(&[&a, &b, &c], KEY);
    let mut client = proxy.connect();
    let first = client.get("/");
    let old = cookie(&first).expect("a cookie");
    let mut left = vec![("a", a), ("b", b), ("c", c)];
    let gone = left.iter().position(|(name, _)| *name == first.text());
    let (_, gone) = left.remove(gone.expect("one of them"));
    gone.kill();
    let moved = get(&mut client, &old);
    assert_eq!(moved.status(), 200);
    assert_ne!(moved.text(), first.text());
    let new = cookie(&moved).expect("a new cookie");
    assert_ne!(new, old);
    for _ in 0..5 {
        let again = get(&mut client, &new);
        assert_eq!(
            (again.text(), again.field("Set-Cookie")),
            (moved.text(), None)
        );
    }
}
