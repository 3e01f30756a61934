//! A service outside decides: what it is asked, what its answer does, and what happens without one.

use std::fs;
use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::message::Message;
use crate::harness::nginx::Nginx;
use crate::harness::origin::Peer;
use crate::harness::{Origin, Proxy, Setup, ports, wait};

const RESULTS: &str = "weft_external_authorizations_total";
const YES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A proxy whose requests are asked about at `service`, but for those to `/open`.
fn setup(origin: &Origin, service: SocketAddr, lines: &str) -> Setup {
    within("20s", origin, service, lines)
}

/// The same with so much time for an answer.
fn within(time: &str, origin: &Origin, service: SocketAddr, lines: &str) -> Setup {
    Setup::new()
        .top("access_log = { path = \"access.log\", flush = \"1ms\" }")
        .listener(&format!(
            "external_authorization = {{ cluster = \"decisions\", timeout = \"{time}\"{lines} }}"
        ))
        .route(
            "open",
            "matches = [{ path = { prefix = \"/open\" } }]\nforward = \"origin\"\n\
             external_authorization = \"none\"",
        )
        .route("all", "forward = \"origin\"")
        .cluster("origin", &[origin.address()])
        .cluster("decisions", &[service])
}

/// The last line of the access log, once it has `count`.
fn logged(proxy: &Proxy, count: usize) -> Value {
    let text = wait::until("lines of the access log", || {
        let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
        (text.lines().count() == count).then_some(text)
    });
    let last = text.lines().last().expect("a line");
    serde_json::from_str(last).expect("JSON")
}

/// What the last request at `origin` says under `name`.
fn last_has(origin: &Origin, name: &str) -> Vec<String> {
    let requests = origin.requests();
    let last: &Message = requests.last().expect("a request");
    last.fields(name)
        .iter()
        .map(|it| (*it).to_owned())
        .collect()
}

