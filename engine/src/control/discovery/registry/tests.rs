//! The registry against a model of it that is too simple to be wrong, and its single rules.

use serde_json::{Value, json};

use super::*;
use crate::config::Address;

const BOUNDS: Bounds = Bounds {
    services: 1_000_000,
    instances: 1_000_000,
    metadata_bytes: 1 << 30,
};

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn instance(service: &str, id: &str, port: u16, ttl: u64) -> Registration {
    let document = json!({"address": format!("10.0.0.1:{port}"), "ttl": format!("{ttl}s")});
    Registration::read(service, Some(id), &document).expect("valid")
}

fn changed(registry: &mut Registry) -> Vec<String> {
    let changed = registry.take_changed();
    changed.iter().map(ToString::to_string).collect()
}

#[test]
fn an_instance_registers_renews_drains_and_leaves() {
    let mut registry = Registry::new(BOUNDS);
    let put = |registry: &mut Registry, port, now| {
        registry.register(instance("orders", "a", port, 30), at(now))
    };
    assert_eq!(put(&mut registry, 1, 0), Ok(Registered::Created));
    assert_eq!(changed(&mut registry), ["orders"]);
    assert_eq!(put(&mut registry, 1, 1), Ok(Registered::Renewed));
    assert_eq!(
        changed(&mut registry),
        [""; 0],
        "the endpoints are the same"
    );
    assert_eq!(registry.next_deadline(), Some(at(31)));
    let version = registry.service_version("orders");
    assert_eq!(registry.renew("orders", "a", at(20)), Ok(at(50)));
    assert_eq!(registry.service_version("orders"), version);
    assert_eq!(put(&mut registry, 2, 21), Ok(Registered::Replaced));
    assert_eq!(changed(&mut registry), ["orders"]);
    assert_eq!(registry.drain("orders", "a"), Ok(()));
    assert_eq!(changed(&mut registry), ["orders"]);
    assert!(
        !registry
            .instance("orders", "a")
            .expect("there")
            .is_endpoint()
    );
    assert_eq!(registry.drain("orders", "a"), Ok(()), "twice is once");
    assert_eq!(changed(&mut registry), [""; 0]);
    assert!(registry.deregister("orders", "a").is_ok());
    assert_eq!(
        changed(&mut registry),
        [""; 0],
        "it was no endpoint any more"
    );
    assert_eq!(registry.service_count(), 0);
    assert_eq!(registry.renew("orders", "a", at(22)), Err(Missing::Unknown));
    assert_eq!(registry.next_deadline(), None);
}

#[test]
fn leases_run_out_in_the_order_of_their_deadlines() {
    let mut registry = Registry::new(BOUNDS);
    for (id, ttl) in [("c", 30), ("a", 10), ("b", 20), ("d", 10)] {
        let outcome = registry.register(instance("s", id, 1, ttl), at(0));
        assert_eq!(outcome, Ok(Registered::Created));
    }
    let ids = |expired: Vec<Key>| -> Vec<String> {
        expired.iter().map(|(_, id)| id.to_string()).collect()
    };
    assert_eq!(ids(registry.expire(at(9))), [""; 0]);
    assert_eq!(registry.renew("s", "a", at(9)), Ok(at(19)));
    assert_eq!(ids(registry.expire(at(10))), ["d"]);
    assert_eq!(registry.missing("s", "d"), Missing::Expired);
    assert_eq!(registry.renew("s", "d", at(10)), Err(Missing::Expired));
    assert_eq!(ids(registry.expire(at(30))), ["a", "b", "c"]);
    assert_eq!(registry.instance_count(), 0);
}

#[test]
fn what_another_proxy_vouches_for_does_not_run_out_here_and_is_not_renewed_here() {
    let mut registry = Registry::new(BOUNDS);
    let remote = registry.adopt(instance("s", "a", 1, 10), State::Serving, None);
    assert_eq!(remote, Ok(Registered::Created));
    assert_eq!(registry.expire(at(1_000_000)), Vec::new());
    assert_eq!(registry.renew("s", "a", at(1)), Err(Missing::Unknown));
    let local = registry.register(instance("s", "a", 1, 10), at(5));
    assert_eq!(local, Ok(Registered::Replaced), "it has moved here");
    assert_eq!(registry.next_deadline(), Some(at(15)));
    assert_eq!(registry.remote_count(), 0);
    let remote = registry.adopt(instance("s", "a", 1, 10), State::Serving, None);
    assert_eq!(remote, Ok(Registered::Replaced), "it has moved away");
    assert_eq!(
        (registry.next_deadline(), registry.remote_count()),
        (None, 1)
    );
}

