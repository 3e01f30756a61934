//! Request targets, hosts and path normalisation.

use crate::http::h1::request::parse;
use crate::http::{
    Encoded, HeadError, HeadLimits, Parsed, RequestHead, Scheme, TargetError, TargetForm,
    TargetRules,
};

/// A request with this target and `Host`.
fn request(
    line: &str,
    host: &str,
    rules: TargetRules,
) -> Result<(RequestHead, Vec<u8>), HeadError> {
    let bytes = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    let limits = HeadLimits {
        target: rules,
        ..HeadLimits::default()
    };
    let mut head = RequestHead::new();
    match parse(&bytes, &limits, &mut head)? {
        Parsed::Complete { .. } => Ok((head, bytes)),
        Parsed::Partial => panic!("{line} is incomplete"),
    }
}

fn path_under(rules: TargetRules, target: &str) -> Result<String, TargetError> {
    match request(&format!("GET {target}"), "h", rules) {
        Ok((head, bytes)) => Ok(String::from_utf8(head.view(&bytes).path().to_vec()).unwrap()),
        Err(HeadError::Target(error)) => Err(error),
        Err(other) => panic!("{target}: {other:?}"),
    }
}

fn path(target: &str) -> Result<String, TargetError> {
    path_under(TargetRules::default(), target)
}

fn refused(line: &str, host: &str) -> HeadError {
    match request(line, host, TargetRules::default()) {
        Err(error) => error,
        Ok((head, bytes)) => panic!("accepted {line} {host}: {:?}", head.view(&bytes)),
    }
}

/// Form, authority and path of an accepted target.
fn form(line: &str) -> (TargetForm, String, String) {
    let (head, bytes) = request(line, "h", TargetRules::default())
        .unwrap_or_else(|error| panic!("{line}: {error:?}"));
    let request = head.view(&bytes);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        request.target_form(),
        text(request.authority()),
        text(request.path()),
    )
}

fn expect(form: TargetForm, authority: &str, path: &str) -> (TargetForm, String, String) {
    (form, authority.to_owned(), path.to_owned())
}

#[test]
fn rfc9112_3_2_1_origin_form() {
    assert_eq!(form("GET /"), expect(TargetForm::Origin, "h", "/"));
    assert_eq!(form("BREW /pot"), expect(TargetForm::Origin, "h", "/pot"));
    assert_eq!(form("OPTIONS /x"), expect(TargetForm::Origin, "h", "/x"));
}

#[test]
fn rfc9112_3_2_2_absolute_form() {
    assert_eq!(
        form("GET http://a/p"),
        expect(TargetForm::Absolute, "a", "/p")
    );
    assert_eq!(
        form("GET HTTP://a:1?q"),
        expect(TargetForm::Absolute, "a:1", "/")
    );
    assert_eq!(
        form("OPTIONS http://a/"),
        expect(TargetForm::Absolute, "a", "/")
    );
}

#[test]
fn rfc9112_3_2_3_authority_form_is_for_connect() {
    assert_eq!(
        form("CONNECT a:443"),
        expect(TargetForm::Authority, "a:443", "")
    );
    assert_eq!(
        form("CONNECT [::1]:443"),
        expect(TargetForm::Authority, "[::1]:443", "")
    );
    let form_error = HeadError::Target(TargetError::Form);
    assert_eq!(refused("GET a:443", "h"), form_error);
}

#[test]
fn rfc9112_3_2_4_asterisk_form_is_for_options() {
    assert_eq!(form("OPTIONS *"), expect(TargetForm::Asterisk, "h", "*"));
    assert_eq!(
        form("OPTIONS http://a"),
        expect(TargetForm::Absolute, "a", "*")
    );
    assert_eq!(refused("GET *", "h"), HeadError::Target(TargetError::Form));
}

#[test]
fn rfc9110_4_2_only_http_schemes() {
    for scheme in [
        "ftp",
        "ws",
        "wss",
        "file",
        "gopher",
        "httpx",
        "http+unix",
        "",
    ] {
        let line = format!("GET {scheme}://a/");
        assert_eq!(
            refused(&line, "h"),
            HeadError::Target(TargetError::Scheme),
            "{scheme}"
        );
    }
}

