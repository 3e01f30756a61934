//! What is wrong changes nothing, and is told where an operator looks.

use crate::harness::{Origin, Setup};

use super::{accept, generation, reload, start, text};

#[test]
fn an_invalid_configuration_is_refused_with_every_problem() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let good = text(&proxy, &setup);
    let bad = good.replace("forward = \"origin\"", "forward = \"nobody\"") + "\n[nonsense]\n";
    let mut client = proxy.connect();
    assert_eq!(client.get("/1").status(), 200);
    reload(&proxy, &bad);
    assert_eq!(client.get("/2").status(), 200);
    assert_eq!(proxy.get("/3").status(), 200);
    assert_eq!(
        proxy.metric("weft_config_reloads_total", "result=\"rejected\""),
        1.0
    );
    let dump = proxy.admin_json("/config_dump");
    assert_eq!(
        (&dump["generation"], &dump["cause"]),
        (&1.into(), &"start".into())
    );
    let rejection = &dump["last_rejection"];
    assert_eq!(rejection["cause"], "SIGHUP");
    let problems = rejection["problems"].as_array().expect("problems");
    let told: Vec<_> = problems
        .iter()
        .map(|it| it["message"].to_string())
        .collect();
    assert!(told.iter().any(|it| it.contains("unknown key")), "{told:?}");
    assert!(
        problems.iter().any(|it| it["value"] == "\"nobody\""),
        "{problems:?}"
    );
    assert!(
        problems.iter().all(|it| it["line"].is_u64()),
        "{problems:?}"
    );
    let log = proxy.stderr();
    assert!(log.contains("The new configuration is refused."), "{log}");
    assert!(
        log.contains("The configuration before it stays in effect."),
        "{log}"
    );
    let index = proxy.admin("/").text();
    assert!(
        index.contains("generation 1") && index.contains("refused"),
        "{index}"
    );
    accept(&proxy, &good.replace("20s", "21s"));
    let dump = proxy.admin_json("/config_dump");
    assert_eq!(
        (&dump["generation"], &dump["cause"]),
        (&2.into(), &"SIGHUP".into())
    );
}

#[test]
fn what_only_a_restart_can_change_is_named() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let changed = text(&proxy, &setup.shards(2)) + "\n[dns]\ntimeout = \"3s\"\n";
    reload(&proxy, &changed);
    let dump = proxy.admin_json("/config_dump");
    let problems = dump["last_rejection"]["problems"]
        .as_array()
        .expect("problems");
    let fields: Vec<_> = problems.iter().map(|it| it["field"].clone()).collect();
    assert_eq!(fields, ["shards", "dns"]);
    let message = problems[0]["message"].as_str().expect("a reason");
    assert!(message.contains("restart"), "{message}");
    assert_eq!(generation(&proxy), 1);
}

#[test]
fn the_same_again_is_no_new_generation() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let same = text(&proxy, &setup) + "\n# a comment\n";
    reload(&proxy, &same);
    assert_eq!(generation(&proxy), 1);
    assert_eq!(
        proxy.metric("weft_config_reloads_total", "result=\"unchanged\""),
        1.0
    );
}