#[test]
fn what_another_proxy_says_of_an_instance_counts() {
    let mut registry = Registry::new(BOUNDS);
    for (state, outcome, is_changed) in [
        (State::Pending, Registered::Created, false),
        (State::Serving, Registered::Replaced, true),
        (State::Serving, Registered::Renewed, false),
        (State::Draining, Registered::Replaced, true),
        (State::Failing, Registered::Replaced, false),
        (State::Serving, Registered::Replaced, true),
    ] {
        let adopted = registry.adopt(instance("s", "a", 1, 10), state, None);
        assert_eq!(adopted, Ok(outcome), "{state:?}");
        assert_eq!(!changed(&mut registry).is_empty(), is_changed, "{state:?}");
        let known = registry.instance("s", "a").expect("there").state();
        assert_eq!(known, state);
        assert_eq!(State::of(state.name()), Some(state));
    }
}

#[test]
fn an_instance_with_a_check_is_no_endpoint_before_it_passes() {
    let mut registry = Registry::new(BOUNDS);
    let document = json!({"address": "10.0.0.1:80", "check": {"http": "/healthz"}});
    let checked = Registration::read("s", None, &document).expect("valid");
    let id = Arc::clone(&checked.id);
    assert!(registry.register(checked.clone(), at(0)).is_ok());
    assert_eq!(changed(&mut registry), [""; 0]);
    assert_eq!(registry.set_health("s", &id, Health::Passing), Ok(()));
    assert_eq!(changed(&mut registry), ["s"]);
    let again = registry.register(checked, at(1));
    assert_eq!(again, Ok(Registered::Renewed));
    assert!(registry.instance("s", &id).expect("there").is_endpoint());
    assert_eq!(registry.set_health("s", &id, Health::Failing), Ok(()));
    assert_eq!(changed(&mut registry), ["s"]);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let document = json!({"address": "10.0.0.1:80", "metadata": {"key": "12345"}});
    let large = Registration::read("s", Some("large"), &document).expect("valid");
    let bounds = Bounds {
        services: 2,
        instances: 3,
        metadata_bytes: 8,
    };
    let mut registry = Registry::new(bounds);
    let mut put = |registration| registry.register(registration, at(0));
    assert_eq!(put(large.clone()), Ok(Registered::Created));
    assert_eq!(put(large), Ok(Registered::Renewed), "in its own place");
    assert_eq!(put(instance("t", "a", 1, 9)), Ok(Registered::Created));
    assert_eq!(put(instance("u", "a", 1, 9)), Err(Full::Services));
    assert_eq!(put(instance("t", "b", 1, 9)), Ok(Registered::Created));
    assert_eq!(put(instance("t", "c", 1, 9)), Err(Full::Instances));
    let more = Registration::read("t", Some("a"), &document).expect("valid");
    assert_eq!(put(more), Err(Full::Metadata));
    assert_eq!(
        (registry.instance_count(), registry.metadata_bytes()),
        (3, 8)
    );
}

#[test]
fn one_change_concerns_one_service_however_many_there_are() {
    for services in [10, 10_000] {
        let mut registry = Registry::new(BOUNDS);
        for service in 0..services {
            for id in 0..10 {
                let (service, id) = (format!("s{service}"), format!("i{id}"));
                let put = registry.register(instance(&service, &id, 1, 60), at(0));
                assert!(put.is_ok());
            }
        }
        assert_eq!(registry.take_changed().len(), services);
        assert!(registry.deregister("s7", "i3").is_ok());
        let changed = registry.take_changed();
        assert_eq!(changed.len(), 1);
        // What is read to publish the change: the instances of that service.
        let read: usize = changed
            .iter()
            .map(|name| registry.instances(name).count())
            .sum();
        assert_eq!(read, 9);
    }
}

/// What the model knows of an instance: deadline, port, drains.
type Modelled = BTreeMap<(String, String), (u64, u16, bool)>;

