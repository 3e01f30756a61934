//! What is wrong changes nothing, and is told where an operator looks.

use std::{fs, process::Command};

use crate::harness::{Origin, Proxy, Setup, ports, proxy::weft, scratch::Scratch};

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

#[test]
fn more_connections_than_there_are_descriptors_are_refused_and_others_get_theirs() {
    let origin = Origin::echoing_targets();
    let setup = |count: u32| {
        Setup::to(origin.address()).top(&format!("watch = false\nmax_connections = {count}"))
    };
    let (address, admin, scratch) = (ports::free(), ports::free(), Scratch::new());
    scratch.write("weft.toml", &setup(100).render(address, admin));
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -Sn 1500; exec \"$@\"", "sh"]);
    limited
        .arg(weft().get_program())
        .args(["--config", "weft.toml"]);
    let proxy = Proxy::spawn(limited, scratch, address, admin);
    let limit = || {
        let limits = fs::read_to_string(format!("/proc/{}/limits", proxy.id()));
        let limits = limits.expect("its limits");
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().nth(3));
        soft.and_then(|soft| soft.parse::<u32>().ok())
            .expect("a number")
    };
    let before = limit();
    accept(&proxy, &setup(2500).render(address, admin));
    assert!(before < 2500 && limit() > 2500, "{before} {}", limit());
    reload(&proxy, &setup(4_000_000_000).render(address, admin));
    let dump = proxy.admin_json("/config_dump");
    assert_eq!(dump["generation"], 2);
    let problem = &dump["last_rejection"]["problems"][0];
    assert_eq!(problem["field"], "max_connections");
    let message = problem["message"].as_str().expect("a reason");
    assert!(message.contains("The limit of open files is "), "{message}");
}

#[test]
fn a_secret_in_place_of_its_hash_is_not_told() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let secrets = "[[authentication.basic]]\nname = \"people\"\nrealm = \"people\"\n\
         users = [{ name = \"ann\", hash = \"hunter2-in-clear\" }]\n\
         [[authentication.api_keys]]\nname = \"keys\"\nheader = \"x-api-key\"\n\
         keys = [{ owner = \"a\", hash = \"hunter2-in-clear\" }]";
    reload(&proxy, &text(&proxy, &setup.top(secrets)));
    let dump = proxy.admin("/config_dump").text();
    let told = [dump, proxy.admin("/").text(), proxy.stderr()];
    for text in told {
        assert!(
            text.contains("authentication.basic[0].users[0].hash"),
            "{text}"
        );
        assert!(
            text.contains("authentication.api_keys[0].keys[0].hash"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}