#[test]
fn rfc9110_4_2_1_an_http_target_has_a_host() {
    for line in [
        "GET http://",
        "GET http:///p",
        "GET http://?q",
        "GET http://:80/",
    ] {
        assert_eq!(
            refused(line, "h"),
            HeadError::Target(TargetError::Authority),
            "{line}"
        );
    }
    assert_eq!(
        refused("GET /", ""),
        HeadError::Target(TargetError::HostInvalid)
    );
}

#[test]
fn rfc9110_4_2_3_an_empty_path_is_the_root() {
    for line in [
        "GET http://a",
        "GET http://a/",
        "GET http://a?q",
        "GET https://a",
    ] {
        assert_eq!(form(line).2, "/", "{line}");
    }
}

#[test]
fn rfc9110_4_2_4_user_information_is_refused() {
    for host in ["u@a", "u:p@a", "@a", "a@", "a:80@b", "[::1]@a"] {
        let error = HeadError::Target(TargetError::Userinfo);
        assert_eq!(refused("GET /", host), error, "{host}");
        assert_eq!(
            refused(&format!("GET http://{host}/"), "h"),
            error,
            "{host}"
        );
    }
}

#[test]
fn rfc9110_7_1_a_fragment_is_refused() {
    for target in ["/#", "/a#b", "/?q#f", "http://h#f", "http://h/#f", "/%20#"] {
        assert_eq!(path(target), Err(TargetError::Character), "{target}");
    }
}

#[test]
fn rfc1035_2_3_4_hosts_are_at_most_255_bytes() {
    let host = |length: usize| "a".repeat(length);
    assert!(request("GET /", &host(255), TargetRules::default()).is_ok());
    assert_eq!(
        refused("GET /", &host(256)),
        HeadError::Target(TargetError::HostInvalid)
    );
}

#[test]
fn rfc9112_3_2_other_forms_are_refused() {
    use TargetError::*;
    for (line, error) in [
        ("GET *", Form),
        ("get *", Form),
        ("OPTIONS *x", Form),
        ("OPTIONS **", Form),
        ("OPTIONS *?q", Form),
        ("GET a", Form),
        ("GET a/b", Form),
        ("GET a:80", Form),
        ("GET ?q", Form),
        ("GET http:/a/", Form),
        ("GET http:a", Form),
        ("GET http:////a", Authority),
        ("GET http://", Authority),
        ("GET http:///p", Authority),
        ("GET http://:80/", Authority),
        ("GET ://a/", Scheme),
        ("GET ftp://a/", Scheme),
        ("GET ws://a/", Scheme),
        ("GET file:///etc/passwd", Scheme),
        ("GET xhttp://a/", Scheme),
        ("CONNECT /", Authority),
        ("CONNECT *", Authority),
        ("CONNECT a", Authority),
        ("CONNECT a:", Authority),
        ("CONNECT a:0", Authority),
        ("CONNECT a:65536", Authority),
        ("CONNECT a:1/p", Authority),
        ("CONNECT http://a:1", Authority),
        ("CONNECT u@a:1", Userinfo),
    ] {
        assert_eq!(refused(line, "h"), HeadError::Target(error), "{line}");
    }
}

#[test]
fn rfc9112_3_2_2_the_scheme_of_an_absolute_target() {
    for (target, scheme) in [
        ("/", None),
        ("http://a/", Some(Scheme::Http)),
        ("HTTPS://a/", Some(Scheme::Https)),
    ] {
        let line = format!("GET {target}");
        let (head, bytes) = request(&line, "h", TargetRules::default()).unwrap();
        assert_eq!(head.view(&bytes).scheme(), scheme);
    }
}

#[test]
fn rfc9110_7_2_valid_hosts() {
    for (text, host, port) in [
        ("example.com", "example.com", None),
        ("EXAMPLE.com:8080", "EXAMPLE.com", Some(8080)),
        ("a", "a", None),
        ("a_b-c.d~e.", "a_b-c.d~e.", None),
        ("127.0.0.1:1", "127.0.0.1", Some(1)),
        ("a:65535", "a", Some(65535)),
        ("a:00080", "a", Some(80)),
        ("[::1]", "[::1]", None),
        ("[2001:DB8::7]:443", "[2001:DB8::7]", Some(443)),
        ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", None),
        ("a;b=c", "a;b=c", None),
    ] {
        let (head, bytes) = request("GET /", text, TargetRules::default())
            .unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let request = head.view(&bytes);
        assert_eq!(request.authority(), text.as_bytes());
        assert_eq!(request.host(), host.as_bytes());
        assert_eq!(request.port(), port);
    }
}

