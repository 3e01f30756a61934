//! An etcd that asks who it is talking to: users and passwords, tokens that end, certificates.
//!
//! The right ones are shown again whenever that is needed; the wrong ones are told with the reason,
//! and the proxy serves what it knows.

use std::{fs, time::Duration};

use serde_json::json;

use super::{
    at, etcd_table, expect, is_connected, long, metric, named, orders, sharing, sharing_as, source,
};
use crate::harness::{
    certificates::Authority,
    etcd::{Etcd, base64},
    proxy,
    scratch::Scratch,
    wait,
};

/// Makes an etcd ask who it is talking to: a user `weft` with the password `right`.
fn protect(etcd: &Etcd) -> String {
    for (path, question) in [
        (
            "user/add",
            json!({"name": "root", "password": "root-password"}),
        ),
        ("role/add", json!({"name": "root"})),
        ("user/grant", json!({"user": "root", "role": "root"})),
        ("role/add", json!({"name": "weft"})),
        (
            "role/grant",
            json!({"name": "weft", "perm": {
                "permType": "READWRITE",
                "key": base64("/weft/services/"),
                "range_end": base64("/weft/services0"),
            }}),
        ),
        ("user/add", json!({"name": "weft", "password": "right"})),
        ("user/grant", json!({"user": "weft", "role": "weft"})),
        ("enable", json!({})),
    ] {
        etcd.ask(&format!("/v3/auth/{path}"), &question);
    }
    let question = json!({"name": "root", "password": "root-password"});
    let token = etcd.ask("/v3/auth/authenticate", &question);
    token["token"].as_str().expect("a token").to_owned()
}

#[test]
fn an_etcd_that_asks_who_it_is_gets_the_password_again_and_again() {
    let (x, y) = (named("x"), named("y"));
    let mut etcd = Etcd::start_with("http", &["--auth-token-ttl=1".into()]);
    protect(&etcd);
    let scratch = Scratch::new();
    let right = scratch.write("right", "right\n");
    let wrong = scratch.write("wrong", "wrong\n");
    let login = |file: &std::path::Path| {
        format!(", user = \"weft\", password_file = \"{}\"", file.display())
    };
    let members = [etcd.url()];
    let (a, b) = (
        sharing_as(&members, &login(&right)),
        sharing_as(&members, &login(&right)),
    );
    let c = sharing_as(&members, &login(&wrong));
    let stranger = sharing(&members);
    a.register("x", &long(&x));
    expect(&b, &["x"]);
    // A token is good for a second here.
    wait::pass(Duration::from_millis(2500));
    a.register("y", &long(&y));
    expect(&b, &["x", "y"]);
    // Tokens do not survive it.
    etcd.kill();
    etcd.restart();
    a.ask("DELETE", "orders/instances/x", "");
    expect(&b, &["y"]);
    for (proxy, why) in [
        (&c, "invalid user ID or password"),
        (&stranger, "user name is empty"),
    ] {
        wait::for_("the refusal to be told", || {
            source(proxy)["last_error"].to_string().contains(why)
        });
        assert_eq!(proxy.proxy.get("/").status(), 503);
        assert!(!is_connected(proxy));
    }
    // The password is read anew.
    fs::write(&wrong, "right").expect("written");
    expect(&c, &["y"]);
    assert!(
        !a.proxy.stderr().contains("right"),
        "the password is nobody's business"
    );
}

#[test]
fn a_user_who_may_only_read_hears_of_others_and_is_told_that_nobody_hears_of_him() {
    let (x, y) = (named("x"), named("y"));
    let etcd = Etcd::start();
    let token = protect(&etcd);
    for (path, question) in [
        ("role/add", json!({"name": "reader"})),
        (
            "role/grant",
            json!({"name": "reader", "perm": {
                "permType": "READ",
                "key": base64("/weft/services/"),
                "range_end": base64("/weft/services0"),
            }}),
        ),
        ("user/add", json!({"name": "reader", "password": "reader"})),
        ("user/grant", json!({"user": "reader", "role": "reader"})),
    ] {
        etcd.ask_as(&token, &format!("/v3/auth/{path}"), &question);
    }
    let scratch = Scratch::new();
    let login = |user: &str, password: &str| {
        let file = scratch.write(user, password);
        format!(
            ", user = \"{user}\", password_file = \"{}\"",
            file.display()
        )
    };
    let members = [etcd.url()];
    let a = sharing_as(&members, &login("weft", "right"));
    let reader = sharing_as(&members, &login("reader", "reader"));
    reader.register("y", &long(&y));
    wait::for_("the refusal", || {
        metric(&reader, "weft_etcd_refused_writes_total", "") > 0
    });
    a.register("x", &long(&x));
    expect(&reader, &["x", "y"]);
    expect(&a, &["x"]);
    assert!(reader.proxy.stderr().contains("permission denied"));
    assert_eq!(metric(&reader, "weft_etcd_pending_changes", ""), 1);
}

#[test]
fn an_etcd_behind_tls_is_trusted_by_its_authority_and_shown_a_certificate() {
    let x = named("x");
    let (authority, other) = (Authority::new(), Authority::new());
    let server = authority.issue("server", "IP:127.0.0.1,DNS:etcd.test");
    let client = authority.issue("client", "DNS:weft.test");
    let path = |path: &std::path::Path| path.display().to_string();
    let arguments = [
        format!("--cert-file={}", path(&server.chain)),
        format!("--key-file={}", path(&server.key)),
        format!("--trusted-ca-file={}", path(&authority.ca())),
        "--client-cert-auth".into(),
    ];
    let etcd = Etcd::start_with("https", &arguments);
    let tls = |ca: &Authority, certificate: Option<&str>| {
        let certificate =
            certificate.map_or_else(String::new, |it| format!(", certificate = {it}"));
        format!(", tls = {{ ca = \"{}\"{certificate} }}", path(&ca.ca()))
    };
    let members = [etcd.url()];
    let shown = client.toml();
    let a = sharing_as(&members, &tls(&authority, Some(&shown)));
    let b = sharing_as(&members, &tls(&authority, Some(&shown)));
    a.register("x", &at(x.address()).replace('}', ", \"ttl\": \"1h\"}"));
    expect(&b, &["x"]);
    for (more, why) in [
        (tls(&other, Some(&shown)), "certificate"),
        (tls(&authority, None), "ertificate"),
    ] {
        let refused = sharing_as(&members, &more);
        wait::for_("the refusal to be told", || {
            source(&refused)["last_error"].to_string().contains(why)
        });
        assert!(!is_connected(&refused));
    }
    assert!(!etcd.log().contains("panic"));
}

#[test]
fn files_that_etcd_needs_are_looked_at_before_the_start() {
    let scratch = Scratch::new();
    scratch.write("not.pem", "nothing");
    for (more, expected) in [
        (
            ", user = \"u\", password_file = \"none\"",
            "none: No such file",
        ),
        (
            ", tls = { ca = \"not.pem\" }",
            "not.pem holds no certificate",
        ),
    ] {
        let table = etcd_table(&["\"https://127.0.0.1:1\"".into()], more);
        let top = format!("registry = {{ path = \"registry\"{table} }}");
        let (one, two) = ([127, 0, 0, 1], [127, 0, 0, 2]);
        let config = orders().top(&top).render((one, 9).into(), (two, 9).into());
        let path = scratch.write("weft.toml", &config);
        let mut command = proxy::weft();
        command.arg("check").arg("--config").arg(path);
        let output = proxy::output(command.current_dir(scratch.file("")));
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}
