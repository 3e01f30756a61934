//! Chunked bodies: grammar, limits, splits, and both ways of reading them.

use super::random;
use crate::http::h1::chunked::{BODY_END, ChunkError, DATA_END, Decoder, Event, write_size};
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// The body, and how many bytes it took; `None` while it is unfinished.
type Outcome = Result<Option<(Vec<u8>, usize)>, ChunkError>;

/// Feeds `bytes` in pieces that end at `cuts`.
fn decode(bytes: &[u8], cuts: &[usize]) -> Outcome {
    let mut decoder = Decoder::new();
    let mut body = Vec::new();
    let mut at = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        while at < cut && !decoder.is_done() {
            match decoder.decode(&bytes[at..cut])? {
                Event::Data { skip, len } => {
                    assert!(len > 0);
                    body.extend_from_slice(&bytes[at + skip..at + skip + len]);
                    at += skip + len;
                }
                Event::Partial { consumed } => {
                    assert_eq!(consumed, cut - at);
                    at = cut;
                }
                Event::End { consumed } => {
                    at += consumed;
                    assert!(decoder.is_done());
                }
            }
        }
    }
    Ok(decoder.is_done().then_some((body, at)))
}

/// The same through `relay`: what is forwarded, decoded again.
fn relay(bytes: &[u8], cuts: &[usize]) -> Outcome {
    let mut decoder = Decoder::new();
    let mut forwarded = Vec::new();
    let mut data = 0;
    let mut at = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        while at < cut && !decoder.is_done() {
            let run = decoder.relay(&bytes[at..cut])?;
            assert!(run.skip + run.len > 0);
            assert_eq!(run.is_end, decoder.is_done());
            forwarded.extend_from_slice(&bytes[at + run.skip..at + run.skip + run.len]);
            data += run.data;
            at += run.skip + run.len;
        }
    }
    if !decoder.is_done() {
        return Ok(None);
    }
    let (body, length) = decode(&forwarded, &[]).unwrap().unwrap();
    assert_eq!(length, forwarded.len());
    assert_eq!(body.len() as u64, data);
    assert!(!forwarded.contains(&b';') || body.contains(&b';'));
    Ok(Some((body, at)))
}

/// At once, at every split in two, byte by byte, and both ways: all must agree.
fn read(bytes: &[u8]) -> Outcome {
    let outcome = decode(bytes, &[]);
    assert_eq!(relay(bytes, &[]), outcome);
    for split in 1..bytes.len() {
        assert_eq!(decode(bytes, &[split]), outcome, "split at {split}");
        assert_eq!(relay(bytes, &[split]), outcome, "split at {split}");
    }
    let all: Vec<usize> = (1..bytes.len()).collect();
    assert_eq!(decode(bytes, &all), outcome);
    assert_eq!(relay(bytes, &all), outcome);
    outcome
}

#[test]
fn rfc9112_7_1_bodies() {
    for (text, body, rest) in [
        ("0\r\n\r\n", "", 0),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", 0),
        (
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET / HTTP/1.1",
            "hello world",
            14,
        ),
        ("0000000000000005\r\nhello\r\n00\r\n\r\n", "hello", 0),
        (
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
            0,
        ),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0),
        ("7\r\n0\r\n\r\n0\r\r\n0\r\n\r\n", "0\r\n\r\n0\r", 0),
    ] {
        let expected = (body.as_bytes().to_vec(), text.len() - rest);
        assert_eq!(read(text.as_bytes()), Ok(Some(expected)), "{text:?}");
    }
}

#[test]
fn rfc9112_7_1_malformed_chunks_are_refused() {
    use ChunkError::*;
    for (text, error) in [
        ("\r\n", Size),
        (";a\r\n", Size),
        ("g\r\n", Size),
        ("-1\r\n", Size),
        ("+1\r\n", Size),
        ("0x5\r\nhello\r\n0\r\n\r\n", Size),
        (" 5\r\nhello\r\n", Size),
        ("5 \r\nhello\r\n", Size),
        ("5\t\r\nhello\r\n", Size),
        ("5 ;a\r\nhello\r\n", Size),
        ("5_0\r\n", Size),
        ("5,5\r\n", Size),
        ("5\0\r\n", Size),
        ("\u{ff15}\r\n", Size),
        ("5\nhello\r\n", LineEnd),
        ("5\r\rhello", LineEnd),
        ("5\rhello\r\n", LineEnd),
        ("\n5\r\nhello", LineEnd),
        ("5\r\nhelloX\r\n", DataEnd),
        ("5\r\nhello\n0\r\n\r\n", DataEnd),
        ("5\r\nhello\r0\r\n\r\n", DataEnd),
        ("5\r\nhello0\r\n\r\n", DataEnd),
        ("5\r\nhello\r\n\r\n0\r\n\r\n", Size),
        ("0\r\n\n", LineEnd),
        ("0\n\r\n", LineEnd),
        ("0\r\n\rX", LineEnd),
        ("00000000000000005\r\n", SizeOverflow),
        ("10000000000000000\r\n", SizeOverflow),
        ("ffffffffffffffff\r\n", SizeOverflow),
        ("8000000000000000\r\n", SizeOverflow),
        ("fffffffffffffffffffffffff\r\n", SizeOverflow),
    ] {
        assert_eq!(read(text.as_bytes()), Err(error), "{text:?}");
    }
    let largest = decode(b"7fffffffffffffff\r\nabc", &[]);
    assert_eq!(largest, Ok(None));
}

