//! Steps 4 to 9 together: many at once, and everybody gets their own answer.

use std::thread;

use crate::harness::{Client, Origin, Peer, Proxy, Setup, dice::Dice};

/// Answers with the target and the content it got, in one of several framings; now and then the
/// last answer of a connection.
fn answer(peer: &mut Peer) {
    let mut dice = Dice::new(peer.number() as u64);
    while let Some(request) = peer.request() {
        let text = format!("{} {}", request.target(), request.text());
        let length = text.len();
        let sent = match dice.below(8) {
            0 => {
                peer.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}"));
                return;
            }
            1 => {
                let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
                peer.send(head);
                return;
            }
            2..5 => peer.send(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{text}\r\n0\r\n\r\n"
            )),
            _ => peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}")),
        };
        if !sent {
            return;
        }
    }
}

/// One client: requests of every kind, some pipelined, some abandoned.
fn converse(proxy: &Proxy, number: u64) {
    let mut dice = Dice::new(number);
    let mut client = proxy.connect();
    for turn in 0..150 {
        let target = format!("/{number}/{turn}");
        let content = "x".repeat(dice.below(3000));
        let length = content.len();
        let sized = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{content}"
        );
        match dice.below(10) {
            0 => {
                // Leaves with the answer on its way.
                client.send(&sized);
                client = proxy.connect();
            }
            1 => {
                client.send(format!("{sized}GET {target}/b HTTP/1.1\r\nHost: a\r\n\r\n"));
                assert_eq!(client.response().text(), format!("{target} {content}"));
                assert_eq!(client.response().text(), format!("{target}/b "));
            }
            2 => {
                let chunked = format!(
                    "POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                     4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n"
                );
                client.send_in_pieces(chunked.as_bytes(), 1 + number as usize % 40);
                assert_eq!(client.response().text(), format!("{target} abcdefg"));
            }
            3..6 => assert_eq!(client.get(&target).text(), format!("{target} ")),
            _ => assert_eq!(
                client.exchange(&sized).text(),
                format!("{target} {content}")
            ),
        }
    }
}

#[test]
fn nobody_gets_anothers_answer() {
    let origins = [Origin::forgetful(answer), Origin::forgetful(answer)];
    let setup = Setup::new()
        .cluster("origin", &origins.each_ref().map(Origin::address))
        .shards(2)
        .listener("limits.requests_per_connection = \"unlimited\"");
    let proxy = Proxy::start(&setup);
    thread::scope(|scope| {
        for number in 0..24 {
            let proxy = &proxy;
            scope.spawn(move || converse(proxy, number));
        }
    });
    assert_eq!(
        proxy.metric("weft_listener_requests_total", "code_class=\"5xx\""),
        0.0
    );
}

#[test]
fn every_exchange_is_recorded_once() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).shards(2));
    thread::scope(|scope| {
        for _ in 0..8 {
            let address = proxy.address();
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..100 {
                    assert_eq!(client.get("/").status(), 200);
                }
            });
        }
    });
    for scope in ["listener", "route", "cluster", "shard"] {
        let name = format!("weft_{scope}_requests_total");
        proxy.expect_count(&name, "", 800);
    }
    let total = "phase=\"total\"";
    proxy.expect_count("weft_listener_duration_seconds_count", total, 800);
}
