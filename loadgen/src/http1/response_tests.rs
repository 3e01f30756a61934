//! Tests of the response parser: every case at every split, and a byte at a time.

use super::*;

/// What a reader of the answer would say about it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    body_bytes: u64,
    keeps_open: bool,
    left: usize,
    complete: bool,
}

/// Feeds `runs`; whole answers tell how many bytes of the last run were left over.
fn read(parser: &mut ResponseParser, runs: &[&[u8]], bodiless: bool) -> Result<Told, Malformed> {
    parser.expect(bodiless);
    let (mut left, mut complete) = (0, false);
    for run in runs {
        if complete {
            left += run.len();
        } else if let Progress::Complete { used } = parser.feed(run)? {
            complete = true;
            left = run.len() - used;
        }
    }
    Ok(Told {
        status: parser.status(),
        body_bytes: parser.body_bytes(),
        keeps_open: parser.keeps_open(),
        left,
        complete,
    })
}

/// Every way to split `input` in two, then byte by byte, on one parser that is never renewed.
fn every_split(input: &[u8], bodiless: bool, check: impl Fn(Result<Told, Malformed>, &str)) {
    let mut parser = ResponseParser::new(true);
    for at in 0..=input.len() {
        let (first, second) = input.split_at(at);
        let told = read(&mut parser, &[first, second], bodiless);
        check(
            told,
            &format!("{:?} at {at}", String::from_utf8_lossy(input)),
        );
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    check(read(&mut parser, &bytes, bodiless), "a byte at a time");
}

fn whole(input: &str, bodiless: bool, status: u16, body_bytes: u64, keeps_open: bool) {
    every_split(input.as_bytes(), bodiless, |told, case| {
        let expected = Told {
            status,
            body_bytes,
            keeps_open,
            left: 0,
            complete: true,
        };
        assert_eq!(told, Ok(expected), "{case}");
    });
}

fn refused(input: &str, why: Malformed) {
    every_split(input.as_bytes(), false, |told, case| {
        assert_eq!(told, Err(why), "{case}")
    });
}

#[test]
fn rfc9112_6_3_sized_answers() {
    whole(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        false,
        200,
        5,
        true,
    );
    whole(
        "HTTP/1.1 200\r\ncontent-length:0\r\n\r\n",
        false,
        200,
        0,
        true,
    );
    whole(
        "HTTP/1.1 503 \r\nCONTENT-LENGTH:  2 \r\nX: y\r\n\r\nno",
        false,
        503,
        2,
        true,
    );
    whole(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        false,
        200,
        1,
        true,
    );
}

#[test]
fn rfc9112_6_3_rule_1_no_body_whatever_the_fields_say() {
    whole(
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
        true,
        200,
        0,
        true,
    );
    whole(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        true,
        200,
        0,
        true,
    );
    whole("HTTP/1.1 204 No Content\r\n\r\n", false, 204, 0, true);
    whole(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        false,
        304,
        0,
        true,
    );
}

#[test]
fn rfc9112_6_3_rule_4_chunked_answers() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    whole(
        &format!("{head}5\r\nhello\r\n0\r\n\r\n"),
        false,
        200,
        5,
        true,
    );
    whole(
        &format!("{head}1;x\r\na\r\n2\r\nbc\r\n0\r\nT: v\r\n\r\n"),
        false,
        200,
        3,
        true,
    );
}

#[test]
fn rfc9112_6_3_rule_8_until_close() {
    let mut parser = ResponseParser::new(false);
    let told = read(&mut parser, &[b"HTTP/1.0 200 OK\r\n\r\nab", b"cd"], false);
    let expected = Told {
        status: 200,
        body_bytes: 4,
        keeps_open: false,
        left: 0,
        complete: false,
    };
    assert_eq!(told, Ok(expected));
    assert_eq!(parser.finish(), Ok(()));
}

#[test]
fn a_close_in_the_middle_is_truncation() {
    let input = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let mut parser = ResponseParser::new(false);
    for end in 0..input.len() {
        assert!(
            !read(&mut parser, &[&input[..end]], false)
                .expect("no error")
                .complete
        );
        assert_eq!(parser.finish(), Err(Malformed::Truncated), "{end}");
    }
}