#[test]
fn rfc9110_7_2_and_rfc3986_3_2_2_invalid_hosts() {
    let long = "a".repeat(256);
    for host in [
        "",
        ":",
        ":80",
        "a:",
        "a:x",
        "a:-1",
        "a:+1",
        "a:0",
        "a:65536",
        "a:000080",
        "a:1:2",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a,b",
        "a, b",
        "a%62",
        "a\"",
        "<a>",
        "a|b",
        "a^b",
        "{a}",
        "[",
        "]",
        "[]",
        "[a]",
        "[::1",
        "::1",
        "[::1]x",
        "[::1]:",
        "[::1]x:80",
        "[::1%25eth0]",
        "[v1.a]",
        "[1.2.3.4]",
        "[::1]]",
        "\u{e9}",
        "http://a",
        "a\tb",
        &long,
    ] {
        let error = HeadError::Target(TargetError::HostInvalid);
        assert_eq!(refused("GET /", host), error, "{host}");
        // A bad Host is refused even when the target overrides it.
        assert_eq!(refused("GET http://a/", host), error, "{host}");
    }
}

/// Each path has its normal form, in the origin and the absolute form, and that is a fixed point.
fn normalise(cases: &[(&str, &str)]) {
    for &(target, normal) in cases {
        assert_eq!(path(target).as_deref(), Ok(normal), "{target}");
        assert_eq!(
            path(normal).as_deref(),
            Ok(normal),
            "{normal} is no fixed point"
        );
        let absolute = format!("http://h{target}");
        assert_eq!(path(&absolute).as_deref(), Ok(normal), "{absolute}");
    }
}

#[test]
fn rfc3986_3_3_normal_paths_stay_as_they_are() {
    normalise(&[
        ("/", "/"),
        ("/a/b.c/..d/.e/f..", "/a/b.c/..d/.e/f.."),
        ("/a/", "/a/"),
        ("/a;p=1/b,c/d:e@f!$&'()*+=~", "/a;p=1/b,c/d:e@f!$&'()*+=~"),
        ("/[a]^`{b|c}", "/[a]^`{b|c}"),
    ]);
}

#[test]
fn rfc3986_5_2_4_dot_segments_are_removed() {
    normalise(&[
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/...", "/a/..."),
        ("/a/..b", "/a/..b"),
    ]);
}