#[test]
fn a_service_that_others_wrote_decides() {
    let nginx = Nginx::start(
        "location /check/shut { add_header WWW-Authenticate 'Bearer realm=\"t\"' always;\n\
           add_header X-Why shut always; add_header X-Else e always;\n\
           return 401 'who are you?'; }\n\
         location /check/moved { return 302 http://login.test/; }\n\
         location /check/broken { return 503 'not today'; }\n\
         location /check/ { add_header X-User $http_authorization; add_header X-Auth-From nginx;\n\
           add_header X-Else e; add_header Set-Cookie a=b; return 200 'not for anybody'; }",
    );
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok");
    let lines = ", path_prefix = \"/check\", allowed_upstream_headers = [\"x-user\", \"x-auth-*\"], \
         allowed_client_headers = [\"x-why\"], allowed_client_headers_on_success = [\"set-cookie\"]";
    let proxy = Proxy::start(&setup(&origin, nginx.address(), lines));
    let mut client = proxy.connect();
    let forged = "X-User: root\r\nX-Auth-Groups: admins\r\nX-Mine: m\r\n";
    let ok = client.exchange(format!(
        "GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nAuthorization: ann\r\n{forged}\r\n"
    ));
    assert_eq!((ok.status(), ok.text().as_str()), (200, "ok"));
    assert_eq!(ok.fields("set-cookie"), ["c=d", "a=b"]);
    assert_eq!(last_has(&origin, "x-user"), ["ann"]);
    assert_eq!(last_has(&origin, "x-auth-from"), ["nginx"]);
    assert_eq!(last_has(&origin, "x-mine"), ["m"]);
    assert_eq!(last_has(&origin, "authorization"), ["ann"]);
    for name in ["x-auth-groups", "x-else"] {
        assert!(last_has(&origin, name).is_empty(), "{name}");
    }
    // nginx leaves out what is empty: the forged one is gone all the same.
    let anonymous = client.exchange(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{forged}\r\n"));
    assert_eq!(anonymous.status(), 200);
    assert!(last_has(&origin, "x-user").is_empty());
    assert_eq!(logged(&proxy, 2)["external_authorization"], "allowed");

    let shut = client.exchange("GET /shut HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!((shut.status(), shut.text().as_str()), (401, "who are you?"));
    assert_eq!(shut.fields("www-authenticate"), ["Bearer realm=\"t\""]);
    assert_eq!(shut.fields("content-type"), ["text/plain"]);
    assert_eq!(shut.fields("x-why"), ["shut"]);
    assert!(shut.fields("x-else").is_empty() && shut.fields("date").len() == 1);
    let line = logged(&proxy, 3);
    assert_eq!(line["external_authorization"], "denied");
    assert_eq!(
        (&line["flags"], &line["failure"], &line["detail"]),
        (&"UAEX".into(), &"denied".into(), &"external".into())
    );
    let moved = client.exchange("GET /moved HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(
        (moved.status(), moved.field("location")),
        (302, Some("http://login.test/"))
    );
    let broken = client.exchange("GET /broken HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(
        (broken.status(), broken.text().as_str()),
        (403, "403 Forbidden\n")
    );
    let line = logged(&proxy, 5);
    assert_eq!(line["failure"], "authorization_missing");
    assert_eq!(line["detail"], "status");
    // Nobody is asked about these.
    assert_eq!(
        client
            .exchange("GET /open HTTP/1.1\r\nHost: a.test\r\n\r\n")
            .status(),
        200
    );
    assert_eq!(origin.requests().len(), 3, "what was refused stayed here");
    for (result, count) in [("allowed", 2), ("denied", 2), ("error", 1)] {
        proxy.expect_count(RESULTS, &format!("result=\"{result}\""), count);
    }
    // One connection was enough.
    let events = "weft_cluster_connection_events_total";
    proxy.expect_count(events, "cluster=\"decisions\",event=\"connected\"", 1);
    proxy.expect_count(events, "cluster=\"decisions\",event=\"reused\"", 4);
}

#[test]
fn the_question_is_the_request_without_what_is_nobodys_business() {
    let (origin, service) = (Origin::echoing_targets(), Origin::answering(YES));
    let lines = ", request_headers = [\"authorization\", \"x-t-*\", \"content-length\"], \
        add_headers = { x-from = \"edge\", x-t-a = \"set\" }";
    let proxy = Proxy::start(&setup(&origin, service.address(), lines));
    let mut client = proxy.connect();
    let answer = client.exchange(
        "PUT /x/../a%2Db?q=1 HTTP/1.1\r\nHost: a.test:81\r\nAuthorization: me\r\nX-T-A: forged\r\n\
         X-T-B: b\r\nCookie: c\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 4\r\n\r\nbody",
    );
    assert_eq!(answer.status(), 200);
    let asked = service.request();
    assert_eq!((asked.method(), asked.target()), ("PUT", "/a-b?q=1"));
    for (name, value) in [
        ("host", "a.test:81"),
        ("authorization", "me"),
        ("x-t-a", "set"),
        ("x-t-b", "b"),
        ("x-from", "edge"),
        ("x-forwarded-for", "127.0.0.1"),
        ("content-length", "0"),
    ] {
        assert_eq!(asked.fields(name), [value], "{name}");
    }
    assert!(asked.fields("cookie").is_empty());
    let id = asked.field("x-request-id").expect("an id");
    assert_eq!(last_has(&origin, "x-request-id"), [id]);
    assert_eq!(
        last_has(&origin, "x-t-a"),
        ["forged"],
        "only the question is changed"
    );
    // Who ends it on the way would answer for itself.
    for method in ["OPTIONS", "TRACE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n");
        let mut client = proxy.connect();
        client.send(request);
        assert_eq!(client.response_to(method).status(), 200);
        assert!(
            service
                .requests()
                .last()
                .expect("asked")
                .field("max-forwards")
                .is_none()
        );
    }
}

#[test]
fn a_body_waits_for_the_answer_and_arrives_whole() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request() {
            let length = request.body.len().to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                length.len()
            );
            peer.send(format!("{head}{length}"));
        }
    });
    let service = Origin::start(|peer| {
        while peer.request().is_some() {
            wait::pass(std::time::Duration::from_millis(50));
            peer.send(YES);
        }
    });
    let proxy = Proxy::start(&setup(&origin, service.address(), ""));
    let body = vec![b'x'; 600_000];
    let mut client = proxy.connect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(&head).send(&body);
    assert_eq!(client.response().text(), "600000");
    // In chunks, cut anywhere, with another request behind it.
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send_in_pieces(chunked.as_bytes(), 7);
    assert_eq!(client.response().text(), "6");
    assert_eq!(client.response().text(), "0");
    // A client that waits to be asked for it.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    wait::for_("the question", || service.requests().len() == 4);
    client.send("abc");
    assert_eq!(client.response().text(), "3");
    assert!(service.requests().iter().all(|asked| asked.body.is_empty()));
    let sent: Vec<usize> = origin.requests().iter().map(|it| it.body.len()).collect();
    assert_eq!(sent, [600_000, 6, 0, 3]);
}

