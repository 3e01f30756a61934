//! etcd dies, stops, forgets, loses its keys or its majority; proxies die; ways are cut.
//!
//! What is known stays, no request fails, and all converge when etcd is back. Where that is
//! promised requests go all the time.

use std::{net::SocketAddr, time::Duration};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    Flow, Registry, at, etcd_table, expect, has, is_connected, key, long, metric, named, orders,
    put_many, sharing, source, start, through, two,
};
use crate::harness::{
    Origin,
    etcd::{Etcd, base64},
    gate::Gate,
    wait,
};

#[test]
fn while_etcd_is_dead_what_is_known_stays_and_both_converge_afterwards() {
    let (x, y, z) = (named("x"), named("y"), named("z"));
    let mut etcd = Etcd::start();
    let (a, b) = two(&etcd);
    a.register("x", &at(x.address()).replace('}', ", \"ttl\": \"1h\"}"));
    a.register("y", &at(y.address()).replace('}', ", \"ttl\": \"1h\"}"));
    expect(&b, &["x", "y"]);
    let flow = Flow::to(&b);
    for round in 0..2 {
        etcd.kill();
        wait::for_("the loss to be told", || {
            !source(&b)["last_error"].is_null() && !source(&a)["last_error"].is_null()
        });
        // One is new, one leaves; B cannot know, and loses nothing.
        let (new, old) = if round == 0 { ("z", "y") } else { ("y", "z") };
        let origin = if round == 0 { &z } else { &y };
        let body = at(origin.address()).replace('}', ", \"ttl\": \"1h\"}");
        assert_eq!(a.register(new, &body).status(), 201);
        assert_eq!(
            a.ask("DELETE", &format!("orders/instances/{old}"), "")
                .status(),
            204
        );
        // Longer than the lease of A.
        wait::for_("the age to grow", || {
            metric(&b, "weft_etcd_contact_age_seconds", "") >= 6
        });
        assert!(has(&b, "x") && has(&b, old), "the last good state");
        assert_eq!(metric(&a, "weft_etcd_pending_changes", ""), 2);
        etcd.restart();
        expect(&b, &["x", new]);
        wait::for_("A to be told", || {
            metric(&a, "weft_etcd_pending_changes", "") == 0
        });
    }
    flow.end();
    assert_eq!(source(&b)["last_error"], Value::Null);
    let log = b.proxy.stderr();
    assert!(
        log.contains("etcd cannot be used; what is known stays in effect"),
        "{log}"
    );
    assert!(metric(&b, "weft_etcd_failures_total", "") >= 2);
}

#[test]
fn an_etcd_that_stops_without_a_word_is_noticed_and_goes_on() {
    let (x, y) = (named("x"), named("y"));
    let etcd = Etcd::start();
    let (a, b) = two(&etcd);
    a.register("x", &at(x.address()).replace('}', ", \"ttl\": \"1h\"}"));
    expect(&b, &["x"]);
    let flow = Flow::to(&b);
    etcd.signal(Signal::STOP);
    a.register("y", &at(y.address()).replace('}', ", \"ttl\": \"1h\"}"));
    wait::for_("the silence to be told", || {
        source(&b)["last_error"]
            .to_string()
            .contains("no answer within 1s")
            && !source(&a)["last_error"].is_null()
    });
    assert!(has(&b, "x"));
    etcd.signal(Signal::CONT);
    expect(&b, &["x", "y"]);
    flow.end();
}

/// Two proxies that know `x` and `y`, with which the first was registered; the second asks through
/// a gate.
fn two_that_know(x: &Origin, y: &Origin) -> (Etcd, Gate, Registry, Registry) {
    let etcd = Etcd::start();
    let gate = Gate::before(etcd.address());
    let (a, b) = (sharing(&[etcd.url()]), sharing(&[through(&gate)]));
    a.register("x", &long(x));
    a.register("y", &long(y));
    expect(&b, &["x", "y"]);
    (etcd, gate, a, b)
}

#[test]
fn a_watch_goes_on_where_it_ended_and_reads_all_again_when_that_is_forgotten() {
    let (x, y, z) = (named("x"), named("y"), named("z"));
    let (etcd, gate, a, b) = two_that_know(&x, &y);
    let lists = metric(&b, "weft_etcd_lists_total", "");
    let cut = || {
        gate.close();
        wait::for_("the cut to be told", || !is_connected(&b));
    };
    // Cut off, with nothing forgotten: only what changed is asked for.
    cut();
    a.register("z", &long(&z));
    a.ask("DELETE", "orders/instances/x", "");
    gate.open();
    expect(&b, &["y", "z"]);
    assert_eq!(
        metric(&b, "weft_etcd_lists_total", ""),
        lists,
        "{}",
        b.proxy.stderr()
    );
    // Cut off, and the changes meanwhile are forgotten.
    let flow = Flow::to(&b);
    cut();
    a.register("x", &long(&x));
    a.ask("DELETE", "orders/instances/y", "");
    wait::for_("A to be told", || {
        metric(&a, "weft_etcd_pending_changes", "") == 0
    });
    etcd.compact();
    gate.open();
    expect(&b, &["x", "z"]);
    assert_eq!(metric(&b, "weft_etcd_lists_total", ""), lists + 1);
    flow.end();
}

