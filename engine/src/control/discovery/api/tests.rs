//! What the API answers, without a socket.

use std::fs;

use http_body_util::Full as FullBody;
use hyper::Method;
use hyper::body::Bytes;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::sleep;

use super::super::journal::Journal;
use super::*;
use crate::config;
use crate::control::log::{Level, Log};

const TOKEN: &str = "a-token-that-is-long-enough";

/// Runs `test` with an API whose journal lies in a folder of its own.
fn with_api(name: &str, rate: u32, test: impl AsyncFnOnce(&Api)) {
    let folder = std::env::temp_dir().join(format!("weft-api-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let token_file = folder.join("token");
    fs::write(&token_file, format!("# tokens\n{TOKEN}\n")).expect("a file");
    let settings = config::Registry {
        path: folder.clone(),
        token_file: Some(token_file),
        uids: vec![77],
        max_services: 2,
        max_instances: 3,
        max_rate: rate,
        etcd: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), async {
        let (journal, _) = Journal::open(&folder, 0).expect("a journal");
        let log = Log::new(Level::Error);
        let registrar = Registrar::new(&settings, journal, Rc::default(), Rc::default(), log);
        let access = Access::open(&settings).expect("tokens");
        test(&Api::new(Rc::new(registrar), access, rate)).await;
    });
    let _left_behind = fs::remove_dir_all(&folder);
}

/// Asks with the token.
async fn ask(api: &Api, method: Method, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("bearer {TOKEN}"));
    let request = request.body(FullBody::new(Bytes::from(body.to_owned())));
    let reply = api.answer(Peer::Network, request.expect("valid")).await;
    (reply.status.as_u16(), reply.document())
}

const PATH: &str = "/v1/services/orders/instances/a";
const BODY: &str = r#"{"address": "10.0.0.1:80"}"#;

#[test]
fn an_instance_registers_renews_drains_and_leaves() {
    with_api("life", 100, async |api| {
        let (status, document) = ask(api, Method::PUT, PATH, BODY).await;
        assert_eq!((status, &document["state"]), (201, &json!("serving")));
        assert_eq!(ask(api, Method::PUT, PATH, BODY).await.0, 200);
        let renew = format!("{PATH}/renew");
        assert_eq!(
            ask(api, Method::POST, &renew, "").await,
            (200, json!({"ttl": "30s"}))
        );
        let (status, document) = ask(api, Method::POST, &format!("{PATH}/drain"), "").await;
        assert_eq!((status, &document["state"]), (200, &json!("draining")));
        let (_, listed) = ask(api, Method::GET, "/v1/services/orders", "").await;
        assert_eq!(listed["instances"][0]["id"], "a");
        assert_eq!(ask(api, Method::DELETE, PATH, "").await.0, 204);
        assert_eq!(ask(api, Method::DELETE, PATH, "").await.0, 404);
        assert_eq!(ask(api, Method::GET, PATH, "").await.0, 404);
        let unnamed = ask(api, Method::POST, "/v1/services/orders/instances", BODY).await;
        assert_eq!((unnamed.0, &unnamed.1["id"]), (201, &json!("10.0.0.1:80")));
    });
}

#[test]
fn rfc3986_a_name_may_be_escaped_in_the_path() {
    with_api("escaped", 100, async |api| {
        let path = "/v1/services/%6Frders/instances/10.0.0.1%3A80";
        let (status, document) = ask(api, Method::PUT, path, BODY).await;
        assert_eq!((status, &document["id"]), (201, &json!("10.0.0.1:80")));
        let path = "/v1/services/orders/instances/10.0.0.1%3a80/renew";
        assert_eq!(ask(api, Method::POST, path, "").await.0, 200);
        // What no name can have in it makes no path of another shape.
        for id in [
            "a%2Fdrain",
            "%2e%2e",
            "a%",
            "a%3",
            "a%zz",
            "a%+1",
            "a%25",
            "%C3%A9",
            "a%00",
        ] {
            let path = format!("/v1/services/orders/instances/{id}");
            let (status, document) = ask(api, Method::GET, &path, "").await;
            assert_eq!(status, 400, "{id}: {document}");
        }
    });
}