#[test]
fn rfc9112_9_3_persistence() {
    let answer = |version: &str, connection: &str| {
        format!("HTTP/{version} 200 OK\r\n{connection}Content-Length: 0\r\n\r\n")
    };
    whole(
        &answer("1.1", "Connection: close\r\n"),
        false,
        200,
        0,
        false,
    );
    whole(
        &answer("1.1", "Connection: foo, Close\r\n"),
        false,
        200,
        0,
        false,
    );
    whole(&answer("1.0", ""), false, 200, 0, false);
    whole(
        &answer("1.0", "Connection: Keep-Alive\r\n"),
        false,
        200,
        0,
        true,
    );
    whole(
        &answer("1.0", "Connection: keep-alive, close\r\n"),
        false,
        200,
        0,
        false,
    );
}

#[test]
fn rfc9110_15_2_interim_answers_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    whole(&format!("{interim}{answer}"), false, 200, 2, true);
    refused(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        Malformed::Upgrade,
    );
}

#[test]
fn bytes_after_the_answer_are_left_over() {
    let input = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200";
    every_split(input, false, |told, case| {
        assert_eq!(told.expect("a whole answer").left, 12, "{case}");
    });
}

#[test]
fn rfc9112_4_broken_status_lines() {
    for line in [
        "HTTP/2 200 OK",
        "HTTP/1.2 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20",
        "HTTP/1.1 2000",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 099 no",
        "HTTP/1.1\t200 OK",
        "",
        "ICY 200 OK",
    ] {
        refused(&format!("{line}\r\n\r\n"), Malformed::StartLine);
    }
    refused(
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        Malformed::FieldLine,
    );
}

#[test]
fn rfc9112_5_broken_field_lines() {
    for field in [
        "no colon",
        ": x",
        "A : x",
        " folded: x",
        "A\tB: x",
        "A: \x01",
        "A: x\ry",
        "A: x\n",
    ] {
        refused(
            &format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n"),
            Malformed::FieldLine,
        );
    }
}

#[test]
fn rfc9112_6_3_ambiguous_lengths_are_refused() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
    for value in [
        "",
        "-1",
        "+1",
        "1 2",
        "1,1",
        "0x1",
        "1;",
        "18446744073709551616",
    ] {
        refused(
            &head(&format!("Content-Length: {value}")),
            Malformed::ContentLength,
        );
    }
    refused(
        &head("Content-Length: 1\r\nContent-Length: 2"),
        Malformed::ContentLength,
    );
    refused(
        &head("Content-Length: 1\r\nTransfer-Encoding: chunked"),
        Malformed::ContentLength,
    );
    refused(
        &head("Transfer-Encoding: chunked\r\nContent-Length: 1"),
        Malformed::ContentLength,
    );
    for value in [
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "xchunked",
        "",
        "chunked, chunked",
    ] {
        let fields = head(&format!("Transfer-Encoding: {value}"));
        refused(&fields, Malformed::TransferEncoding);
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked";
    refused(&head(twice), Malformed::TransferEncoding);
    refused(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        Malformed::TransferEncoding,
    );
}

#[test]
fn heads_are_bounded() {
    let mut parser = ResponseParser::new(false);
    parser.expect(false);
    assert_eq!(
        parser.feed(b"HTTP/1.1 200 OK\r\nX: "),
        Ok(Progress::Partial)
    );
    let run = [b'x'; 1024];
    let fed = (0..super::super::HEAD_BYTES_MAX / run.len()).try_for_each(|_| {
        parser
            .feed(&run)
            .map(|progress| assert_eq!(progress, Progress::Partial))
    });
    assert_eq!(fed, Err(Malformed::HeadTooLong));
}

#[test]
fn hashes_the_content_and_not_its_framing() {
    let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n";
    let mut parser = ResponseParser::new(true);
    for answer in [&sized[..], &chunked[..]] {
        for at in 0..answer.len() {
            let (first, second) = answer.split_at(at);
            assert!(
                read(&mut parser, &[first, second], false)
                    .expect("an answer")
                    .complete
            );
            // The check value of CRC-32/ISO-HDLC, the CRC of gzip and zlib.
            assert_eq!(parser.body_hash(), Some(0xCBF4_3926));
        }
    }
}
