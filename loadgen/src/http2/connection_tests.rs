//! Connections fed with frames that keep the RFC, and with frames that do not.

use super::super::frame::{HEAD_BYTES, push_block, push_head, push_numbers};
use super::super::hpack::encode::push_field;
use super::super::{FRAME_BYTES_MAX, sending::Piece};
use super::*;

const CLIENT: Role = Role::Client;
const ORIGIN: Role = Role::Origin { streams_max: 4 };
const HEADERS: u8 = Kind::Headers as u8;
const END: u8 = flag::END_STREAM | flag::END_HEADERS;

fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_head(&mut out, kind, flags, stream, payload.len());
    out.extend_from_slice(payload);
    out
}

fn settings(list: &[(u16, u32)]) -> Vec<u8> {
    let pair = |&(name, value): &(u16, u32)| {
        let mut bytes = name.to_be_bytes().to_vec();
        bytes.extend(value.to_be_bytes());
        bytes
    };
    frame(
        Kind::Settings,
        0,
        0,
        &list.iter().flat_map(pair).collect::<Vec<_>>(),
    )
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        push_field(&mut out, name.as_bytes(), value.as_bytes());
    }
    out
}

fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(
        Kind::Headers,
        flags | flag::END_HEADERS,
        stream,
        &block(fields),
    )
}

fn get() -> Vec<u8> {
    block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/a?b"),
        (":authority", "h"),
    ])
}

fn content(stream: u32, flags: u8, content: &[u8]) -> Vec<u8> {
    frame(Kind::Data, flags, stream, content)
}

/// One end, its cutter of frames, and what came out as text.
struct End {
    connection: Connection<u32>,
    frames: Frames,
}