#[test]
fn a_model_agrees_after_any_sequence_of_changes() {
    for seed in 0..64_u64 {
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |below: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % below
        };
        let mut registry = Registry::new(BOUNDS);
        let (mut model, mut now) = (Modelled::new(), 0);
        for step in 0..400 {
            let key = (format!("s{}", roll(4)), format!("i{}", roll(5)));
            let (service, id) = (key.0.as_str(), key.1.as_str());
            let before = endpoints_of(&model, service);
            match roll(6) {
                0 | 1 => {
                    let (port, ttl) = (1 + roll(3) as u16, 5 + roll(20));
                    let new = instance(service, id, port, ttl);
                    assert!(registry.register(new, at(now)).is_ok());
                    model.insert(key.clone(), (now + ttl, port, false));
                }
                2 => {
                    let ttl = registry
                        .instance(service, id)
                        .map(|found| found.registration.ttl);
                    let renewed = registry.renew(service, id, at(now));
                    assert_eq!(renewed.is_ok(), model.contains_key(&key), "{seed} {step}");
                    if let (Some(known), Some(ttl)) = (model.get_mut(&key), ttl) {
                        known.0 = now + ttl.as_secs();
                    }
                }
                3 => {
                    let drained = registry.drain(service, id);
                    assert_eq!(drained.is_ok(), model.contains_key(&key), "{seed} {step}");
                    model.entry(key.clone()).and_modify(|known| known.2 = true);
                }
                4 => {
                    let gone = registry.deregister(service, id);
                    assert_eq!(gone.is_ok(), model.remove(&key).is_some(), "{seed} {step}");
                }
                _ => {
                    now += roll(10);
                    let mut due: Vec<_> =
                        model.iter().filter(|(_, known)| known.0 <= now).collect();
                    due.sort_by_key(|(_, known)| known.0);
                    let deadlines: Vec<u64> = due.iter().map(|(_, known)| known.0).collect();
                    let expired = registry.expire(at(now));
                    let told = expired
                        .iter()
                        .map(|(service, id)| model[&(service.to_string(), id.to_string())].0);
                    assert_eq!(told.collect::<Vec<_>>(), deadlines, "{seed} {step}");
                    model.retain(|_, known| known.0 > now);
                    registry.take_changed();
                    check(&registry, &model, seed, step);
                    continue;
                }
            }
            let is_changed = endpoints_of(&model, service) != before;
            let told = registry.take_changed();
            assert_eq!(told.contains(service), is_changed, "{seed} {step}");
            assert!(told.len() <= 1, "{seed} {step}");
            check(&registry, &model, seed, step);
        }
    }
}

fn endpoints_of(model: &Modelled, service: &str) -> Vec<(String, u16)> {
    let of_service = model
        .iter()
        .filter(|((name, _), known)| name == service && !known.2);
    of_service
        .map(|((_, id), known)| (id.clone(), known.1))
        .collect()
}

fn check(registry: &Registry, model: &Modelled, seed: u64, step: u32) {
    assert_eq!(registry.instance_count(), model.len(), "{seed} {step}");
    let earliest = model.values().map(|known| known.0).min();
    assert_eq!(registry.next_deadline(), earliest.map(at), "{seed} {step}");
    for ((service, id), (deadline, port, is_draining)) in model {
        let found = registry.instance(service, id).expect("registered");
        assert_eq!(found.deadline, at(*deadline), "{seed} {step}");
        assert_eq!(found.is_draining, *is_draining, "{seed} {step}");
        let address = Address::Tcp(([10, 0, 0, 1], *port).into());
        assert_eq!(found.registration.address, address, "{seed} {step}");
    }
}

#[test]
fn a_document_is_read_as_it_is_written() {
    for document in [
        json!({"address": "10.0.0.1:80"}),
        json!({"address": "[::1]:80", "weight": 0, "ttl": "1m30s", "id": "one"}),
        json!({"address": "unix:/run/a.sock", "metadata": {"zone": "a"}, "check": {"tcp": true}}),
        json!({
            "address": "10.0.0.1:80",
            "check": {"http": "/healthz?deep=1", "interval": "1s", "timeout": "1s"},
        }),
    ] {
        let read = Registration::read("orders", None, &document).expect("valid");
        let again = Registration::read("orders", None, &Value::Object(read.to_json()));
        assert_eq!(again, Ok(read));
    }
    let unnamed = Registration::read("s", None, &json!({"address": "unix:/run/a.sock"}));
    assert_eq!(&*unnamed.expect("valid").id, "unix:-run-a.sock");
}

