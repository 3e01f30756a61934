//! Files of mixes, right ones and wrong ones.

use super::*;

fn read(text: &str) -> Result<Vec<Entry>, String> {
    let url = Url::parse("http://h:1/base").expect("a URL");
    let fields = ["X-All: 1", "Accept: */*"].map(|field| Field::parse(field).expect("a field"));
    let defaults = Defaults {
        url: &url,
        fields: &fields,
        status: &StatusSet::parse("2xx").expect("a set"),
        grpc: None,
    };
    let table = text.parse().expect("TOML");
    parse(table, "mix.toml", FilePath::new("."), defaults)
}

fn head(entry: &Entry) -> String {
    let mut out = Vec::new();
    let path = |out: &mut Vec<u8>| entry.request.path.write(out, 5);
    entry.request.write_head(&mut out, path, 9);
    String::from_utf8(out).expect("text")
}

#[test]
fn entries_say_what_they_want_and_take_the_rest_from_the_command_line() {
    let entries = read(
        r#"
        [[request]]
        [[request]]
        name = "order"
        weight = 3
        method = "POST"
        path = "/orders/{n}"
        headers = { accept = "text/html", x-tag = ["a", "b"] }
        body = { size = "lognormal:4KiB/1.0" }
        expect = { status = "201,202", length = "2KiB", hash = "cbf43926" }
        "#,
    )
    .expect("a mix");
    let [plain, order] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!((plain.name.as_str(), plain.weight), ("GET /base", 1));
    let expected = "GET /base HTTP/1.1\r\nHost: h:1\r\nX-All: 1\r\nAccept: */*\r\n\r\n";
    assert_eq!(head(plain), expected);
    assert!(plain.expectation.status.contains(204));
    assert_eq!((order.name.as_str(), order.weight), ("order", 3));
    assert_eq!(
        head(order),
        "POST /orders/5 HTTP/1.1\r\nHost: h:1\r\naccept: text/html\r\nx-tag: a\r\nx-tag: b\r\n\
         X-All: 1\r\nContent-Length: 9\r\n\r\n"
    );
    let Expectation {
        status,
        length,
        hash,
        ..
    } = &order.expectation;
    assert!(status.contains(201) && !status.contains(200));
    assert_eq!((*length, *hash), (Some(2_048), Some(0xcbf4_3926)));
}

/// Files with one mistake, and a part of what is said of it.
const MISTAKES: &[(&str, &str)] = &[
    ("", "mix.toml: it has no [[request]]"),
    ("request = 1", "request = 1: tables were expected"),
    (
        "[[requests]]",
        "requests = [{}]: no such key; there are request",
    ),
    (
        "[[request]]\nname = 1",
        "request 1: name = 1: a string was expected; its type is integer",
    ),
    (
        "[[request]]\nname = \"a\"\nweight = 0",
        "request 1 \"a\": weight = 0: a whole",
    ),
    (
        "[[request]]\nmethod = \"G T\"",
        "method = \"G T\": `G T` is not a method",
    ),
    (
        "[[request]]\npath = \"a\"",
        "path = \"a\": a path begins with /",
    ),
    (
        "[[request]]\nweigth = 1",
        "weigth = 1: no such key; there are name, weight, method",
    ),
    (
        "[[request]]\nbody.size = \"5XB\"",
        "body.size = \"5XB\": `5XB` is not a size",
    ),
    (
        "[[request]]\nbody.size = \"1GiB\"",
        "it can be 1.07 GB; content goes up to 256MiB",
    ),
    (
        "[[request]]\nbody = {}",
        "body.text, file, size: exactly one",
    ),
    (
        "[[request]]\nbody = { text = \"a\", size = 1 }",
        "body.text, file, size: exactly one",
    ),
    (
        "[[request]]\nbody = \"a\"",
        "body = \"a\": a table was expected; its type is string",
    ),
    (
        "[[request]]\nbody.file = \"none\"",
        "body.file = \"none\": cannot read it",
    ),
    (
        "[[request]]\nbody.sizes = 1",
        "body.sizes = 1: no such key; there are text, file",
    ),
    (
        "[[request]]\nheaders.\"a b\" = \"c\"",
        "headers.a b = \"c\": `a b` is not a field",
    ),
    (
        "[[request]]\nexpect.status = 20",
        "expect.status = 20: `20` is not a status",
    ),
    (
        "[[request]]\nexpect.hash = \"1\"",
        "expect.hash = \"1\": `1` is not a CRC-32",
    ),
    (
        "[[request]]\n[[request]]",
        "request 2: name = \"GET /base\": request 1 has that name",
    ),
];

#[test]
fn a_mistake_says_where_it_is_and_what_was_expected() {
    for (text, complaint) in MISTAKES {
        let error = read(text).expect_err(text);
        assert!(
            error.starts_with("mix.toml: ") && error.contains(complaint),
            "{text}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let all = read("[[request]]\nweight = -1\nx = 1\n[[request]]\nname = \"b\"\ny = 2");
    assert_eq!(all.expect_err("mistakes").lines().count(), 3);
}