#[test]
fn rfc9112_7_1_1_extensions_are_checked_and_dropped() {
    for extension in [
        ";a",
        ";a=b",
        ";a=\"b\"",
        ";a=\"\"",
        ";a;b=c;d",
        "; a",
        ";\ta=b",
        ";a=\"q;\\\"\\\\ \t\u{e9}\"",
        ";a=\"0\"; b",
    ] {
        let text = format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n");
        let body = Ok(Some((b"hello".to_vec(), text.len())));
        assert_eq!(read(text.as_bytes()), body, "{extension}");
    }
    use ChunkError::{Extension, LineEnd};
    for (extension, error) in [
        (";", Extension),
        (";;a", Extension),
        ("; ", Extension),
        (";a ", Extension),
        (";a=", Extension),
        (";a= b", Extension),
        (";a =b", Extension),
        (";=b", Extension),
        (";a=b=c", Extension),
        (";a=b\"", Extension),
        (";a=\"b", Extension),
        (";a=\"b\"c", Extension),
        (";a=\"b\\", Extension),
        (";a\0", Extension),
        (";a=\"\0\"", Extension),
        (";a\nb", LineEnd),
        (";a\n", LineEnd),
        (";a=\"\n\"", LineEnd),
        (";a\rb", LineEnd),
    ] {
        let text = format!("5{extension}\r\nhello\r\n0\r\n\r\n");
        assert_eq!(read(text.as_bytes()), Err(error), "{extension:?}");
    }
}

#[test]
fn rfc9110_5_6_4_a_quoted_string_hides_separators_not_controls() {
    let body = |value: &str| read(format!("1;a=\"{value}\"\r\nx\r\n0\r\n\r\n").as_bytes());
    for value in [";", "\\\"", "\\\\", "=;=", " \t", "\u{e9}"] {
        assert!(matches!(body(value), Ok(Some(_))), "{value:?}");
    }
    for value in ["\0", "\u{7f}", "\\\0", "\r\n", "\n"] {
        assert!(body(value).is_err(), "{value:?}");
    }
}

#[test]
fn rfc9110_6_5_1_no_trailer_is_ever_merged() {
    let text = "1\r\nx\r\n0\r\nContent-Length: 9\r\nHost: evil\r\nAuthorization: y\r\n\r\n";
    let mut decoder = Decoder::new();
    let run = decoder.relay(text.as_bytes()).unwrap();
    assert_eq!(&text.as_bytes()[run.skip..run.len], b"1\r\nx\r\n0\r\n");
    let rest = &text.as_bytes()[run.len..];
    let end = decoder.relay(rest).unwrap();
    assert!(end.is_end);
    assert_eq!(&rest[end.skip..], b"\r\n");
}

#[test]
fn rfc9112_7_1_1_extensions_are_bounded_over_the_whole_body() {
    let chunk = format!("1;{}\r\nx\r\n", "a".repeat(127));
    let fits = CHUNK_EXTENSION_BYTES_MAX as usize / 128;
    let body = |chunks: usize| format!("{}0\r\n\r\n", chunk.repeat(chunks));
    assert!(matches!(decode(body(fits).as_bytes(), &[]), Ok(Some(_))));
    let refused = Err(ChunkError::ExtensionTooLong);
    assert_eq!(decode(body(fits + 1).as_bytes(), &[]), refused);
    assert_eq!(relay(body(fits + 1).as_bytes(), &[]), refused);
}

