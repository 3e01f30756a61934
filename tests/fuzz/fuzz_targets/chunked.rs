//! Chunked bodies. What must hold for any bytes: no panic; the same content, length and error at
//! once and at any splits; what `relay` forwards is a body with the same content and without
//! extensions or trailers.

#![no_main]

use engine::http::h1::chunked::{ChunkError, Decoder, Event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (steps, bytes) = input;
    let whole = decode(bytes, &[]);
    assert_eq!(decode(bytes, &steps), whole);
    let (forwarded, end) = relay(bytes, &steps);
    assert_eq!(
        end,
        whole.as_ref().map(|(_, end)| *end).map_err(|error| *error)
    );
    let content = whole.map(|(content, _)| content);
    let sent = decode(&forwarded, &[]);
    if let (Ok(content), Ok(Some(_))) = (&content, &end) {
        assert_eq!(sent, Ok((content.clone(), Some(forwarded.len()))));
    } else {
        // What went out before the error or the end of input is the beginning of a body.
        assert!(
            matches!(sent, Ok((_, None))),
            "{}",
            forwarded.escape_ascii()
        );
    }
});

/// Cuts `bytes` into pieces of the given lengths.
fn pieces<'a>(bytes: &'a [u8], steps: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut steps = steps.iter();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = steps.next().map_or(rest.len(), |&step| usize::from(step));
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        rest = tail;
        Some(piece)
    })
}

/// The content, and where the body ended.
fn decode(bytes: &[u8], steps: &[u8]) -> Result<(Vec<u8>, Option<usize>), ChunkError> {
    let mut decoder = Decoder::new();
    let mut content = Vec::new();
    let mut at = 0;
    for mut piece in pieces(bytes, steps) {
        while !piece.is_empty() {
            let consumed = match decoder.decode(piece)? {
                Event::Data { skip, len } => {
                    content.extend_from_slice(&piece[skip..skip + len]);
                    skip + len
                }
                Event::Partial { consumed } => consumed,
                Event::End { consumed } => return Ok((content, Some(at + consumed))),
            };
            assert!(consumed > 0);
            at += consumed;
            piece = &piece[consumed..];
        }
    }
    Ok((content, None))
}

/// What is forwarded with its framing, and where the body ended.
fn relay(bytes: &[u8], steps: &[u8]) -> (Vec<u8>, Result<Option<usize>, ChunkError>) {
    let mut decoder = Decoder::new();
    let mut forwarded = Vec::new();
    let mut at = 0;
    for mut piece in pieces(bytes, steps) {
        while !piece.is_empty() {
            let run = match decoder.relay(piece) {
                Ok(run) => run,
                Err(error) => return (forwarded, Err(error)),
            };
            let consumed = run.skip + run.len;
            assert!(consumed > 0);
            forwarded.extend_from_slice(&piece[run.skip..consumed]);
            at += consumed;
            if run.is_end {
                return (forwarded, Ok(Some(at)));
            }
            piece = &piece[consumed..];
        }
    }
    (forwarded, Ok(None))
}
