//! What discovered endpoints say of themselves: subsets by their metadata, preference by where they
//! are.

use std::fs;

use super::{Registry, sources::named};
use crate::harness::{Origin, Proxy, Setup, ports, wait};

/// A cluster that `discovery` feeds, near ones first, and its subset of version 2 under `/two`.
fn setup(discovery: &str) -> Setup {
    let lines = format!("discovery = {discovery}\nlocal_endpoints_min = 1");
    let two = "matches = [{ path = { prefix = \"/two\" } }]\nforward = \"two\"";
    Setup::new()
        .top("locality = \"zone-1\"")
        .route("two", two)
        .route("all", "forward = \"all\"")
        .cluster_with("all", &[], &lines)
        .lines_of_clusters(
            "[[clusters]]\nname = \"two\"\nsubset_of = \"all\"\nmetadata = { version = \"2\" }",
        )
}

fn endpoint(origin: &Origin, locality: &str, version: &str) -> String {
    let address = origin.address();
    format!(
        "{{\"address\": \"{address}\", \"locality\": \"{locality}\", \
         \"metadata\": {{\"version\": \"{version}\"}}}}"
    )
}

/// Near requests go to `a`, those of the subset to `b`.
fn expect_near_a_and_two_b(proxy: &Proxy) {
    for _ in 0..20 {
        assert_eq!(proxy.get("/").text(), "a", "the near one");
        assert_eq!(proxy.get("/two").text(), "b", "the one of version 2");
    }
    let page = proxy.admin_json("/clusters");
    let localities = |cluster: usize| {
        let endpoints = page[cluster]["endpoints"].as_array().expect("a list");
        let of = endpoints.iter().map(|it| it["locality"].as_str());
        of.flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(localities(0), ["zone-1", "zone-2"], "{page}");
    assert_eq!(localities(1), ["zone-2"], "{page}");
    assert_eq!(
        page[0]["discovery"][0]["source"],
        page[1]["discovery"][0]["source"]
    );
}

#[test]
fn registered_instances_have_localities_and_make_subsets_over_a_restart() {
    let (a, b) = (named(ports::free(), "a"), named(ports::free(), "b"));
    let mut registry = Registry::start_with(setup("{ registry = \"orders\" }"));
    assert_eq!(registry.proxy.get("/two").status(), 503);
    let answer = registry.register("a", &endpoint(&a, "zone-1", "1"));
    assert_eq!(answer.status(), 201, "{}", answer.text());
    assert!(answer.text().contains("\"locality\":\"zone-1\""));
    registry.register("b", &endpoint(&b, "zone-2", "2"));
    wait::for_("both", || registry.proxy.get("/two").status() == 200);
    wait::for_("the near one", || registry.proxy.get("/").text() == "a");
    expect_near_a_and_two_b(&registry.proxy);
    registry.proxy.terminate();
    assert!(registry.proxy.wait().success());
    registry.restart();
    expect_near_a_and_two_b(&registry.proxy);
    // It is another endpoint of the subset when it says something else of itself.
    registry.register("b", &endpoint(&b, "zone-2", "3"));
    wait::for_("an empty subset", || {
        registry.proxy.get("/two").status() == 503
    });
    let wrong = endpoint(&b, "zone 2", "2");
    let refused = registry.register("c", &wrong).text();
    assert!(refused.contains("\"field\":\"locality\""), "{refused}");
    // Without the near one, requests go to the other.
    assert_eq!(
        registry.ask("DELETE", "orders/instances/a", "").status(),
        204
    );
    wait::for_("the far one", || registry.proxy.get("/").text() == "b");
}

#[test]
fn an_endpoint_file_has_localities_and_makes_subsets() {
    let (a, b) = (named(ports::free(), "a"), named(ports::free(), "b"));
    let (address, admin) = (ports::free(), ports::free());
    let config = setup("{ file = \"found.json\" }").render(address, admin);
    let (one, two) = (endpoint(&a, "zone-1", "1"), endpoint(&b, "zone-2", "2"));
    let found = format!("[{one}, {two}]");
    let proxy = Proxy::start_with_file(&config, ("found.json", &found), address, admin);
    // From the first request on: the start has waited for the file.
    expect_near_a_and_two_b(&proxy);
    fs::write(proxy.file("new"), format!("[{one}]")).expect("written");
    fs::rename(proxy.file("new"), proxy.file("found.json")).expect("renamed");
    wait::for_("an empty subset", || proxy.get("/two").status() == 503);
    assert_eq!(proxy.get("/").text(), "a");
}
