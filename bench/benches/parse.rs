//! Cost of reading and writing messages, step `http`.
//!
//! Heads as small clients and as browsers send them, a response as application servers send it, a
//! chunked body of 16 KiB; throughput is in bytes of input. All storage is reused, as the proxy
//! does.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::http::h1::chunked::{self, Decoder, Event};
use engine::http::h1::encode::{self, RequestEdits, ResponseEdits};
use engine::http::h1::{request, response};
use engine::http::{Forwarded, HeadLimits, Method, RequestHead, ResponseHead, Scheme};

const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";

const BROWSER: &[u8] = b"GET /shop/articles/4711?sort=price&page=2 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: https://www.example.com/shop/articles?page=1\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: id=7f0d4a2c9be14f7e8a; theme=dark; consent=all; cart=3f2c1b0a99887766\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.29.4\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-cache\r\n\
    ETag: \"5f2c-1a2b3c\"\r\n\
    Vary: Accept-Encoding\r\n\r\n";

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let limits = HeadLimits::default();
    let forwarded = RequestEdits {
        forwarded: Some(Forwarded {
            client: Some([192, 0, 2, 7].into()),
            scheme: Scheme::Https,
            trusted_hops: 0,
            is_proved: false,
        }),
        via: Some(b"weft"),
        request_id: Some(b"0123456789abcdef"),
        ..RequestEdits::default()
    };
    for (name, bytes) in [("small", SMALL), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut head = RequestHead::new();
        group.bench_function(format!("parse/{name}"), |bencher| {
            bencher.iter(|| request::parse(black_box(bytes), &limits, &mut head));
        });
        let mut out = Vec::new();
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                encode::request(&mut out, &black_box(&head).view(bytes), &forwarded);
                out.len()
            });
        });
    }
    group.finish();
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("response");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    let limits = HeadLimits::default();
    let mut head = ResponseHead::new();
    group.bench_function("parse", |bencher| {
        bencher
            .iter(|| response::parse(black_box(RESPONSE), &limits, Method::Get, &mut head).is_ok());
    });
    let mut out = Vec::new();
    let edits = ResponseEdits {
        via: Some(b"weft"),
        ..ResponseEdits::default()
    };
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode::response(&mut out, &black_box(&head).view(RESPONSE), &edits);
            out.len()
        });
    });
    group.finish();
}

fn chunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunked");
    for chunk_bytes in [16, 1024, 16 * 1024] {
        let body = chunked_body(16 * 1024, chunk_bytes);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("decode/{chunk_bytes}"), |bencher| {
            bencher.iter(|| decode(black_box(&body)));
        });
        group.bench_function(format!("relay/{chunk_bytes}"), |bencher| {
            bencher.iter(|| Decoder::new().relay(black_box(&body)));
        });
    }
    group.finish();
}

/// Bytes of content in a chunked body.
fn decode(mut bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new();
    let mut content = 0;
    while let Ok(Event::Data { skip, len }) = decoder.decode(bytes) {
        content += len;
        bytes = bytes.get(skip + len..).unwrap_or_default();
    }
    assert!(decoder.is_done());
    content
}

fn chunked_body(bytes: usize, chunk_bytes: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..bytes / chunk_bytes {
        chunked::write_size(&mut body, chunk_bytes);
        body.extend(std::iter::repeat_n(b'x', chunk_bytes));
        body.extend_from_slice(chunked::DATA_END);
    }
    body.extend_from_slice(chunked::BODY_END);
    body
}

criterion_group!(parse, requests, responses, chunks);
criterion_main!(parse);
