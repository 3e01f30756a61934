//! Explanations, and questions that have none.

use clap::Parser as _;

use super::*;
use crate::config;

/// As on the command line.
#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    question: Question,
}

const TEXT: &str = r#"
    clusters = [
        { name = "app", endpoints = ["127.0.0.1:9"] },
        { name = "decisions", endpoints = ["127.0.0.1:9"] },
    ]
    [[listeners]]
    name = "web"
    address = "127.0.0.1:8080"
    fields.trusted_hops = 1
    rate_limits = [{ name = "each", requests = 5, key = ["client"] }]
    [listeners.authorization]
    default = "allow"
    policies = [
        { name = "trial", action = "deny", audit = true, methods = ["GET"] },
        { name = "blocked", action = "deny", sources = ["192.0.2.0/24"] },
        { name = "shut", action = "deny", paths = [{ prefix = "/shut" }], not = { methods = ["PUT"] } },
    ]
    [[listeners.virtual_hosts]]
    name = "shop"
    hosts = ["*.shop.test"]
    [[listeners.virtual_hosts.routes]]
    name = "admin"
    matches = [{ path = { prefix = "/admin" } }]
    forward = "app"
    authorization.policies = [
        { name = "console", action = "allow", principals = [{ spiffe = "spiffe://a.org/console" }] },
        { name = "billing", action = "allow", principals = [{ key_owner = "billing" }] },
    ]
    [[listeners.virtual_hosts.routes]]
    name = "moved"
    matches = [{ path = { exact = "/moved" } }]
    redirect = { path = "/" }
    [[listeners.virtual_hosts.routes]]
    name = "asked"
    matches = [{ path = { exact = "/asked" } }]
    forward = "app"
    external_authorization = { cluster = "decisions", timeout = "1s" }
    [[listeners.virtual_hosts.routes]]
    name = "all"
    matches = [{ path = { prefix = "/api" } }, { path = { prefix = "/shut" } }]
    forward = "app"
    [[listeners]]
    name = "other"
    address = "127.0.0.1:8081"
    virtual_hosts = [{ hosts = ["*"], routes = [{ direct_response = { status = 204 } }] }]
"#;

fn ask(line: &[&str]) -> Result<Explanation, Unanswerable> {
    let config = config::parse(TEXT, std::path::Path::new("f"));
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let snapshot = Snapshot::compile(&config).expect("no files to read");
    let line = Line::parse_from(["explain"].iter().chain(line));
    explain(&config, &snapshot, &line.question)
}

#[test]
fn each_step_is_told_with_what_decided() {
    let url = "http://a.shop.test:8080/x/../shut?a=b";
    let found = ask(&["--url", url, "-H", "X-Forwarded-For: 192.0.3.1"]).expect("an answer");
    assert_eq!(
        found.text,
        "listener      web, on 127.0.0.1:8080\n\
         request       GET /shut for a.shop.test:8080\n\
         virtual host  shop\n\
         route         all\n\
         authenticate  nothing is asked for\n\
         caller        anonymous, from 192.0.3.1\n\
         policy        listener/trial would deny (audited)\n\
         policy        listener/blocked is not for it: sources\n\
         policy        listener/shut deny\n\
         result        403 refused (denied): policy listener/shut\n"
    );
    assert_eq!((found.status, found.code()), (Some(403), REFUSED));
    let found = ask(&["-m", "PUT", "--url", url]).expect("an answer");
    let end = "policy        listener/trial is not for it: methods\n\
         policy        listener/blocked is not for it: sources\n\
         policy        listener/shut is not for it: not.methods\n\
         policy        listener/default allow\n\
         rate limit    listener/each lets 5 pass in 1s, 5 at once\n\
         cluster       app, with 1 endpoints\n\
         result        forwarded to app\n";
    assert!(found.text.ends_with(end), "{}", found.text);
    assert_eq!((found.status, found.code()), (None, 0));
}

#[test]
fn a_service_outside_is_named_and_not_asked() {
    let found = ask(&["--url", "http://a.shop.test:8080/asked", "-m", "PUT"]).expect("an answer");
    let end = "external      cluster decisions will be asked (not here); without its answer within \
         1s the request gets 403\n\
         cluster       app, with 1 endpoints\n\
         result        forwarded to app, if decisions allows it\n";
    assert!(found.text.ends_with(end), "{}", found.text);
    assert_eq!((found.status, found.code()), (None, 0));
}

#[test]
fn every_result_has_its_status() {
    let spiffe = "spiffe://a.org/console";
    for (line, status, refused) in [
        (
            &["-u", "http://a.shop.test:8080/admin"][..],
            Some(403),
            true,
        ),
        (
            &["-u", "http://a.shop.test:8080/admin", "-p", spiffe],
            None,
            false,
        ),
        (
            &["-u", "http://a.shop.test:8080/admin", "-p", "key:billing"],
            None,
            false,
        ),
        (
            &["-u", "http://a.shop.test:8080/admin", "-p", "key:other"],
            Some(403),
            true,
        ),
        (&["-u", "http://a.shop.test:8080/moved"], Some(302), false),
        (&["-u", "http://a.shop.test:8080/none"], Some(404), true),
        (&["-u", "http://other.test:8080/"], Some(404), true),
        (
            &["-u", "http://other.test:8080/", "-s", "192.0.2.9"],
            Some(403),
            true,
        ),
        (&["-u", "http://a.shop.test:8080/api%"], Some(400), true),
        (
            &["-u", "http://a.shop.test:8080", "-m", "OPTIONS"],
            Some(200),
            false,
        ),
        (
            &["-u", "http://a.shop.test:8080", "-m", "CONNECT"],
            Some(405),
            true,
        ),
        (
            &[
                "-u",
                "http://a.shop.test:8080/api",
                "-H",
                "Content-Length: 99999999",
            ],
            Some(413),
            true,
        ),
        (&["-u", "http://x:8081/"], Some(204), false),
        (&["-u", "http://x/", "-l", "other"], Some(204), false),
        (
            &[
                "-u",
                "http://x:8081/",
                "-H",
                "Host: b.shop.test",
                "-l",
                "web",
            ],
            Some(404),
            true,
        ),
    ] {
        let found = ask(line).unwrap_or_else(|why| panic!("{line:?}: {why}"));
        let result = (found.status, found.is_refused);
        assert_eq!(result, (status, refused), "{line:?}\n{}", found.text);
    }
}

#[test]
fn questions_without_an_answer() {
    for (line, why) in [
        (&["-u", "shop.test/"][..], "begin with http:// or https://"),
        (&["-u", "http:///"], "no host"),
        (&["-u", "http://a:99999/"], "no host, or a port"),
        (
            &["-u", "http://a/"],
            "no listener has port 80: name one of them with --listener: web, other",
        ),
        (
            &["-u", "http://a:8080/", "-l", "x"],
            "no listener x; there is: web, other",
        ),
        (
            &["-u", "http://a:8080/", "-H", "a"],
            "no header of the form",
        ),
        (
            &["-u", "http://a:8080/", "-H", "a: b\r\nc: d"],
            "no header of the form",
        ),
        (
            &["-u", "http://a:8080/", "-p", "root"],
            "\"root\" is no principal",
        ),
    ] {
        let found = ask(line).expect_err("no answer").to_string();
        assert!(found.contains(why), "{line:?}: {found}");
    }
}