#[test]
fn rfc9112_7_1_2_trailers_are_checked_and_dropped() {
    for trailer in [
        "A: b\r\n",
        "A:\r\n",
        "A: b\r\nContent-Length: 5\r\nHost: x\r\n",
        "a:\t\u{e9}\r\n",
    ] {
        let text = format!("1\r\nx\r\n0\r\n{trailer}\r\nrest");
        let body = Ok(Some((b"x".to_vec(), text.len() - 4)));
        assert_eq!(read(text.as_bytes()), body, "{trailer:?}");
    }
    use ChunkError::{LineEnd, Trailer};
    for (trailer, error) in [
        (" A: b\r\n", Trailer),
        ("A : b\r\n", Trailer),
        ("A\r\n", Trailer),
        (": b\r\n", Trailer),
        ("A: \0\r\n", Trailer),
        ("A: b\r\n c\r\n", Trailer),
        ("A\n", Trailer),
        ("A: b\n", LineEnd),
        ("A: b\rC: d\r\n", LineEnd),
        ("A: b\r\n\n", LineEnd),
    ] {
        let text = format!("0\r\n{trailer}\r\n");
        assert_eq!(read(text.as_bytes()), Err(error), "{trailer:?}");
    }
}

#[test]
fn rfc6585_5_trailers_are_bounded() {
    let line = format!("A: {}\r\n", "a".repeat(1024 - 5));
    let fits = TRAILER_BYTES_MAX as usize / line.len();
    let body = |lines: usize| format!("0\r\n{}\r\n", line.repeat(lines));
    assert!(matches!(decode(body(fits).as_bytes(), &[]), Ok(Some(_))));
    assert_eq!(
        decode(body(fits + 1).as_bytes(), &[]),
        Err(ChunkError::TrailerTooLong)
    );
    assert_eq!(ChunkError::TrailerTooLong.status(), 431);
}

#[test]
fn an_error_and_an_end_are_final() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(b"x"), Err(ChunkError::Size));
    assert_eq!(decoder.decode(b"0\r\n\r\n"), Err(ChunkError::Size));
    let mut decoder = Decoder::new();
    assert_eq!(
        decoder.decode(b"0\r\n\r\nmore"),
        Ok(Event::End { consumed: 5 })
    );
    assert_eq!(decoder.decode(b"more"), Ok(Event::End { consumed: 0 }));
}

#[test]
fn a_chunk_in_one_buffer_is_one_event() {
    let mut decoder = Decoder::new();
    let bytes = b"400\r\n";
    let body = [&bytes[..], &[b'x'; 0x400], b"\r\n0\r\n\r\n"].concat();
    assert_eq!(
        decoder.decode(&body),
        Ok(Event::Data {
            skip: 5,
            len: 0x400
        })
    );
    assert_eq!(
        decoder.decode(&body[5 + 0x400..]),
        Ok(Event::End { consumed: 7 })
    );
    let run = Decoder::new().relay(&body).unwrap();
    assert_eq!(
        (run.skip, run.len, run.data, run.is_end),
        (0, body.len(), 0x400, true)
    );
}

#[test]
fn rfc9112_7_1_written_sizes_are_read_back() {
    for size in [1, 9, 10, 15, 16, 255, 256, 4095, 65_536, usize::MAX >> 1] {
        let mut line = Vec::new();
        write_size(&mut line, size);
        assert_eq!(line, format!("{size:x}\r\n").as_bytes());
    }
    let mut body = Vec::new();
    write_size(&mut body, 3);
    body.extend_from_slice(b"abc");
    body.extend_from_slice(DATA_END);
    body.extend_from_slice(BODY_END);
    assert_eq!(decode(&body, &[]), Ok(Some((b"abc".to_vec(), body.len()))));
}

/// Random bodies with random extensions and trailers, cut at random places.
#[test]
fn rfc9112_7_1_random_bodies_at_random_splits() {
    let mut random = random(0x5eed_0002);
    for _ in 0..2_000 {
        let mut text = Vec::new();
        let mut body = Vec::new();
        for _ in 0..random() % 6 {
            let length = 1 + random() as usize % 40;
            let zeros = "0".repeat(random() as usize % 3);
            let extension = ["", ";a", ";a=\"\r\""][random() as usize % 2];
            text.extend_from_slice(format!("{zeros}{length:X}{extension}\r\n").as_bytes());
            let data: Vec<u8> = (0..length)
                .map(|_| b"\r\n0a;"[random() as usize % 5])
                .collect();
            text.extend_from_slice(&data);
            text.extend_from_slice(b"\r\n");
            body.extend_from_slice(&data);
        }
        text.extend_from_slice(
            ["0\r\n\r\n", "0\r\nA: b\r\n\r\n"][random() as usize % 2].as_bytes(),
        );
        let mut cuts: Vec<usize> = (0..random() % 5)
            .map(|_| random() as usize % text.len())
            .collect();
        cuts.sort_unstable();
        let expected = Ok(Some((body, text.len())));
        assert_eq!(decode(&text, &cuts), expected);
        assert_eq!(relay(&text, &cuts), expected);
    }
}
