//! Consistent hashing: the same key finds the same endpoint, whoever asks and however often the
//! proxy was started.

use std::collections::BTreeSet;

use super::{get_with, named, setup};
use crate::harness::{Client, Origin, Proxy, curl};

const POLICIES: [&str; 2] = ["ring_hash", "maglev"];
const KEYS: usize = 30;

fn lines(policy: &str, key: &str) -> String {
    format!("lb_policy = \"{policy}\"\nhash = {{ keys = [{key}] }}")
}

fn origins() -> [Origin; 4] {
    ["a", "b", "c", "d"].map(named)
}

/// The origins as endpoints, in this order.
fn endpoints(origins: &[Origin]) -> Vec<(&Origin, &'static str)> {
    origins
        .iter()
        .map(|origin| (origin, "weight = 1"))
        .collect()
}

/// Who answers each of many keys, asked over one connection.
fn owners(client: &mut Client, field: impl Fn(usize) -> String) -> String {
    let owner = |number| get_with(client, "/", &field(number)).text();
    (0..KEYS).map(owner).collect()
}

#[test]
fn a_key_finds_the_same_endpoint_on_every_shard_and_after_a_restart() {
    for policy in POLICIES {
        let origins = origins();
        let lines = lines(policy, "{ header = \"x-user\" }");
        let mut proxy = Proxy::start(&setup(&endpoints(&origins), &lines).shards(2));
        let field = |number| format!("X-User: user {number}");
        // Two connections that are open at once are on different shards.
        let mut clients = [proxy.connect(), proxy.connect()];
        let found = clients.each_mut().map(|client| owners(client, field));
        let by_shard = &proxy.admin_json("/listeners")[0]["connections_active_by_shard"];
        assert_eq!(by_shard.to_string(), "[1,1]");
        assert_eq!(found[0], found[1], "{policy}");
        let used: BTreeSet<char> = found[0].chars().collect();
        assert_eq!(used.len(), 4, "{policy}: {used:?}");
        drop(clients);
        proxy.terminate();
        proxy.wait();
        proxy.restart();
        assert_eq!(owners(&mut proxy.connect(), field), found[0], "{policy}");
        // Another proxy, told of the endpoints in another order.
        let mut reversed = endpoints(&origins);
        reversed.reverse();
        let other = Proxy::start(&setup(&reversed, &lines));
        assert_eq!(owners(&mut other.connect(), field), found[0], "{policy}");
    }
}

#[test]
fn cookies_and_parameters_are_keys_too_and_the_first_that_is_there_counts() {
    for policy in POLICIES {
        let origins = origins();
        let keys = "{ cookie = \"who\" }, { query = \"user\" }";
        let proxy = Proxy::start(&setup(&endpoints(&origins), &lines(policy, keys)));
        let mut client = proxy.connect();
        let cookies = owners(&mut client, |number| {
            format!("Cookie: x=1; who=user{number}")
        });
        let mut query = |extra: &str| -> String {
            let path = |number| format!("/?a=1&user=user{number}");
            let owner = |number| get_with(&mut client, &path(number), extra).text();
            (0..KEYS).map(owner).collect()
        };
        // The values are the same, so the owners are.
        assert_eq!(query("X-Other: 1"), cookies, "{policy}");
        let one = query("Cookie: who=somebody");
        let used: BTreeSet<char> = one.chars().collect();
        assert_eq!(used.len(), 1, "{policy}: {one}");
    }
}

#[test]
fn clients_from_one_address_go_to_one_endpoint() {
    for policy in POLICIES {
        let origins = origins();
        let lines = lines(policy, "{ source = true }");
        let proxy = Proxy::start(&setup(&endpoints(&origins), &lines).shards(2));
        let url = format!("http://{}/", proxy.address());
        let from = |number: usize| {
            let address = format!("127.0.0.{}", number + 2);
            // Three connections, from three ports, on whatever shard they come to.
            let ask = || curl::text(&curl::run(&["--interface", &address, &url]));
            let answers = [ask(), ask(), ask()];
            assert!(answers.iter().all(|answer| *answer == answers[0]));
            let [first, ..] = answers;
            first
        };
        let owners: BTreeSet<String> = (0..12).map(from).collect();
        assert!(owners.len() > 1, "{policy}: {owners:?}");
    }
}

#[test]
fn when_an_endpoint_is_gone_only_its_keys_move() {
    let origins = origins();
    let lines = lines("ring_hash", "{ header = \"x-user\" }");
    let proxy = Proxy::start(&setup(&endpoints(&origins), &lines));
    let field = |number| format!("X-User: user {number}");
    let mut client = proxy.connect();
    let before = owners(&mut client, field);
    let [a, ..] = origins;
    a.kill();
    let after = owners(&mut client, field);
    for (before, after) in before.chars().zip(after.chars()) {
        assert!(after != 'a' && (before == 'a' || before == after));
    }
}
