//! Near and far, versions, and what happens when too few endpoints are fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{get_with, named, names, setup, switched};
use crate::harness::{Origin, Proxy, Setup, wait};

const CHECK: &str = "health_check = { path = \"/healthz\", interval = \"100ms\", \
    changing_interval = \"50ms\", unhealthy_after = 2, healthy_after = 1 }";
const NEAR: &str = "locality = \"here\"";
const FAR: &str = "locality = \"there\"";

fn flags<const COUNT: usize>() -> [Arc<AtomicBool>; COUNT] {
    [(); COUNT].map(|()| Arc::new(AtomicBool::new(true)))
}

fn wait_for_state(proxy: &Proxy, endpoint: usize, state: &str) {
    wait::for_(&format!("endpoint {endpoint} to be {state}"), || {
        let told = &proxy.admin_json("/clusters")[0]["endpoints"][endpoint];
        told["health_check"]["state"] == state && told["state"] == state
    });
}

#[test]
fn near_endpoints_come_first_and_far_ones_take_what_those_cannot() {
    let fit = flags::<2>();
    let origins = [switched("a", &fit[0]), switched("b", &fit[1]), named("f")];
    let endpoints: Vec<_> = origins.iter().zip([NEAR, NEAR, FAR]).collect();
    let lines =
        format!("lb_policy = \"random\"\nlocal_endpoints_min = 2\npanic_threshold = 0\n{CHECK}");
    let proxy = Proxy::start(&setup(&endpoints, &lines).top("locality = \"here\""));
    let mut client = proxy.connect();
    let far = |found: &str| found.matches('f').count();
    assert_eq!(far(&names(&mut client, 50)), 0);
    fit[1].store(false, Ordering::SeqCst);
    wait_for_state(&proxy, 1, "unhealthy");
    // One of two is left, which is trusted with 1.4 times its share: 30 % go elsewhere.
    let found = names(&mut client, 300);
    assert!((45..=140).contains(&far(&found)), "{} of 300", far(&found));
    assert!(found.contains('a') && !found.contains('b'));
    fit[0].store(false, Ordering::SeqCst);
    wait_for_state(&proxy, 0, "unhealthy");
    assert_eq!(far(&names(&mut client, 50)), 50);
    for (number, fit) in fit.iter().enumerate() {
        fit.store(true, Ordering::SeqCst);
        wait_for_state(&proxy, number, "healthy");
    }
    assert_eq!(far(&names(&mut client, 50)), 0);
}

#[test]
fn with_too_few_near_endpoints_all_are_alike() {
    let origins = ["a", "f"].map(named);
    let endpoints: Vec<_> = origins.iter().zip([NEAR, FAR]).collect();
    let lines = "lb_policy = \"round_robin\"\nlocal_endpoints_min = 2";
    let proxy = Proxy::start(&setup(&endpoints, lines).top("locality = \"here\""));
    assert_eq!(names(&mut proxy.connect(), 20).matches('f').count(), 10);
}

#[test]
fn a_subset_has_the_endpoints_whose_metadata_match() {
    let origins = ["1", "2", "3"].map(named);
    let metadata =
        |version, stage| format!("metadata = {{ version = \"{version}\", stage = \"{stage}\" }}");
    let metadata = [
        metadata("1", "live"),
        metadata("2", "live"),
        metadata("2", "test"),
    ];
    let endpoints: Vec<(&Origin, &str)> = origins
        .iter()
        .zip(metadata.iter().map(String::as_str))
        .collect();
    let subset = |name: &str, wanted: &str| {
        format!(
            "[[clusters]]\nname = \"{name}\"\nsubset_of = \"origin\"\nmetadata = {{ {wanted} }}\n\
             lb_policy = \"round_robin\""
        )
    };
    let lines = [
        "lb_policy = \"round_robin\"".to_owned(),
        subset("new", "version = \"2\""),
        subset("tested", "version = \"2\", stage = \"test\""),
        subset("none", "version = \"3\""),
    ];
    let mut setup: Setup = setup(&endpoints, &lines.join("\n"));
    for name in ["new", "tested", "none"] {
        let path = format!("matches = [{{ path = {{ exact = \"/{name}\" }} }}]");
        setup = setup.route(name, &format!("{path}\nforward = \"{name}\""));
    }
    let proxy = Proxy::start(&setup.route("all", "forward = \"origin\""));
    let mut client = proxy.connect();
    let mut found = |path| -> String {
        let get = |_| get_with(&mut client, path, "X-Any: 1").text();
        let mut names: Vec<String> = (0..6).map(get).collect();
        names.sort_unstable();
        names.concat()
    };
    assert_eq!(found("/"), "112233");
    assert_eq!(found("/new"), "222333");
    assert_eq!(found("/tested"), "333333");
    assert_eq!(get_with(&mut client, "/none", "X-Any: 1").status(), 503);
}

#[test]
fn with_too_few_fit_all_are_used_which_is_counted_and_told_once() {
    const BEGINS: &str = "Too few endpoints of a cluster are fit to serve";
    const ENDS: &str = "Enough endpoints of a cluster are fit to serve again";
    let fit = flags::<2>();
    let origins = [named("a"), switched("b", &fit[0]), switched("c", &fit[1])];
    let endpoints = origins.each_ref().map(|origin| (origin, "weight = 1"));
    let lines = format!(
        "lb_policy = \"round_robin\"\noutlier_detection = {{ consecutive_errors = 0 }}\n{CHECK}"
    );
    let proxy = Proxy::start(&setup(&endpoints, &lines));
    let mut client = proxy.connect();
    fit[0].store(false, Ordering::SeqCst);
    wait_for_state(&proxy, 1, "unhealthy");
    // Two of three are more than half.
    assert!(!names(&mut client, 20).contains('b'));
    assert_eq!(proxy.metric("weft_cluster_panicking_shards", ""), 0.0);
    fit[1].store(false, Ordering::SeqCst);
    wait_for_state(&proxy, 2, "unhealthy");
    let found = names(&mut client, 30);
    assert!(
        ["a", "b", "c"].iter().all(|name| found.contains(name)),
        "{found}"
    );
    assert_eq!(proxy.metric("weft_cluster_panicking_shards", ""), 1.0);
    proxy.expect_count("weft_cluster_panic_requests_total", "", 30);
    let told = |what: &str| proxy.stderr().matches(what).count();
    wait::for_("the event to be told", || told(BEGINS) == 1);
    names(&mut client, 30);
    fit.iter().for_each(|fit| fit.store(true, Ordering::SeqCst));
    wait_for_state(&proxy, 1, "healthy");
    wait_for_state(&proxy, 2, "healthy");
    names(&mut client, 3);
    assert_eq!(proxy.metric("weft_cluster_panicking_shards", ""), 0.0);
    wait::for_("its end to be told", || told(ENDS) == 1);
    assert_eq!(told(BEGINS), 1);
}
