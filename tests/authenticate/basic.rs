//! Names and passwords: curl's and a browser's way of asking.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ANSWER, FAILURES, curl, hash};
use crate::harness::{Client, Origin, Proxy, Setup};

fn start(origin: &Origin) -> Proxy {
    let hash = |password| hash("hash-password", password).expect("a hash");
    let setup = Setup::to(origin.address())
        .top(&format!(
            "[[authentication.basic]]\nname = \"operators\"\nrealm = \"Operators only\"\n\
             users = [{{ name = \"ann\", hash = \"{}\" }}, {{ name = \"bö\", hash = \"{}\" }}]\n",
            hash("correct horse\n"),
            hash("pass:wörd")
        ))
        .listener("authenticate = { any_of = [\"operators\"] }");
    Proxy::start(&setup)
}

#[test]
fn rfc7617_2_users_are_let_in_by_their_passwords_only() {
    let origin = Origin::answering(ANSWER);
    let proxy = start(&origin);
    for (user, expected) in [
        ("ann:correct horse", 200),
        // The first colon divides: passwords may have more.
        ("bö:pass:wörd", 200),
        ("ann:correct horse ", 401),
        ("ann:", 401),
        ("nobody:correct horse", 401),
        ("bö:correct horse", 401),
        (":", 401),
        // Asked again, it is remembered.
        ("ann:correct horse", 200),
        ("ann:", 401),
    ] {
        let (status, text) = curl(&proxy, "/", &["--user", user]);
        assert_eq!(status, expected, "{user}: {text}");
    }
    proxy.expect_count(FAILURES, "failure=\"password_wrong\"", 6);
    let requests = origin.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests
            .iter()
            .all(|it| it.field("authorization").is_none())
    );
}

#[test]
fn rfc7617_2_1_who_shows_nothing_readable_is_asked_with_the_charset() {
    let origin = Origin::answering(ANSWER);
    let proxy = start(&origin);
    for (arguments, label) in [
        (&[][..], "credentials_missing"),
        (&["-H", "Authorization: Bearer abc"], "credentials_missing"),
        (&["-H", "Authorization: Basic"], "credentials_malformed"),
        (&["-H", "Authorization: Basic !!!"], "credentials_malformed"),
        // "no colon", and a control character.
        (
            &["-H", "Authorization: Basic bm8gY29sb24="],
            "credentials_malformed",
        ),
        (
            &["-H", "Authorization: Basic YToKYg=="],
            "credentials_malformed",
        ),
    ] {
        let before = proxy.metric(FAILURES, &format!("failure=\"{label}\""));
        let (status, text) = curl(&proxy, "/", arguments);
        assert_eq!(status, 401, "{arguments:?}: {text}");
        let challenge = "basic realm=\"operators only\", charset=\"utf-8\"";
        assert!(text.to_lowercase().contains(challenge), "{text}");
        let after = proxy.metric(FAILURES, &format!("failure=\"{label}\""));
        assert_eq!(after, before + 1.0, "{arguments:?}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_flood_of_wrong_passwords_keeps_nobody_else_out() {
    let origin = Origin::answering(ANSWER);
    let hash = hash("hash-password", "correct horse\n").expect("a hash");
    let setup = Setup::to(origin.address())
        .top(&format!(
            "[[authentication.basic]]\nname = \"operators\"\n\
             users = [{{ name = \"ann\", hash = \"{hash}\" }}]\n"
        ))
        .listener("authenticate = { any_of = [\"operators\"] }\nfields.trusted_hops = 1");
    let proxy = Proxy::start(&setup);
    let flood: Vec<Client> = (0..200)
        .map(|number| {
            let mut client = proxy.connect();
            let password = STANDARD.encode(format!("ann:wrong {number}"));
            client.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\
                 Authorization: Basic {password}\r\n\r\n"
            ));
            client
        })
        .collect();
    // Somebody else's is verified behind a few of them. Without a line for each client the queue
    // would be full, and the answer 503.
    let right = STANDARD.encode("ann:correct horse");
    let mut other = proxy.connect();
    let answer = other.exchange(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.2\r\n\
         Authorization: Basic {right}\r\n\r\n"
    ));
    assert_eq!(answer.status(), 200);
    for mut client in flood {
        assert!([401, 503].contains(&client.response().status()));
    }
}