#[test]
fn a_watch_that_is_cut_before_what_it_missed_is_told_misses_nothing() {
    let (x, y, z) = (named("x"), named("y"), named("z"));
    let (_etcd, gate, a, b) = two_that_know(&x, &y);
    gate.close();
    wait::for_("the cut to be told", || !is_connected(&b));
    a.register("z", &long(&z));
    a.ask("DELETE", "orders/instances/x", "");
    wait::for_("A to be told", || {
        metric(&a, "weft_etcd_pending_changes", "") == 0
    });
    // etcd says that the watch has begun, and at which revision it is; then what changed meanwhile.
    gate.cut_before("\"events\"");
    gate.open();
    wait::for_("the next cut", || gate.has_cut());
    expect(&b, &["y", "z"]);
}

#[test]
fn a_list_that_breaks_off_is_not_held_to_be_all() {
    let etcd = Etcd::start();
    put_many(&etcd, 1200);
    let gate = Gate::before(etcd.address());
    // The question for the second page begins behind the last key of the first.
    gate.cut_before(&base64("/weft/services/many/i0499\0"));
    let a = sharing(&[through(&gate)]);
    wait::for_("the cut", || gate.has_cut());
    wait::for_("all of them", || {
        metric(&a, "weft_etcd_remote_instances", "") == 1200
    });
}

#[test]
fn however_much_there_is_to_write_the_lease_goes_on_meanwhile() {
    let etcd = Etcd::start();
    let gate = Gate::before(etcd.address());
    let table = etcd_table(&[through(&gate)], "").replace("\"1s\"", "\"10s\"");
    let a = start(orders(), &table);
    wait::for_("A to reach etcd", || is_connected(&a));
    gate.close();
    for turn in 0..700 {
        let address = SocketAddr::from(([127, 0, 1, (turn % 250) as u8], 9));
        let body = at(address).replace('}', ", \"ttl\": \"1h\"}");
        assert_eq!(a.register(&format!("i{turn}"), &body).status(), 201);
    }
    // Seven transactions, which take longer than the lease lives without a sign.
    gate.slow(Duration::from_millis(1200));
    gate.open();
    wait::for_("all to be written", || {
        is_connected(&a) && metric(&a, "weft_etcd_pending_changes", "") == 0
    });
}

#[test]
fn an_etcd_that_lost_its_keys_is_told_everything_again_and_nobody_notices() {
    let (x, y) = (named("x"), named("y"));
    let mut etcd = Etcd::start();
    let (a, b) = two(&etcd);
    a.register("x", &long(&x));
    b.register("y", &long(&y));
    expect(&a, &["x", "y"]);
    expect(&b, &["x", "y"]);
    let flows = [Flow::to(&a), Flow::to(&b)];
    etcd.kill();
    etcd.wipe();
    etcd.restart();
    wait::for_("the instances to be written again", || {
        etcd.lease(&key("x")).is_some() && etcd.lease(&key("y")).is_some()
    });
    // And it goes on from there.
    let z = named("z");
    a.register("z", &long(&z));
    expect(&b, &["x", "y", "z"]);
    assert!(has(&a, "y"));
    for flow in flows {
        flow.end();
    }
}

#[test]
fn instances_of_a_proxy_that_died_with_the_keys_of_etcd_are_let_go_in_the_end() {
    let (x, y) = (named("x"), named("y"));
    let mut etcd = Etcd::start();
    let (mut a, b) = two(&etcd);
    a.register("x", &long(&x));
    b.register("y", &long(&y));
    expect(&b, &["x", "y"]);
    etcd.kill();
    a.proxy.signal(Signal::KILL);
    a.proxy.wait();
    etcd.wipe();
    etcd.restart();
    wait::for_("B to be connected", || is_connected(&b));
    assert!(has(&b, "x"), "its proxy may come back");
    expect(&b, &["y"]);
}