#[test]
fn a_check_ends_with_its_instance() {
    with_api("checks", 1000, async |api| {
        // Nobody is there, and the next check would be tomorrow.
        let checked = |port: u16| {
            let check = r#"{"tcp": true, "interval": "1d", "timeout": "1s"}"#;
            format!(r#"{{"address": "127.0.0.1:{port}", "ttl": "1s", "check": {check}}}"#)
        };
        let running = || Rc::strong_count(api.registrar());
        let before = running();
        for turn in 1..=20 {
            assert_eq!(ask(api, Method::PUT, PATH, &checked(turn)).await.0 / 100, 2);
        }
        yield_now().await;
        assert_eq!(running(), before + 1, "one for the one that is registered");
        assert_eq!(ask(api, Method::DELETE, PATH, "").await.0, 204);
        yield_now().await;
        assert_eq!(running(), before);
        assert_eq!(ask(api, Method::PUT, PATH, &checked(1)).await.0, 201);
        let expiring = spawn_local(Rc::clone(api.registrar()).run());
        while api.registrar().read(Registry::instance_count) > 0 {
            sleep(std::time::Duration::from_millis(5)).await;
        }
        expiring.abort();
        let _aborted = expiring.await;
        yield_now().await;
        assert_eq!(running(), before, "its lease ran out");
    });
}

#[test]
fn every_bad_request_has_its_status_and_word_and_changes_nothing() {
    with_api("bad", 100, async |api| {
        let long = format!(
            r#"{{"address": "{}"}}"#,
            "x".repeat(limits::REGISTRATION_BYTES_MAX)
        );
        for (method, path, body, status, code) in [
            (Method::PUT, PATH, "{", 400, "malformed"),
            (Method::PUT, PATH, "", 400, "malformed"),
            (Method::PUT, PATH, "\u{0}", 400, "malformed"),
            (Method::PUT, PATH, "[]", 400, "invalid_field"),
            (Method::PUT, PATH, r#"{"address": 1}"#, 400, "invalid_field"),
            (Method::PUT, PATH, &long, 413, "too_large"),
            (
                Method::PUT,
                "/v1/services/a%20b/instances/c",
                BODY,
                400,
                "invalid_field",
            ),
            (Method::PATCH, PATH, BODY, 405, "method_not_allowed"),
            (Method::POST, PATH, BODY, 405, "method_not_allowed"),
            (Method::GET, "/v1/service", "", 404, "no_such_path"),
            (
                Method::POST,
                "/v1/services/s/instances/a/renew",
                "",
                404,
                "unknown_instance",
            ),
            (
                Method::DELETE,
                "/v1/services/s/instances/a",
                "",
                404,
                "unknown_instance",
            ),
        ] {
            let (found, document) = ask(api, method.clone(), path, body).await;
            assert_eq!(found, status, "{method} {path} {document}");
            assert_eq!(document["error"]["code"], code, "{method} {path}");
        }
        assert_eq!(api.registrar().read(Registry::instance_count), 0);
        assert_eq!(api.refusals().invalid, 12);
    });
}

#[test]
fn a_registry_that_is_full_says_so() {
    with_api("full", 100, async |api| {
        for (path, status) in [
            ("/v1/services/a/instances/1", 201),
            ("/v1/services/b/instances/1", 201),
            ("/v1/services/c/instances/1", 507),
            ("/v1/services/b/instances/2", 201),
            ("/v1/services/b/instances/3", 507),
            ("/v1/services/b/instances/2", 200),
        ] {
            assert_eq!(ask(api, Method::PUT, path, BODY).await.0, status, "{path}");
        }
        assert_eq!(api.refusals().full, 2);
    });
}

#[test]
fn who_has_no_right_changes_nothing() {
    with_api("access", 100, async |api| {
        let bearer = format!("Bearer {TOKEN}");
        for (peer, credentials, status) in [
            (Peer::Network, None, 401),
            (
                Peer::Network,
                Some("Bearer a-token-that-is-long-enougH"),
                401,
            ),
            (Peer::Network, Some("Bearer "), 401),
            (Peer::Network, Some("Basic YTpi"), 401),
            (Peer::User(Some(78)), None, 401),
            (Peer::User(None), None, 401),
            (Peer::User(Some(77)), None, 201),
            (Peer::User(Some(78)), Some(&*bearer), 200),
            (Peer::Network, Some(&*bearer), 200),
        ] {
            let mut request = Request::put(PATH);
            if let Some(credentials) = credentials {
                request = request.header("authorization", credentials);
            }
            let request = request
                .body(FullBody::new(Bytes::from(BODY)))
                .expect("valid");
            let before = api.registrar().read(Registry::instance_count);
            let reply = api.answer(peer, request).await;
            assert_eq!(reply.status.as_u16(), status, "{peer:?} {credentials:?}");
            let after = api.registrar().read(Registry::instance_count);
            assert_eq!(after != before, status == 201, "{peer:?} {credentials:?}");
        }
        assert_eq!(api.refusals().unauthorised, 6);
    });
}

#[test]
fn a_flood_is_cut_at_the_rate_and_readers_are_served() {
    with_api("flood", 5, async |api| {
        let mut statuses = Vec::new();
        for _ in 0..30 {
            statuses.push(ask(api, Method::PUT, PATH, BODY).await.0);
        }
        assert_eq!(
            statuses[..10]
                .iter()
                .filter(|status| **status == 429)
                .count(),
            0
        );
        assert!(statuses.contains(&429), "{statuses:?}");
        assert!(api.refusals().rate > 0);
        assert_eq!(ask(api, Method::GET, PATH, "").await.0, 200);
    });
}

#[test]
fn a_bucket_fills_with_time_and_no_further_than_twice_its_rate() {
    let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
    let mut bucket = Bucket::new(10, at(0));
    let take = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(now).is_ok()).count();
    assert_eq!(take(&mut bucket, at(0)), 20);
    assert_eq!(take(&mut bucket, at(100)), 1);
    assert_eq!(take(&mut bucket, at(550)), 4);
    assert_eq!(take(&mut bucket, at(1_000_000)), 20);
    assert_eq!(bucket.take(at(1_000_000)), Err(1));
}
