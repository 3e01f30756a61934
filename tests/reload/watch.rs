//! Without a signal: a file that is written, renamed over, or behind a link that is swapped.

use std::{fs, os::unix::fs::symlink};

use crate::harness::{
    Origin, Proxy, Setup, certificates::Authority, ports, proxy::weft, scratch::Scratch, wait,
};

fn expect_drain(proxy: &Proxy, drain: &str) {
    wait::for_("the change to take effect", || {
        proxy.admin_json("/config_dump")["config"]["drain"] == drain
    });
    assert_eq!(proxy.get("/").status(), 200);
}

#[test]
fn a_file_that_is_written_or_renamed_over_is_read_anew() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = Proxy::start(&setup);
    let text = |drain: &str| {
        let setup = setup.clone().drain(drain);
        setup.render(proxy.address(), proxy.admin_address())
    };
    let file = proxy.file("weft.toml");
    fs::write(&file, text("21s")).expect("written");
    expect_drain(&proxy, "21s");
    // As editors and configuration management do it.
    fs::write(proxy.file("weft.toml~"), text("22s")).expect("written");
    fs::rename(proxy.file("weft.toml~"), &file).expect("renamed");
    expect_drain(&proxy, "22s");
    fs::remove_file(&file).expect("removed");
    wait::for_("the loss to be told", || {
        proxy.metric("weft_config_reloads_total", "result=\"rejected\"") == 1.0
    });
    fs::write(&file, text("23s")).expect("written");
    expect_drain(&proxy, "23s");
}

#[test]
fn a_mounted_configmap_swaps_a_link() {
    let origin = Origin::echoing_targets();
    let (address, admin) = (ports::free(), ports::free());
    let scratch = Scratch::new();
    for (folder, drain) in [("..1", "21s"), ("..2", "22s")] {
        fs::create_dir(scratch.file(folder)).expect("a folder");
        let setup = Setup::to(origin.address()).drain(drain);
        scratch.write(
            &format!("{folder}/weft.toml"),
            &setup.render(address, admin),
        );
    }
    symlink("..1", scratch.file("..data")).expect("a link");
    symlink("..data/weft.toml", scratch.file("weft.toml")).expect("a link");
    let mut command = weft();
    command.arg("--config").arg(scratch.file("weft.toml"));
    let proxy = Proxy::spawn(command, scratch, address, admin);
    expect_drain(&proxy, "21s");
    symlink("..2", proxy.file("..data_tmp")).expect("a link");
    fs::rename(proxy.file("..data_tmp"), proxy.file("..data")).expect("swapped");
    expect_drain(&proxy, "22s");
}

#[test]
fn a_file_that_a_refused_configuration_lacked_has_it_tried_again() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = Proxy::start(&setup);
    let trusted = proxy.file("late.pem");
    let tls = format!("tls = {{ ca = \"{}\" }}", trusted.display());
    let next = setup
        .drain("21s")
        .cluster_with("secured", &["127.0.0.1:9".to_owned()], &tls);
    let next = next.render(proxy.address(), proxy.admin_address());
    fs::write(proxy.file("weft.toml"), next).expect("written");
    let rejected = |times: f64| {
        wait::for_("the refusal", || {
            proxy.metric("weft_config_reloads_total", "result=\"rejected\"") == times
        });
        let problem = &proxy.admin_json("/config_dump")["last_rejection"]["problems"][0];
        assert_eq!(problem["field"], "clusters[1].tls.ca");
    };
    rejected(1.0);
    fs::write(&trusted, "no certificate").expect("written");
    rejected(2.0);
    let made = Authority::new();
    fs::copy(made.ca(), proxy.file("late.pem.new")).expect("copied");
    fs::rename(proxy.file("late.pem.new"), &trusted).expect("renamed");
    expect_drain(&proxy, "21s");
}

#[test]
fn another_key_of_cookies_is_taken() {
    let origin = Origin::echoing_targets();
    let scratch = Scratch::new();
    let key = scratch.write("cookie.key", "0123456789abcdef0123456789abcdef");
    let endpoint = origin.address().to_string();
    let sticky = format!(
        "sticky = {{ cookie = \"at\", key_file = \"{}\" }}",
        key.display()
    );
    let proxy = Proxy::start(&Setup::new().cluster_with("origin", &[endpoint], &sticky));
    let cookie = || {
        let response = proxy.get("/");
        response.field("Set-Cookie").expect("a cookie").to_owned()
    };
    let before = cookie();
    let fresh = scratch.write("cookie.next", "fedcba9876543210fedcba9876543210");
    fs::rename(fresh, key).expect("renamed");
    wait::for_("another signature", || cookie() != before);
}