#[test]
fn instances_of_a_proxy_that_is_killed_vanish_with_its_lease_unless_it_is_back_in_time() {
    let (x, y) = (named("x"), named("y"));
    let etcd = Etcd::start();
    let (mut a, b) = two(&etcd);
    a.register("x", &long(&x));
    b.register("y", &long(&y));
    expect(&b, &["x", "y"]);
    let lease = etcd.lease(&key("x")).expect("there");
    let deletes = metric(&b, "weft_etcd_events_total", "delete");
    a.proxy.signal(Signal::KILL);
    a.proxy.wait();
    a.restart();
    wait::for_("A to be back", || is_connected(&a));
    expect(&a, &["x", "y"]);
    assert_eq!(
        etcd.lease(&key("x")),
        Some(lease),
        "it goes on with its lease"
    );
    a.register("again", &long(&x));
    wait::for_("a later registration", || has(&b, "again"));
    assert_eq!(
        metric(&b, "weft_etcd_events_total", "delete"),
        deletes,
        "never gone"
    );
    a.proxy.signal(Signal::KILL);
    a.proxy.wait();
    // Nobody says goodbye for it; etcd does.
    expect(&b, &["y"]);
    assert!(!has(&b, "x") && !has(&b, "again"));
}

#[test]
fn a_lease_that_is_revoked_and_a_key_that_is_deleted_or_overwritten_are_made_again() {
    let x = named("x");
    let etcd = Etcd::start();
    let (a, b) = two(&etcd);
    a.register("x", &at(x.address()).replace('}', ", \"ttl\": \"1h\"}"));
    expect(&b, &["x"]);
    let first = etcd.lease(&key("x")).expect("there");
    etcd.ask("/v3/lease/revoke", &json!({"ID": first}));
    let second = wait::until("another lease", || {
        etcd.lease(&key("x")).filter(|lease| *lease != first)
    });
    expect(&b, &["x"]);
    etcd.delete(&key("x"));
    wait::for_("the key", || {
        etcd.lease(&key("x")).as_ref() == Some(&second)
    });
    etcd.put(&key("x"), "nonsense");
    wait::for_("its value", || {
        etcd.lease(&key("x")).as_ref() == Some(&second)
    });
    expect(&b, &["x"]);
    assert_eq!(metric(&a, "weft_etcd_leases_total", ""), 2);
}

#[test]
fn a_member_that_dies_is_left_for_another_one() {
    let (x, y) = (named("x"), named("y"));
    let mut members = Etcd::three();
    let urls: Vec<String> = members.iter().map(Etcd::url).collect();
    let (a, b) = (sharing(&urls), sharing(&urls));
    a.register("x", &long(&x));
    expect(&b, &["x"]);
    let flow = Flow::to(&b);
    for (turn, member) in members.iter_mut().enumerate() {
        // With one of three gone the others go on, whoever led and whoever was asked.
        member.kill();
        let id = format!("y{turn}");
        a.register(&id, &long(&y));
        wait::for_("the registration at B", || has(&b, &id));
        member.restart();
    }
    flow.end();
}

#[test]
fn a_member_that_has_lost_the_others_is_not_believed_to_know_everything() {
    let (x, y) = (named("x"), named("y"));
    let [one, mut two, mut three] = Etcd::three();
    let (a, b) = (sharing(&[one.url()]), sharing(&[one.url()]));
    a.register("x", &long(&x));
    expect(&b, &["x"]);
    let flow = Flow::to(&b);
    two.kill();
    three.kill();
    wait::for_("the loss to be told", || {
        !source(&a)["last_error"].is_null() && !source(&b)["last_error"].is_null()
    });
    a.register("y", &long(&y));
    assert!(has(&b, "x"));
    two.launch();
    three.restart();
    expect(&b, &["x", "y"]);
    flow.end();
}

#[test]
fn a_quiet_watch_hears_of_late_revisions_and_survives_that_the_early_ones_are_forgotten() {
    let x = named("x");
    let etcd = Etcd::start_with(
        "http",
        &["--experimental-watch-progress-notify-interval=1s".into()],
    );
    let gate = Gate::before(etcd.address());
    let (a, b) = (sharing(&[etcd.url()]), sharing(&[through(&gate)]));
    a.register("x", &at(x.address()).replace('}', ", \"ttl\": \"1h\"}"));
    expect(&b, &["x"]);
    let lists = metric(&b, "weft_etcd_lists_total", "");
    // Somebody else's keys; then long enough for a message about them.
    (0..5).for_each(|_| etcd.put("/other", "x"));
    wait::pass(Duration::from_secs(4));
    etcd.compact();
    gate.close();
    wait::for_("the cut to be told", || !is_connected(&b));
    gate.open();
    wait::for_("B to be back", || is_connected(&b));
    assert_eq!(metric(&b, "weft_etcd_lists_total", ""), lists);
    expect(&b, &["x"]);
}
