//! Who a request came from: what is told to the upstream, and what is believed.

use std::net::{IpAddr, Ipv4Addr};

use super::encode::{forward, parse_request};
use crate::http::h1::encode::RequestEdits;
use crate::http::{ALL_HOPS, Forwarded, Scheme, client_address, trusted_request_id};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

pub(super) const FORGED: &str = "GET / HTTP/1.1\r\nHost: site\r\n\
    X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\nx-forwarded-for: 2.2.2.2:99\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\
    Forwarded: for=6.6.6.6\r\nX-Real-Ip: 6.6.6.6\r\nX-Request-Id: r-1\r\nX-Other: o\r\n\r\n";

pub(super) fn forwarded(trusted_hops: u8) -> RequestEdits<'static> {
    RequestEdits {
        forwarded: Some(Forwarded {
            client: Some(CLIENT),
            scheme: Scheme::Http,
            trusted_hops,
            is_proved: false,
        }),
        ..RequestEdits::default()
    }
}

#[test]
fn an_identity_is_believed_only_from_a_trusted_hop_that_proved_its_own() {
    const FORWARDED: &str = "GET / HTTP/1.1\r\nHost: site\r\n\
        X-Forwarded-Client-Cert: Hash=00;URI=spiffe://x/a\r\n\r\n";
    for (trusted_hops, is_proved, is_kept) in [
        (0, false, false),
        (0, true, false),
        (1, false, false),
        (1, true, true),
    ] {
        let mut edits = forwarded(trusted_hops);
        edits.client_certificate = Some(b"Hash=11;URI=spiffe://x/b");
        if let Some(forwarded) = &mut edits.forwarded {
            forwarded.is_proved = is_proved;
        }
        let text = forward(FORWARDED, &edits);
        assert_eq!(text.contains("spiffe://x/a"), is_kept, "{text}");
        assert!(
            text.contains("X-Forwarded-Client-Cert: Hash=11;URI=spiffe://x/b\r\n"),
            "{text}"
        );
    }
}

#[test]
fn rfc7239_8_1_an_untrusted_client_is_not_believed() {
    assert_eq!(
        forward(FORGED, &forwarded(0)),
        "GET / HTTP/1.1\r\nHost: site\r\nX-Request-Id: r-1\r\nX-Other: o\r\n\
         X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: site\r\n\r\n"
    );
}

#[test]
fn a_peer_without_an_address_adds_no_entry() {
    let entries = |trusted_hops| {
        let mut edits = forwarded(trusted_hops);
        edits.forwarded.as_mut().expect("is set").client = None;
        forward(FORGED, &edits)
    };
    let two = entries(2);
    assert!(
        two.contains("\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2:99\r\n"),
        "{two}"
    );
    assert!(!entries(0).contains("X-Forwarded-For"));
}

#[test]
fn rfc7239_7_4_entries_of_trusted_hops_are_kept() {
    let one = forward(FORGED, &forwarded(1));
    assert!(
        one.contains("X-Forwarded-For: 2.2.2.2:99, 10.0.0.9\r\n"),
        "{one}"
    );
    assert!(!one.contains("1.1.1.1"));
    assert!(one.contains("X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"));
    assert!(one.contains("X-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-Ip: 6.6.6.6"));
    let two = forward(FORGED, &forwarded(2));
    assert!(
        two.contains("X-Forwarded-For: 1.1.1.1, 2.2.2.2:99, 10.0.0.9\r\n"),
        "{two}"
    );
    let all = forward(FORGED, &forwarded(9));
    assert!(
        all.contains("X-Forwarded-For: 6.6.6.6, 1.1.1.1, 2.2.2.2:99, 10.0.0.9\r\n"),
        "{all}"
    );
    let twice = FORGED.replace("X-Other: o", "X-Forwarded-Proto: ftp");
    let replaced = forward(&twice, &forwarded(1));
    assert!(!replaced.contains("ftp") && replaced.contains("X-Forwarded-Proto: http\r\n"));
}

#[test]
fn rfc7239_7_4_the_client_address() {
    let head = parse_request(FORGED.as_bytes());
    let request = head.view(FORGED.as_bytes());
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    assert_eq!(client_address(&request, Some(CLIENT), 0), Some(CLIENT));
    assert_eq!(
        client_address(&request, Some(CLIENT), 1),
        address("2.2.2.2")
    );
    assert_eq!(
        client_address(&request, Some(CLIENT), 2),
        address("1.1.1.1")
    );
    assert_eq!(
        client_address(&request, Some(CLIENT), 3),
        address("6.6.6.6")
    );
    assert_eq!(client_address(&request, Some(CLIENT), 4), Some(CLIENT));
    assert_eq!(
        client_address(&request, Some(CLIENT), ALL_HOPS),
        address("6.6.6.6")
    );
    assert_eq!(client_address(&request, None, 0), None);
    for (entry, expected) in [
        ("2001:db8::1", address("2001:db8::1")),
        ("[2001:db8::1]", address("2001:db8::1")),
        ("[2001:db8::1]:80", address("2001:db8::1")),
        ("unknown", Some(CLIENT)),
        ("_hidden", Some(CLIENT)),
        ("", Some(CLIENT)),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {entry}\r\n\r\n");
        let head = parse_request(text.as_bytes());
        let found = client_address(&head.view(text.as_bytes()), Some(CLIENT), 1);
        assert_eq!(found, expected, "{entry}");
    }
}

#[test]
fn request_ids_are_kept_from_trusted_hops_only() {
    let head = parse_request(FORGED.as_bytes());
    let request = head.view(FORGED.as_bytes());
    assert_eq!(trusted_request_id(&request, 0), None);
    assert_eq!(trusted_request_id(&request, 1), Some(&b"r-1"[..]));
    for fields in [
        "X-Request-Id: a b\r\n".to_owned(),
        "X-Request-Id:\r\n".to_owned(),
        "X-Request-Id: a\r\nX-Request-Id: b\r\n".to_owned(),
        format!("X-Request-Id: {}\r\n", "a".repeat(129)),
        String::new(),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = parse_request(text.as_bytes());
        assert_eq!(
            trusted_request_id(&head.view(text.as_bytes()), 1),
            None,
            "{fields}"
        );
    }
    let edits = RequestEdits {
        request_id: Some(b"new"),
        ..RequestEdits::default()
    };
    let sent = forward(FORGED, &edits);
    assert!(
        sent.contains("X-Request-Id: new\r\n") && !sent.contains("r-1"),
        "{sent}"
    );
}
