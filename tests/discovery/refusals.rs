//! What the registration API refuses, over real sockets: status, code and effect of each.

use super::{Registry, TOKEN, orders};
use crate::harness::{Client, Response, wait};

const PATH: &str = "/v1/services/orders/instances/a";
const BODY: &str = "{\"address\": \"127.0.0.1:9\"}";

/// Sends a request as it is written, behind its first line and `Host`.
fn send(registry: &Registry, line: &str, rest: &str) -> Response {
    let mut client = Client::connect(registry.proxy.admin_address());
    client.send(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{rest}"));
    client.response_to(line.split(' ').next().unwrap_or_default())
}

/// The rest of a request with the token and a body.
fn with(body: &str) -> String {
    let length = body.len();
    format!("Authorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// The word for programs in an answer.
fn code(answer: &Response) -> String {
    let document = serde_json::from_slice::<serde_json::Value>(&answer.body);
    let code = document
        .ok()
        .and_then(|it| it["error"]["code"].as_str().map(str::to_owned));
    code.unwrap_or_default()
}

fn refused(registry: &Registry, reason: &str) -> f64 {
    let labels = format!("reason=\"{reason}\"");
    let metric = "weft_registry_refused_total";
    registry.proxy.metric(metric, &labels)
}

fn instances(registry: &Registry) -> Vec<String> {
    let listed = registry.ask("GET", "orders", "").text();
    let document: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let rows = document["instances"].as_array().expect("a list").iter();
    rows.filter_map(|row| Some(row["id"].as_str()?.to_owned()))
        .collect()
}

/// A request with something wrong in it: its first line, the rest, and what it is answered with.
type Case = (String, String, u16, &'static str);

/// Bodies that are no JSON, or whose fields are of the wrong type, out of bounds or unknown.
fn bad_bodies() -> Vec<Case> {
    let with_field = |field: &str| BODY.replace('}', &format!(", {field}}}"));
    let long = with_field(&format!(
        "\"metadata\": {{\"k\": \"{}\"}}",
        "x".repeat(4097)
    ));
    let deep = "[".repeat(9000);
    let malformed = [
        "",
        "{",
        "\u{fffd}",
        "{\"address\": \"127.0.0.1:9\"} x",
        &deep,
    ];
    let wrong = [
        "\"weight\": -1",
        "\"weight\": \"1\"",
        "\"ttl\": 30",
        "\"ttl\": \"1ms\"",
        "\"locality\": \"\"",
        "\"metadata\": {\"k\": 1}",
        "\"check\": {}",
        "\"wieght\": 1",
        "\"id\": \"b\"",
    ];
    let documents = [
        "[]",
        "{}",
        "{\"address\": 5}",
        "{\"address\": \"app.test:80\"}",
        "{\"address\": \"0.0.0.0:80\"}",
        &long,
    ];
    let malformed = malformed.map(|body| (body.to_owned(), "malformed"));
    let wrong = wrong.map(|field| (with_field(field), "invalid_field"));
    let documents = documents.map(|body| (body.to_owned(), "invalid_field"));
    let bodies = malformed.into_iter().chain(wrong).chain(documents);
    bodies
        .map(|(body, code)| (format!("PUT {PATH}"), with(&body), 400, code))
        .collect()
}

/// Paths and methods that are not there, and bodies that are too long or of another type.
fn bad_requests() -> Vec<Case> {
    let of = |id: &str| format!("/v1/services/orders/instances/{id}");
    let put = |id: &str| format!("PUT {}", of(id));
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let chunked = format!("{token}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    let sized = format!("{token}Content-Length: 99999\r\n\r\n");
    let xml = format!("Content-Type: text/xml\r\n{}", with(BODY));
    let (renew, patch) = (format!("POST {}/renew", of("x")), format!("PATCH {PATH}"));
    let delete = format!("DELETE {}", of("x"));
    vec![
        (put(&"x".repeat(129)), with(BODY), 400, "invalid_field"),
        (put("a%20b"), with(BODY), 400, "invalid_field"),
        (put("a/b/c"), with(BODY), 404, "no_such_path"),
        (renew, with(""), 404, "unknown_instance"),
        (delete, with(""), 404, "unknown_instance"),
        (patch, with(BODY), 405, "method_not_allowed"),
        (put("a"), sized, 413, "too_large"),
        (put("a"), chunked, 413, "too_large"),
        (put("a"), xml, 415, "unsupported_media_type"),
    ]
}

#[test]
fn bad_input_over_the_wire_is_answered_and_changes_nothing() {
    let registry = Registry::start();
    let mut invalid = bad_bodies();
    invalid.extend(bad_requests());
    for (line, rest, status, word) in &invalid {
        let answer = send(&registry, line, rest);
        let told = answer.text();
        assert_eq!(answer.status(), *status, "{line} {rest:.120}: {told}");
        assert_eq!(code(&answer), *word, "{line} {rest:.120}: {told}");
    }
    assert_eq!(refused(&registry, "invalid"), invalid.len() as f64);
    let (put, length) = (format!("PUT {PATH}"), BODY.len());
    for credentials in [
        "",
        "Authorization: Bearer x\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Basic eDp4\r\n",
    ] {
        let rest = format!("{credentials}Content-Length: {length}\r\n\r\n{BODY}");
        let answer = send(&registry, &put, &rest);
        let found = (answer.status(), code(&answer));
        assert_eq!(found, (401, "unauthorised".to_owned()), "{credentials}");
        assert!(answer.field("WWW-Authenticate").is_some());
    }
    assert_eq!(refused(&registry, "unauthorised"), 4.0);
    // A page in somebody's browser.
    for field in ["Origin: http://page.example", "Sec-Fetch-Site: cross-site"] {
        let rest = format!("{field}\r\n{}", with(BODY));
        assert_eq!(send(&registry, &put, &rest).status(), 403);
    }
    assert!(instances(&registry).is_empty());
    assert_eq!(registry.proxy.get("/").status(), 503, "nobody got in");
    assert_eq!(registry.register("a", BODY).status(), 201, "it goes on");
}

#[test]
fn a_flood_is_refused_and_those_that_were_answered_are_in_effect() {
    let top = "registry = { path = \"registry\", token_file = \"token\", max_rate = 5, \
        max_instances = 30 }";
    let registry = Registry::start_with_registry(orders(), top);
    let (mut accepted, mut flooded) = (0, 0);
    for turn in 0..60 {
        let answer = registry.register(&format!("i{turn}"), BODY);
        match answer.status() {
            201 => accepted += 1,
            429 => {
                assert_eq!(code(&answer), "too_many_requests");
                assert_eq!(answer.field("Retry-After"), Some("1"));
                flooded += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
        // Reading goes on, and so does the traffic.
        assert_eq!(instances(&registry).len(), accepted);
        assert_eq!(registry.proxy.get("/").status(), 503);
        if flooded > 3 {
            break;
        }
    }
    assert!(accepted >= 10, "twice the rate at once: {accepted}");
    assert!(flooded > 3, "{flooded} of a flood");
    assert_eq!(refused(&registry, "rate"), f64::from(flooded));
    // Once it is over, changes are taken again.
    wait::for_("room", || registry.register("later", BODY).status() == 201);
    // What does not fit is refused, and pushes nobody out.
    wait::for_("no more room", || {
        let count = instances(&registry).len();
        let answer = registry.register(&format!("more{count}"), BODY);
        answer.status() == 507 && code(&answer) == "full"
    });
    assert_eq!(instances(&registry).len(), 30);
    assert!(refused(&registry, "full") >= 1.0);
}

#[test]
fn an_expired_lease_is_told_apart_and_comes_back_by_a_registration() {
    let registry = Registry::start();
    let body = BODY.replace('}', ", \"ttl\": \"1s\"}");
    assert_eq!(registry.register("a", &body).status(), 201);
    wait::for_("the end of the lease", || instances(&registry).is_empty());
    for (method, verb) in [("POST", "/renew"), ("POST", "/drain"), ("DELETE", "")] {
        let answer = registry.ask(method, &format!("orders/instances/a{verb}"), "");
        assert_eq!(
            (answer.status(), code(&answer).as_str()),
            (410, "expired"),
            "{verb}"
        );
    }
    assert!(instances(&registry).is_empty());
    assert_eq!(registry.register("a", BODY).status(), 201);
    assert_eq!(instances(&registry), ["a"]);
}