#[test]
fn rfc3986_6_2_2_1_escapes_are_upper_case_and_decoded_once() {
    normalise(&[
        ("/a%20b", "/a%20b"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%25", "/%25"),
        ("/%252e%252e/", "/%252e%252e/"),
        ("/%3b%3F%23", "/%3B%3F%23"),
        ("/%0d%0a", "/%0D%0A"),
    ]);
}

#[test]
fn rfc3986_6_2_2_2_unreserved_characters_are_decoded() {
    normalise(&[("/%61%2D%2e%5f%7Eb", "/a-._~b"), ("/%41bc", "/Abc")]);
}

#[test]
fn rfc3986_6_2_2_3_encoded_dot_segments_are_removed() {
    normalise(&[
        ("/a/%2e", "/a/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/%61/%2e./b", "/b"),
    ]);
}

#[test]
fn double_slashes_are_merged() {
    normalise(&[
        ("//", "/"),
        ("//a", "/a"),
        ("/a//b///c//", "/a/b/c/"),
        ("/a//../b", "/b"),
        ("/a//.//b", "/a/b"),
        ("//host/../a", "/a"),
    ]);
}

#[test]
fn rfc3986_6_2_2_paths_with_more_than_one_reading_are_refused() {
    use TargetError::*;
    for (target, error) in [
        ("/..", AboveRoot),
        ("/../", AboveRoot),
        ("/a/../..", AboveRoot),
        ("/a/../../b", AboveRoot),
        ("/%2e%2e/b", AboveRoot),
        ("//../b", AboveRoot),
        ("/./../b", AboveRoot),
        ("/a/..;/b", AboveRoot),
        ("/a/..;x=1/b", AboveRoot),
        ("/a/.;/b", AboveRoot),
        ("/a/%2e%2e;/b", AboveRoot),
        ("/a%2fb", EncodedSeparator),
        ("/a%2Fb", EncodedSeparator),
        ("/a%5cb", EncodedSeparator),
        ("/a%5Cb", EncodedSeparator),
        ("/a%00", EncodedSeparator),
        ("/..%2fb", EncodedSeparator),
        ("/%", Percent),
        ("/%2", Percent),
        ("/%g0", Percent),
        ("/%0g", Percent),
        ("/a%/b", Percent),
        ("/%%41", Percent),
        ("/%u002e", Percent),
        ("/%2/%2e", Percent),
        ("/%2/e", Percent),
        ("/a\\b", Character),
        ("/..\\b", Character),
        ("/a#b", Character),
        ("/#", Character),
        ("/a\"b", Character),
        ("/<b>", Character),
        ("/caf\u{e9}", Character),
        ("/?q#f", Character),
        ("/?caf\u{e9}", Character),
        ("http://h#f", Character),
    ] {
        assert_eq!(path(target), Err(error), "{target}");
    }
}

#[test]
fn encoded_separators_and_double_slashes_follow_the_rules() {
    let keep = TargetRules {
        merge_slashes: false,
        encoded_separators: Encoded::Keep,
        encoded_nul: Encoded::Keep,
    };
    for (target, normal) in [
        ("/a%2fb%5cc%00", "/a%2Fb%5Cc%00"),
        ("/a/..%2fb", "/a/..%2Fb"),
        ("//", "//"),
        ("//a//b/", "//a//b/"),
        ("/a//../b", "/a/b"),
        ("/a//..", "/a/"),
        ("//..", "/"),
    ] {
        assert_eq!(path_under(keep, target).as_deref(), Ok(normal), "{target}");
        assert_eq!(path_under(keep, normal).as_deref(), Ok(normal), "{normal}");
    }
    assert_eq!(path_under(keep, "/../a"), Err(TargetError::AboveRoot));
}

#[test]
fn rfc3986_3_4_the_query_is_passed_as_received() {
    for (target, query) in [
        ("/", None),
        ("/?", Some("")),
        ("/?a=b?c/../d//e", Some("a=b?c/../d//e")),
        ("/?100%", Some("100%")),
        ("/?q={\"a\":[1|2]}\\^`<>", Some("q={\"a\":[1|2]}\\^`<>")),
        ("/a/../b?x=%2f%00", Some("x=%2f%00")),
    ] {
        let line = format!("GET {target}");
        let (head, bytes) = request(&line, "h", TargetRules::default()).unwrap();
        assert_eq!(
            head.view(&bytes).query(),
            query.map(str::as_bytes),
            "{target}"
        );
    }
}

#[test]
fn normal_paths_are_not_copied() {
    let line = "GET /a/b.c/d;e?f=%2e/../";
    let (head, bytes) = request(line, "h", TargetRules::default()).unwrap();
    assert_eq!(head.path.capacity(), 0);
    let path = head.view(&bytes).path();
    assert!(bytes.as_ptr_range().contains(&path.as_ptr()));
}

/// Random paths of the characters that matter: the normal form is a fixed point, holds no dot
/// segment, and agrees with decoding and resolving the plain way.
#[test]
fn rfc3986_6_2_2_random_paths() {
    let mut random = super::random(0x5eed_0001);
    let parts = [
        "/", "/", "/.", "..", "a", "%2e", "%2E", "%41", "b", ";", "%25", "%7e",
    ];
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut target = String::from("/");
        for _ in 0..random() % 9 {
            target.push_str(parts[random() as usize % parts.len()]);
        }
        let Ok(normal) = path(&target) else { continue };
        accepted += 1;
        assert_eq!(path(&normal).as_deref(), Ok(normal.as_str()), "{target}");
        assert!(!normal.contains("//"), "{target}: {normal}");
        assert!(
            !normal
                .split('/')
                .any(|segment| matches!(segment, "." | "..")),
            "{target}"
        );
        let decoded = target
            .replace("%2e", ".")
            .replace("%2E", ".")
            .replace("%41", "A")
            .replace("%7e", "~");
        let mut segments: Vec<&str> = Vec::new();
        let mut is_directory = false;
        for segment in decoded.split('/').skip(1) {
            is_directory = matches!(segment, "" | "." | "..");
            match segment {
                "" | "." => {}
                ".." => assert!(segments.pop().is_some(), "{target} climbs"),
                name => segments.push(name),
            }
        }
        let mut expected = format!("/{}", segments.join("/"));
        if is_directory && !segments.is_empty() {
            expected.push('/');
        }
        assert_eq!(normal, expected, "{target}");
    }
    assert!(accepted > 5_000, "{accepted}");
}