/// A service that does this on each connection, after a question.
fn doing(what: impl Fn(&mut Peer) + Send + Sync + 'static) -> Origin {
    Origin::start(move |peer| {
        if peer.request().is_some() {
            what(peer);
        }
    })
}

fn saying(bytes: &'static str) -> Origin {
    doing(move |peer| {
        peer.send(bytes);
    })
}

#[test]
fn without_an_answer_nobody_passes_or_everybody_as_configured() {
    let large = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "x".repeat(70_000));
    let large: &'static str = Box::leak(large.into_boxed_str());
    let cases: [(&str, Origin, &str); 9] = [
        (
            "malformed",
            saying("HTTP/1.1 2OO OK\r\n\r\n"),
            "bad_response",
        ),
        ("another protocol", saying("SSH-2.0-x\r\n"), "bad_response"),
        (
            "two lengths",
            saying("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            "bad_response",
        ),
        ("oversized", saying(large), "bad_response"),
        (
            "a switch",
            saying("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
            "bad_response",
        ),
        (
            "cut in its head",
            saying("HTTP/1.1 200 OK\r\nX-A"),
            "closed_before_response",
        ),
        (
            "cut in its content",
            saying("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
            "closed_before_response",
        ),
        ("reset", doing(Peer::reset), "closed_before_response"),
        (
            "an error",
            saying("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"),
            "status",
        ),
    ];
    for (name, service, detail) in cases {
        let origin = Origin::echoing_targets();
        let proxy = Proxy::start(&setup(&origin, service.address(), ""));
        let forged = "X-Envoy-Auth-Failure-Mode-Allowed: true\r\n";
        let ask = format!("GET / HTTP/1.1\r\nHost: a\r\n{forged}\r\n");
        let refused = proxy.connect().exchange(&ask);
        assert_eq!(
            (refused.status(), refused.text().as_str()),
            (403, "403 Forbidden\n"),
            "{name}"
        );
        assert!(origin.requests().is_empty(), "{name}");
        let line = logged(&proxy, 1);
        assert_eq!(line["external_authorization"], "error", "{name}");
        assert_eq!(line["failure"], "authorization_missing", "{name}");
        assert_eq!(line["detail"], detail, "{name}");
        drop(proxy);

        let lines = ", status_on_error = 503, failure_mode_allow = true";
        let proxy = Proxy::start(&setup(&origin, service.address(), lines));
        assert_eq!(proxy.connect().exchange(&ask).status(), 200, "{name}");
        assert_eq!(
            last_has(&origin, "x-envoy-auth-failure-mode-allowed"),
            ["true"],
            "{name}"
        );
        let line = logged(&proxy, 1);
        assert_eq!(line["external_authorization"], "error_allowed", "{name}");
        assert_eq!(line["detail"], detail, "{name}");
        proxy.expect_count(RESULTS, "result=\"error_allowed\"", 1);
    }
}

#[test]
fn a_service_that_is_not_there_is_no_answer() {
    let origin = Origin::echoing_targets();
    let lines = ", status_on_error = 503";
    let proxy = Proxy::start(&setup(&origin, ports::free(), lines));
    let mut client = proxy.connect();
    assert_eq!(client.get("/").status(), 503);
    assert_eq!(logged(&proxy, 1)["detail"], "connect_refused");
    // The connection goes on.
    assert_eq!(client.get("/open").status(), 200);
}

#[test]
fn time_is_bounded_whatever_the_service_does() {
    let silent = doing(|peer| {
        peer.some();
    });
    let dripping = doing(|peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while peer.send("x") {
            wait::pass(std::time::Duration::from_millis(20));
        }
    });
    for service in [silent, dripping] {
        let origin = Origin::echoing_targets();
        let proxy = Proxy::start(&within("100ms", &origin, service.address(), ""));
        assert_eq!(proxy.get("/").status(), 403);
        let line = logged(&proxy, 1);
        assert_eq!(line["external_authorization"], "timeout");
        assert_eq!(line["detail"], "request_timeout");
        proxy.expect_count(RESULTS, "result=\"timeout\"", 1);
        assert!(origin.requests().is_empty());
        wait::for_("its connection to be given up", || service.open() == 0);
    }
}

#[test]
fn the_clusters_circuit_bounds_questions() {
    let service = Origin::start(|peer| {
        while let Some(asked) = peer.request() {
            if asked.target() == "/slow" {
                peer.some();
            }
            peer.send(YES);
        }
    });
    let origin = Origin::echoing_targets();
    let endpoints = [service.address().to_string()];
    let proxy = Proxy::start(
        &Setup::to(origin.address())
            .listener("external_authorization = { cluster = \"decisions\", timeout = \"60s\" }")
            .cluster_with(
                "decisions",
                &endpoints,
                "circuit_breaker = { max_requests = 1, pending_timeout = \"50ms\" }",
            ),
    );
    let mut slow = proxy.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the first question", || service.requests().len() == 1);
    assert_eq!(proxy.get("/").status(), 403);
    // Who has gone is not asked about any more, and leaves its place.
    drop(slow);
    wait::for_("the first question to be given up", || service.open() == 0);
    assert_eq!(proxy.get("/").status(), 200);
    proxy.expect_count(RESULTS, "result=\"error\"", 1);
    proxy.expect_count(
        "weft_listener_failures_total",
        "failure=\"downstream_closed\"",
        1,
    );
    assert_eq!(
        origin.requests().len(),
        1,
        "the client that left was not forwarded"
    );
}

#[test]
fn a_client_that_only_ended_its_side_still_gets_its_answer() {
    let (origin, service) = (Origin::echoing_targets(), Origin::answering(YES));
    let proxy = Proxy::start(&setup(&origin, service.address(), ""));
    let mut client = proxy.connect();
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").finish();
    assert_eq!(client.response().text(), "/a");
}

#[test]
fn a_question_is_asked_again_when_nobody_answered_a_byte() {
    // Every connection carries one answer and is closed by the second question.
    let service = Origin::start(|peer| {
        if peer.request().is_some() {
            peer.send(YES);
            peer.request();
        }
    });
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&setup(&origin, service.address(), ""));
    let mut client = proxy.connect();
    for _ in 0..5 {
        assert_eq!(client.get("/").status(), 200);
    }
    assert_eq!(origin.requests().len(), 5);
    assert!(service.connections() >= 2);
}

#[test]
fn a_denial_is_held_up_to_a_bound_and_an_allowance_not_at_all() {
    let page = "p".repeat(100_000);
    let (short, long) = (page[..65_536].to_owned(), page);
    let service = Origin::start(move |peer| {
        while let Some(request) = peer.request() {
            let (status, content) = match request.target() {
                "/short" => (403, short.as_str()),
                "/long" => (403, long.as_str()),
                _ => (200, long.as_str()),
            };
            let length = content.len();
            peer.send(format!(
                "HTTP/1.1 {status} x\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n\
                 {content}"
            ));
        }
    });
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&setup(&origin, service.address(), ""));
    let mut client = proxy.connect();
    assert_eq!(client.get("/short").text().len(), 65_536);
    let long = client.get("/long");
    assert_eq!((long.status(), long.text().len()), (403, 0));
    assert!(long.fields("content-type").is_empty());
    assert_eq!(client.get("/fine").text(), "/fine");
    client.send("HEAD /short HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response_to("HEAD").status(), 403);
    assert_eq!(client.get("/fine").text(), "/fine");
}