impl End {
    /// A connection that has the peer's SETTINGS; its own beginning is thrown away.
    fn new(role: Role, list: &[(u16, u32)]) -> Self {
        let mut end = Self {
            connection: Connection::new(role),
            frames: Frames::default(),
        };
        let preface = if role == CLIENT { b"" } else { PREFACE };
        assert_eq!(end.feed(&[preface, &settings(list)].concat()), Ok(vec![]));
        end.sent();
        end
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, ErrorCode> {
        self.feed_by(bytes, bytes.len().max(1))
    }

    /// Feeds runs of `step` bytes; content that came in pieces is shown joined.
    fn feed_by(&mut self, bytes: &[u8], step: usize) -> Result<Vec<String>, ErrorCode> {
        let mut shown: Vec<String> = Vec::new();
        for mut run in bytes.chunks(step) {
            while let Some(event) = self
                .connection
                .next(&mut self.frames, &mut run)
                .map_err(|fault| fault.code)?
            {
                let text = self.show(&event);
                match shown.last_mut() {
                    Some(last) if joins(last, &text) => last.push_str(&text[2..]),
                    _ => shown.push(text),
                }
            }
            assert!(run.is_empty());
        }
        Ok(shown)
    }

    fn show(&self, event: &Event<'_>) -> String {
        let end = |ended: bool| if ended { "." } else { "" };
        match *event {
            Event::Request { key, ended } => {
                let path = self.connection.request().expect("a request").path;
                format!("{key}?{}{}", String::from_utf8_lossy(path), end(ended))
            }
            Event::Answer { key, status, ended } => format!("{key}={status}{}", end(ended)),
            Event::Content { key, bytes, ended } => {
                format!("{key}:{}{}", String::from_utf8_lossy(bytes), end(ended))
            }
            Event::Trailers { key } => {
                let count = self.connection.fields().iter().count();
                format!("{key}+{count} trailers")
            }
            Event::Reset { key, code } => format!("{key} reset {code}"),
            Event::Malformed { key, .. } => format!("{key} malformed"),
            Event::Leaving { last } => format!("leaving after {last}"),
        }
    }

    /// The frames sent since the last call: kind, flags, stream, payload.
    fn sent(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        let mut out = Vec::new();
        self.connection.take_output(&mut out);
        let mut bytes = out.strip_prefix(PREFACE).unwrap_or(&out);
        let mut frames = Vec::new();
        while bytes.len() >= HEAD_BYTES {
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
            let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
            // Content is sent by the owner, so a DATA frame is a head only.
            let length = if bytes[3] == 0 { 0 } else { length };
            let payload = bytes[HEAD_BYTES..HEAD_BYTES + length].to_vec();
            frames.push((bytes[3], bytes[4], stream, payload));
            bytes = &bytes[HEAD_BYTES + length..];
        }
        frames
    }

    /// Sends a GET; its key.
    fn ask(&mut self) -> usize {
        self.connection.open(&get(), 0, false, 7)
    }

    fn pieces(&mut self, most: usize) -> Vec<Piece> {
        std::iter::from_fn(|| self.connection.next_piece(most)).collect()
    }
}

fn joins(last: &str, text: &str) -> bool {
    text.as_bytes().get(1) == Some(&b':') && last.starts_with(&text[..2]) && !last.ends_with('.')
}

#[test]
fn rfc9113_3_4_each_end_begins_as_it_must() {
    let mut out = Vec::new();
    let mut client = Connection::<u32>::new(CLIENT);
    client.take_output(&mut out);
    assert!(out.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x0c\x04"));
    assert!(!client.may_open());
    out.clear();
    Connection::<u32>::new(ORIGIN).take_output(&mut out);
    assert_eq!(out[3], Kind::Settings as u8);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
    ] {
        let mut origin = Connection::<u32>::new(ORIGIN);
        let mut run = bytes;
        assert!(origin.next(&mut Frames::default(), &mut run).is_err());
    }
    // Neither DATA nor an acknowledgement comes before SETTINGS.
    for first in [
        content(1, 0, b""),
        frame(Kind::Ping, 0, 0, &[0; 8]),
        frame(Kind::Settings, flag::ACK, 0, &[]),
    ] {
        let mut end = End {
            connection: Connection::new(CLIENT),
            frames: Frames::default(),
        };
        assert_eq!(end.feed(&first), Err(ErrorCode::Protocol));
    }
}

/// An answer with everything in it: padding, priority, an interim head, trailers, continuation.
fn elaborate() -> Vec<u8> {
    let mut padded = vec![3, 0, 0, 0, 0, 9];
    padded.extend(block(&[(":status", "103"), ("link", "x")]));
    padded.extend([0; 3]);
    let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS;
    let mut bytes = frame(Kind::Headers, flags, 1, &padded);
    let final_head = block(&[(":status", "200"), ("content-length", "10"), ("a", "b")]);
    push_block(&mut bytes, 1, &final_head, false, 2);
    bytes.extend(content(1, 0, b"hello"));
    bytes.extend(frame(Kind::Unknown, 0xff, 1, b"whatever"));
    bytes.extend(frame(Kind::Priority, 0, 3, &[0; 5]));
    bytes.extend(content(1, flag::PADDED, b"\x02 worlpp"));
    bytes.extend(frame(Kind::Ping, 0, 0, b"12345678"));
    bytes.extend(content(1, 0, b""));
    bytes.extend(head(1, END, &[("grpc-status", "0"), ("x", "y")]));
    bytes
}

#[test]
fn rfc9113_8_1_an_answer_is_the_same_wherever_it_is_split() {
    let bytes = elaborate();
    for step in 1..=bytes.len() {
        let mut end = End::new(CLIENT, &[]);
        let key = end.ask();
        let shown = end.feed_by(&bytes, step);
        let expected = ["0=200", "0:hello worl", "0+2 trailers"].map(String::from);
        // Ten bytes were announced and ten came: nothing is wrong.
        assert_eq!(shown, Ok(expected.to_vec()), "{step}");
        end.sent().remove(0);
        assert_eq!(end.connection.finish(key, ErrorCode::Cancel), Some(7));
        assert!(end.sent().is_empty() && end.connection.open_count() == 0);
    }
}

#[test]
fn rfc9113_8_1_a_request_is_the_same_wherever_it_is_split() {
    let mut bytes = Vec::new();
    push_block(&mut bytes, 1, &get(), true, 3);
    bytes.extend(frame(Kind::Headers, flag::END_HEADERS, 3, &get()));
    bytes.extend(content(3, 0, b"abc"));
    bytes.extend(content(3, flag::END_STREAM, b""));
    for step in 1..=bytes.len() {
        let shown = End::new(ORIGIN, &[]).feed_by(&bytes, step);
        let expected = ["0?/a?b.", "1?/a?b", "1:abc."].map(String::from);
        assert_eq!(shown, Ok(expected.to_vec()), "{step}");
    }
}

#[test]
fn rfc9113_8_1_1_a_malformed_answer_costs_its_stream_and_nothing_else() {
    let status = [(":status", "200")];
    let long = [(":status", "200"), ("content-length", "3")];
    for bytes in [
        head(1, 0, &[("a", "b")]),
        head(1, END, &[(":status", "100")]),
        head(1, END, &long),
        [head(1, 0, &long), content(1, 0, b"1234")].concat(),
        [head(1, 0, &long), content(1, flag::END_STREAM, b"12")].concat(),
        [head(1, 0, &long), head(1, END, &[("a", "b")])].concat(),
        [head(1, 0, &status), head(1, 0, &[("a", "b")])].concat(),
        [head(1, 0, &status), head(1, END, &status)].concat(),
        [head(1, 0, &[(":status", "204")]), content(1, 0, b"x")].concat(),
        content(1, 0, b"x"),
    ] {
        let mut end = End::new(CLIENT, &[]);
        let (key, other) = (end.ask(), end.ask());
        end.sent();
        let shown = end.feed(&bytes).expect("no fault");
        assert_eq!(
            shown.last().map(String::as_str),
            Some("0 malformed"),
            "{shown:?}"
        );
        assert_eq!(end.sent(), [(Kind::Reset as u8, 0, 1, vec![0, 0, 0, 1])]);
        end.connection.finish(key, ErrorCode::Cancel);
        assert!(end.sent().is_empty());
        // What still comes for it is ignored, and its fields are decoded all the same.
        assert_eq!(
            end.feed(&[content(1, 0, b"x"), head(1, END, &status)].concat()),
            Ok(vec![])
        );
        let shown = end.feed(&head(3, END, &status));
        assert_eq!(shown, Ok(vec![format!("{other}=200.")]));
    }
}

#[test]
fn rfc9110_9_3_2_the_answer_to_head_has_a_length_and_no_content() {
    let long = [(":status", "200"), ("content-length", "3")];
    let mut end = End::new(CLIENT, &[]);
    end.connection.open(&get(), 0, true, 0);
    assert_eq!(end.feed(&head(1, END, &long)), Ok(vec!["0=200.".into()]));
    let mut end = End::new(CLIENT, &[]);
    end.connection.open(&get(), 0, true, 0);
    let shown = end.feed(&[head(1, 0, &long), content(1, flag::END_STREAM, b"123")].concat());
    assert_eq!(shown.expect("no fault")[1], "0 malformed");
}

/// What breaks the connection, as a client sees it with streams 1 (open) and 3 (over) behind it.
#[rustfmt::skip]
fn client_faults() -> Vec<(&'static str, ErrorCode, Vec<u8>)> {
    use ErrorCode::{Compression, FlowControl, FrameSize, Protocol, StreamClosed};
    let status = block(&[(":status", "200")]);
    let open = |stream| frame(Kind::Headers, 0, stream, &status);
    let number = |kind, stream, number| {
        let mut out = Vec::new();
        push_numbers(&mut out, kind, stream, &[number]);
        out
    };
    vec![
        ("4.2 long frame", FrameSize, frame(Kind::Unknown, 0, 0, &vec![0; FRAME_BYTES_MAX + 1])),
        ("4.3 bad block", Compression, frame(Kind::Headers, END, 1, &[0x80])),
        ("4.3 interrupted", Protocol, [open(1), content(1, 0, b"")].concat()),
        ("4.3 interrupted", Protocol, [open(1), frame(Kind::Ping, 0, 0, &[0; 8])].concat()),
        ("5.1 closed", StreamClosed, content(3, 0, b"x")),
        ("5.1 closed", StreamClosed, frame(Kind::Headers, END, 3, &status)),
        ("5.1 idle", Protocol, content(5, 0, b"x")),
        ("5.1 idle", Protocol, number(Kind::WindowUpdate, 5, 1)),
        ("5.1 idle", Protocol, number(Kind::Reset, 5, 0)),
        ("5.1.1 even", Protocol, frame(Kind::Headers, END, 2, &status)),
        ("6.1 stream 0", Protocol, content(0, 0, b"")),
        ("6.1 padding", Protocol, content(1, flag::PADDED, &[1])),
        ("6.2 stream 0", Protocol, frame(Kind::Headers, END, 0, &status)),
        ("6.2 padding", Protocol, frame(Kind::Headers, END | flag::PADDED, 1, &[9, 0])),
        ("6.3 stream 0", Protocol, frame(Kind::Priority, 0, 0, &[0; 5])),
        ("6.3 length", FrameSize, frame(Kind::Priority, 0, 1, &[0; 4])),
        ("6.4 stream 0", Protocol, number(Kind::Reset, 0, 0)),
        ("6.4 length", FrameSize, frame(Kind::Reset, 0, 1, &[0; 5])),
        ("6.5 stream", Protocol, frame(Kind::Settings, 0, 1, &[])),
        ("6.5 ack", FrameSize, frame(Kind::Settings, flag::ACK, 0, &[0; 6])),
        ("6.5 length", FrameSize, frame(Kind::Settings, 0, 0, &[0; 7])),
        ("6.6 push", Protocol, frame(Kind::PushPromise, END, 1, &[0; 4])),
        ("6.7 stream", Protocol, frame(Kind::Ping, 0, 1, &[0; 8])),
        ("6.7 length", FrameSize, frame(Kind::Ping, 0, 0, &[0; 7])),
        ("6.8 stream", Protocol, frame(Kind::GoAway, 0, 1, &[0; 8])),
        ("6.8 length", FrameSize, frame(Kind::GoAway, 0, 0, &[0; 7])),
        ("6.9 nothing", Protocol, number(Kind::WindowUpdate, 0, 0)),
        ("6.9 length", FrameSize, frame(Kind::WindowUpdate, 0, 1, &[0; 3])),
        ("6.9.1 overflow", FlowControl, number(Kind::WindowUpdate, 0, 0x7fff_ffff)),
        ("6.9.1 overflow", FlowControl, number(Kind::WindowUpdate, 1, 0x7fff_ffff)),
        ("6.9.2 overflow", FlowControl, settings(&[(4, 0x8000_0000)])),
        ("6.10 alone", Protocol, frame(Kind::Continuation, END, 1, &status)),
        ("6.10 other", Protocol, [open(1), frame(Kind::Continuation, 4, 3, b"")].concat()),
    ]
}

#[test]
fn rfc9113_5_4_1_a_frame_that_breaks_the_rules_ends_the_connection() {
    for (rule, code, bytes) in client_faults() {
        for step in [1, 10, bytes.len()] {
            let mut end = End::new(CLIENT, &[]);
            let (_, over) = (end.ask(), end.ask());
            end.feed(&head(3, END, &[(":status", "200")]))
                .expect("an answer");
            end.connection.finish(over, ErrorCode::Cancel);
            end.sent();
            assert_eq!(end.feed_by(&bytes, step), Err(code), "{rule}");
        }
    }
}

#[test]
fn rfc9113_5_1_1_requests_come_on_odd_streams_that_grow() {
    let request = |stream| frame(Kind::Headers, END, stream, &get());
    let mut end = End::new(ORIGIN, &[]);
    assert_eq!(end.feed(&request(5)), Ok(vec!["0?/a?b.".into()]));
    assert_eq!(end.feed(&request(2)), Err(ErrorCode::Protocol));
    let mut end = End::new(ORIGIN, &[]);
    end.feed(&request(5)).expect("a request");
    // Opening 5 has closed 3 for ever.
    assert_eq!(end.feed(&request(3)), Err(ErrorCode::StreamClosed));
}

#[test]
fn rfc9113_5_1_2_more_streams_than_were_allowed_are_refused() {
    let mut end = End::new(ORIGIN, &[]);
    let requests = (0..5).map(|at| frame(Kind::Headers, END, 2 * at + 1, &get()));
    let shown = end
        .feed(&requests.collect::<Vec<_>>().concat())
        .expect("no fault");
    assert_eq!(shown.len(), 4);
    assert_eq!(end.sent(), [(Kind::Reset as u8, 0, 9, vec![0, 0, 0, 7])]);
    end.connection
        .answer(0, &block(&[(":status", "200")]), 0, false);
    assert!(end.connection.finish(0, ErrorCode::NoError).is_some());
    assert_eq!(end.sent(), [(HEADERS, END, 1, vec![0x88])]);
    assert_eq!(
        end.feed(&frame(Kind::Headers, END, 11, &get())),
        Ok(vec!["0?/a?b.".into()])
    );
}

#[test]
fn rfc9113_5_1_2_a_client_keeps_within_the_peers_limit() {
    let mut end = End::new(CLIENT, &[(3, 2)]);
    let (first, _) = (end.ask(), end.ask());
    assert!(!end.connection.may_open());
    end.feed(&head(1, END, &[(":status", "200")]))
        .expect("an answer");
    assert!(!end.connection.may_open());
    end.connection.finish(first, ErrorCode::Cancel);
    assert!(end.connection.may_open());
    let ids: Vec<_> = end
        .sent()
        .into_iter()
        .map(|(_, _, stream, _)| stream)
        .collect();
    assert_eq!(ids, [1, 3]);
}

#[test]
fn rfc9113_6_8_streams_beyond_the_last_are_known() {
    let mut end = End::new(CLIENT, &[]);
    for lane in 0..3 {
        end.connection.open(&get(), 0, false, lane);
    }
    let mut bytes = Vec::new();
    push_numbers(&mut bytes, Kind::GoAway, 0, &[3, 0]);
    assert_eq!(end.feed(&bytes), Ok(vec!["leaving after 3".into()]));
    assert!(!end.connection.may_open());
    assert_eq!(end.connection.drop_above(3), [2]);
    assert_eq!(
        end.feed(&head(1, END, &[(":status", "200")])),
        Ok(vec!["0=200.".into()])
    );
    bytes.clear();
    push_numbers(&mut bytes, Kind::GoAway, 0, &[5, 0]);
    assert_eq!(end.feed(&bytes), Err(ErrorCode::Protocol));
}

#[test]
fn rfc9113_6_4_a_reset_ends_its_stream() {
    let mut end = End::new(CLIENT, &[]);
    let key = end.ask();
    end.sent();
    let mut bytes = Vec::new();
    push_numbers(&mut bytes, Kind::Reset, 1, &[8]);
    assert_eq!(end.feed(&bytes), Ok(vec!["0 reset 8".into()]));
    assert_eq!(end.connection.finish(key, ErrorCode::Cancel), Some(7));
    assert!(end.sent().is_empty());
    // One for a stream that is over is nothing.
    assert_eq!(end.feed(&bytes), Ok(vec![]));
}

#[test]
fn rfc9113_6_5_3_and_6_7_settings_and_pings_are_acknowledged() {
    let mut end = End::new(CLIENT, &[]);
    end.feed(&[settings(&[(3, 1)]), frame(Kind::Ping, 0, 0, b"abcdefgh")].concat())
        .expect("both");
    let ack = flag::ACK;
    let (settings, ping) = (Kind::Settings as u8, Kind::Ping as u8);
    assert_eq!(
        end.sent(),
        [
            (settings, ack, 0, vec![]),
            (ping, ack, 0, b"abcdefgh".to_vec())
        ]
    );
    end.feed(&frame(Kind::Ping, ack, 0, &[0; 8]))
        .expect("an answer to nothing");
    assert!(end.sent().is_empty());
}

#[test]
fn rfc9113_6_9_content_waits_for_both_windows_and_streams_take_turns() {
    let mut end = End::new(CLIENT, &[(4, 30)]);
    let (one, two) = (
        end.connection.open(&get(), 50, false, 0),
        end.connection.open(&get(), 10, false, 0),
    );
    let piece = |key, offset, length, last| Piece {
        key,
        offset,
        length,
        last,
    };
    let first = end.pieces(20);
    let expected = [
        piece(one, 0, 20, false),
        piece(two, 0, 10, true),
        piece(one, 20, 10, false),
    ];
    assert_eq!(first, expected);
    let flags: Vec<_> = end.sent().iter().map(|frame| frame.1).collect();
    assert_eq!(flags, [4, 4, 0, flag::END_STREAM, 0]);
    let mut bytes = Vec::new();
    push_numbers(&mut bytes, Kind::WindowUpdate, 1, &[5]);
    end.feed(&bytes).expect("more");
    assert_eq!(end.pieces(99), [piece(one, 30, 5, false)]);
    // A larger initial window counts for streams that are open (§6.9.2).
    end.feed(&settings(&[(4, 100)])).expect("more");
    assert_eq!(end.pieces(99), [piece(one, 35, 15, true)]);
}

#[test]
fn rfc9113_6_9_1_the_window_of_the_connection_holds_back_all_streams() {
    let mut end = End::new(CLIENT, &[(4, 1 << 20)]);
    let keys = [0; 2].map(|_| end.connection.open(&get(), 50_000, false, 0));
    let sent: usize = end
        .pieces(usize::MAX)
        .iter()
        .map(|piece| piece.length)
        .sum();
    assert_eq!(sent, WINDOW_INITIAL as usize);
    end.connection.finish(keys[0], ErrorCode::Cancel);
    let mut bytes = Vec::new();
    push_numbers(&mut bytes, Kind::WindowUpdate, 0, &[100_000]);
    end.feed(&bytes).expect("more");
    let rest = end.pieces(usize::MAX);
    assert!(rest.iter().all(|piece| piece.key == keys[1]));
    assert!(rest.last().expect("the rest").last);
}

#[test]
fn rfc9113_6_9_what_is_received_is_given_back_in_large_steps_and_more_is_an_error() {
    let mut end = End::new(CLIENT, &[]);
    end.ask();
    end.sent();
    end.feed(&head(1, 0, &[(":status", "200")]))
        .expect("a head");
    let full = content(1, 0, &[0; FRAME_BYTES_MAX]);
    let frames = WINDOW as usize / 2 / FRAME_BYTES_MAX;
    for _ in 0..frames {
        end.feed(&full).expect("content");
    }
    assert!(end.sent().is_empty());
    end.feed(&full).expect("content");
    let update = (WINDOW / 2 + FRAME_BYTES_MAX as u32).to_be_bytes().to_vec();
    let kind = Kind::WindowUpdate as u8;
    assert_eq!(
        end.sent(),
        [(kind, 0, 0, update.clone()), (kind, 0, 1, update)]
    );
}

#[test]
fn rfc9113_8_1_trailers_follow_the_content() {
    let mut end = End::new(ORIGIN, &[]);
    end.feed(&frame(Kind::Headers, END, 1, &get()))
        .expect("a request");
    end.connection
        .answer(0, &block(&[(":status", "200")]), 3, true);
    end.connection.trailers(0, &[0x88]);
    assert_eq!(end.pieces(99).len(), 1);
    end.connection.trailers(0, &[0x89]);
    let kinds: Vec<_> = end.sent().iter().map(|frame| (frame.0, frame.1)).collect();
    // The trailers that came too early were not sent.
    assert_eq!(
        kinds,
        [(HEADERS, flag::END_HEADERS), (0, 0), (HEADERS, END)]
    );
    end.connection.finish(0, ErrorCode::NoError);
    assert!(end.sent().is_empty());
}

#[test]
fn rfc9113_6_10_a_field_block_has_a_limit_in_bytes_and_frames() {
    for payload in [&[][..], &[0; 16_000]] {
        let mut end = End::new(CLIENT, &[]);
        end.ask();
        let mut bytes = frame(Kind::Headers, 0, 1, payload);
        for _ in 0..BLOCK_FRAMES_MAX {
            bytes.extend(frame(Kind::Continuation, 0, 1, payload));
        }
        assert_eq!(end.feed(&bytes), Err(ErrorCode::EnhanceYourCalm));
    }
}

#[test]
fn rfc9113_6_2_a_long_block_is_sent_in_several_frames() {
    let mut end = End::new(CLIENT, &[]);
    let long = "x".repeat(40_000);
    let fields = [(":method", "GET"), ("long", &long)];
    end.connection.open(&block(&fields), 0, false, 0);
    let frames = end.sent();
    let flags: Vec<_> = frames.iter().map(|frame| (frame.0, frame.1)).collect();
    let continuation = Kind::Continuation as u8;
    let last = frames.len() - 1;
    assert_eq!(flags[0], (HEADERS, flag::END_STREAM));
    assert!(
        flags[1..last]
            .iter()
            .all(|&flags| flags == (continuation, 0))
            && last > 1
    );
    assert_eq!(flags[last], (continuation, flag::END_HEADERS));
}