fn with(key: &str, value: Value) -> Value {
    let mut document = json!({"address": "10.0.0.1:80"});
    document[key] = value;
    document
}

fn refused(document: &Value, field: &str, value: Option<&str>) {
    let error = Registration::read("orders", None, document).expect_err("refused");
    assert_eq!(error.field, field, "{document}: {error:?}");
    assert_eq!(error.value.as_deref(), value, "{document}");
    assert!(!error.expected.is_empty());
}

#[test]
fn what_is_wrong_is_told_by_field_value_and_expectation() {
    refused(&json!([]), "", Some("[]"));
    refused(&json!({}), "address", None);
    for (key, value) in [
        ("address", json!(80)),
        ("address", json!("a.test:80")),
        ("address", json!("0.0.0.0:80")),
        ("address", json!("10.0.0.1:0")),
        ("adress", json!(1)),
        ("weight", json!(-1)),
        ("weight", json!(1.5)),
        ("weight", json!("1")),
        ("weight", json!(100_001)),
        ("ttl", json!("0s")),
        ("ttl", json!(30)),
        ("ttl", json!("2d")),
        ("id", json!("a/b")),
        ("id", json!("..")),
        ("id", json!("")),
        ("metadata", json!([])),
        ("check", json!("/")),
        ("check", json!({})),
    ] {
        refused(&with(key, value.clone()), key, Some(&value.to_string()));
    }
    let path = Registration::read("orders", Some("b"), &with("id", json!("a")));
    assert_eq!(path.expect_err("two names").field, "id");
    let service = Registration::read("a b", None, &with("weight", json!(1)));
    assert_eq!(service.expect_err("no name").field, "service");
}

#[test]
fn what_is_wrong_further_in_is_told_by_its_path() {
    let long = "x".repeat(limits::METADATA_BYTES_MAX);
    let told = Some("\"1 texts, 4097 bytes\"");
    refused(&with("metadata", json!({"a": long})), "metadata", told);
    refused(&with("metadata", json!({"a": 1})), "metadata.a", Some("1"));
    for (key, value) in [
        ("http", json!("x")),
        ("http", json!("/a b")),
        ("tcp", json!(false)),
    ] {
        let check = json!({key: value.clone()});
        let field = format!("check.{key}");
        refused(&with("check", check), &field, Some(&value.to_string()));
    }
    for (key, value) in [
        ("ttl", json!(1)),
        ("interval", json!("1ms")),
        ("timeout", json!("2m")),
    ] {
        let check = json!({"tcp": true, key: value.clone()});
        let field = format!("check.{key}");
        refused(&with("check", check), &field, Some(&value.to_string()));
    }
}

#[test]
fn leases_that_nobody_could_renew_have_a_moment_left() {
    let mut registry = Registry::new(BOUNDS);
    for (id, ttl) in [("a", 5), ("b", 30), ("c", 31), ("d", 60)] {
        let registered = registry.register(instance("orders", id, 1, ttl), at(0));
        assert_eq!(registered, Ok(Registered::Created));
    }
    // Away from 1 to 30 s: what ran out or was about to goes on; never longer than a renewal would.
    assert_eq!(registry.prolong(at(30), Duration::from_secs(10)), 3);
    let deadline = |registry: &Registry, id| registry.instance("orders", id).map(|it| it.deadline);
    let told = ["a", "b", "c", "d"].map(|id| deadline(&registry, id));
    assert_eq!(told, [35, 40, 40, 60].map(|end| Some(at(end))));
    assert_eq!(registry.prolong(at(30), Duration::from_secs(10)), 0);
    assert_eq!(registry.expire(at(34)), []);
    assert_eq!(registry.renew("orders", "b", at(34)), Ok(at(64)));
    let expired = |registry: &mut Registry, now| {
        let keys = registry.expire(at(now)).into_iter();
        keys.map(|key| key.1.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(expired(&mut registry, 40), ["a", "c"]);
    assert_eq!(expired(&mut registry, 64), ["d", "b"]);
}
