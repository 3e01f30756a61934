//! The admin interface over real sockets, with mailboxes that answer like shards.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::SystemTime;

use flume::Receiver;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_blocking};

use super::*;
use crate::balance::{ClusterId, ClusterReport, EndpointId, EndpointReport};
use crate::config::{self, Config};
use crate::control::collect::Collector;
use crate::control::discovery::Discovery;
use crate::control::health::HealthChecks;
use crate::control::jwks::KeySets;
use crate::control::log::Level;
use crate::control::reload::{self, generations::Generations};
use crate::control::signals::Lifecycle;
use crate::proxy::Snapshot;
use crate::record::{ListenerId, Outcome, Recorder, RouteId, SeriesNames};
use crate::shard::{ClusterCounts, ShardCommand, ShardReport};

/// A view of the embedded configuration, and the mailboxes of its shards.
fn view(shard_count: usize) -> (Rc<View>, Vec<Receiver<ShardCommand>>) {
    view_of(config::embedded(), shard_count)
}

fn view_of(config: Config, shard_count: usize) -> (Rc<View>, Vec<Receiver<ShardCommand>>) {
    let (shards, mailboxes) = (0..shard_count).map(|_| flume::bounded(8)).unzip();
    let names = SeriesNames::compile(&config);
    let snapshot = Snapshot::compile(&config).expect("no files");
    let log = Log::new(Level::Error);
    let view = View {
        checks: Rc::new(HealthChecks::new(Rc::default(), Vec::new(), log)),
        key_sets: Rc::new(KeySets::new(Vec::new(), log)),
        discovery: Discovery::none(),
        workload: None,
        is_accepting: Cell::new(true),
        collector: Collector::new(shards, names),
        generations: Generations::new(reload::first(config.clone(), config, Arc::new(snapshot))),
        lifecycle: Cell::new(Lifecycle::Serving),
        drain_bell: Notify::new(),
        started: (SystemTime::now(), clock::now()),
        log,
    };
    (Rc::new(view), mailboxes)
}

/// Answers like shard `number`, with one exchange recorded since the last answer.
async fn act_as_shard(number: usize, mailbox: Receiver<ShardCommand>) {
    let counts = SeriesNames::compile(&config::embedded()).counts();
    let mut recorder = Recorder::new(number as u32, counts);
    while let Ok(ShardCommand::Scrape {
        report: answer,
        with_clusters,
        ..
    }) = mailbox.recv_async().await
    {
        recorder.exchange_started(ListenerId(0));
        let mut outcome = Outcome::new(ListenerId(0));
        outcome.route = Some(RouteId(0));
        outcome.cluster = Some(ClusterId(0));
        outcome.status = 200;
        outcome.times.head_received = clock::Instant::from_nanos(1_000_000);
        outcome.times.last_byte = clock::Instant::from_nanos(3_000_000);
        recorder.record(&outcome);
        let record = recorder.take(Box::default());
        let _asker_left = answer.send(ShardReport {
            shard: number,
            record,
            strains: Vec::new(),
            clusters: with_clusters.then(|| ClusterCounts {
                balancers: vec![cluster_report()],
                circuits: Vec::new(),
            }),
            connections: 1,
        });
    }
}

/// What a balancer would report: 10 attempts on its one endpoint.
fn cluster_report() -> ClusterReport {
    let endpoint = EndpointReport {
        requests: 10,
        failures: 2,
        active: 3,
        connections: 4,
        ..EndpointReport::new(EndpointId(0))
    };
    ClusterReport {
        id: ClusterId(0),
        active: 3,
        unavailable: 0,
        panics: 0,
        panicking_shards: 0,
        endpoints: vec![endpoint],
    }
}

/// Runs `test` against an admin interface whose shards answer, but for the last `silent` ones.
fn run<T>(shards: usize, silent: usize, test: impl AsyncFnOnce(SocketAddr, Rc<View>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), async {
        let (view, mut mailboxes) = view(shards);
        // Held, so that a silent shard is stuck rather than gone.
        let _stuck = mailboxes.split_off(shards - silent);
        for (number, mailbox) in mailboxes.into_iter().enumerate() {
            spawn_local(act_as_shard(number, mailbox));
        }
        let collecting = Rc::clone(&view);
        spawn_local(async move { collecting.collector.run().await });
        let address = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        let admin = Admin::bind(&address, false).expect("bound");
        let Socket::Tcp(socket) = &admin.socket else {
            panic!("TCP")
        };
        let address = socket.local_addr().expect("an address");
        spawn_local(admin.serve(Rc::clone(&view)));
        test(address, view).await
    })
}

/// One request over a blocking socket, away from the thread that serves it.
async fn exchange<S: Read + Write + Send + 'static>(mut stream: S, request: &str) -> String {
    let request = request.to_owned();
    let answer = spawn_blocking(move || {
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("answered and closed");
        answer
    });
    answer.await.expect("an answer")
}

async fn ask(address: SocketAddr, request_line: &str) -> String {
    let stream = TcpStream::connect(address).expect("connected");
    let request = format!("{request_line} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    exchange(stream, &request).await
}

#[test]
fn every_page_answers_with_what_the_shards_said() {
    run(2, 0, async |address, _| {
        for (path, content_type, part) in [
            ("/", "text/plain", "GET  /metrics"),
            ("/livez", "text/plain", "alive"),
            ("/readyz", "text/plain", "ready"),
            (
                "/metrics",
                "text/plain; version=0.0.4",
                "weft_listener_requests_total{",
            ),
            ("/stats", "text/plain", "web"),
            ("/clusters", "application/json", "\"builtin:echo\""),
            ("/clusters", "application/json", "\"attempts\": 20"),
            ("/listeners", "application/json", "\"127.0.0.1:8080\""),
            ("/config_dump", "application/json", "\"drain\""),
            ("/histograms", "text/plain", "Total count"),
            (
                "/histograms?format=hlog",
                "text/plain",
                "Tag=cluster.echo.total,",
            ),
            (
                "/histograms?format=json&route=echo",
                "application/json",
                "\"echo\"",
            ),
            (
                "/histograms?listener=web&phase=total",
                "text/plain",
                "Total count",
            ),
        ] {
            let answer = ask(address, &format!("GET {path}")).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n"),
                "{path}: {answer}"
            );
            assert!(
                answer.contains(&format!("content-type: {content_type}")),
                "{path}: {answer}"
            );
            assert!(answer.contains(part), "{path} has no {part:?}: {answer}");
            assert!(!answer.contains("weft-silent-shards"), "{path}: {answer}");
        }
        let answer = ask(address, "HEAD /stats").await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    });
}

/// The embedded configuration with so many clusters of a hundred endpoints more.
fn with_clusters(count: u16) -> Config {
    let mut config = config::embedded();
    let first = config.clusters[0].clone();
    config.clusters.extend((0..count).map(|number| {
        let endpoint = |port: u16| config::Endpoint {
            address: config::EndpointAddress::Tcp(([127, 0, 0, 1], 1000 + port).into()),
            ..first.endpoints[0].clone()
        };
        config::Cluster {
            name: format!("more-{number}").into(),
            endpoints: (0..100).map(endpoint).collect(),
            ..first.clone()
        }
    }));
    config
}

#[test]
fn clusters_are_told_in_pieces_with_other_work_between_them() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), async {
        let (view, _mailboxes) = view_of(with_clusters(200), 0);
        let page = clusters::Clusters::new(&view, None).expect("all of them");
        let turns = Rc::new(Cell::new(0));
        let counting = Rc::clone(&turns);
        let other_work = spawn_local(async move {
            loop {
                counting.set(counting.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        let mut sent = page.send();
        let (mut page, mut pieces) = (Vec::new(), 0);
        while let Some(frame) = sent.frame().await {
            let piece = frame.expect("it does not fail").into_data().expect("data");
            // A piece and the cluster that made it one.
            assert!(piece.len() < 128 << 10, "{}", piece.len());
            page.extend_from_slice(&piece);
            pieces += 1;
        }
        other_work.abort();
        assert!(
            pieces > 100 && turns.get() >= pieces - 1,
            "{pieces}, {turns:?}"
        );
        let page: Value = serde_json::from_slice(&page).expect("JSON");
        let page = page.as_array().expect("an array");
        assert_eq!(page.len(), 201);
        assert_eq!(page[200]["endpoints"].as_array().map(Vec::len), Some(100));
        let one = clusters::Clusters::new(&view, Some("more-7")).expect("there is one");
        let one = one.send().collect().await;
        let one = one.expect("it does not fail").to_bytes();
        let one: Value = serde_json::from_slice(&one).expect("JSON");
        assert_eq!(one.as_array().map(Vec::len), Some(1));
        assert_eq!(one[0]["name"], "more-7");
    });
}

#[test]
fn figures_are_the_sum_of_all_shards_since_the_start() {
    run(3, 0, async |address, view| {
        for scrape in 1..=4 {
            ask(address, "GET /metrics").await;
            let ledger = view.collector.ledger();
            let requests = ledger.total().listeners[0].counters.requests_all();
            assert_eq!(requests, 3 * scrape);
            assert_eq!(ledger.shards().len(), 3);
        }
    });
}

#[test]
fn a_silent_shard_is_named_and_delays_its_page_by_a_bounded_time() {
    run(3, 1, async |address, _| {
        let begun = clock::now();
        let (first, second) = tokio::join!(ask(address, "GET /stats"), ask(address, "GET /stats"));
        for answer in [first, second] {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains("weft-silent-shards: 2\r\n"), "{answer}");
        }
        assert!(clock::now().since(begun) < 3 * crate::limits::SCRAPE_PATIENCE);
        let answer = ask(address, "GET /livez").await;
        assert!(
            answer.starts_with("HTTP/1.1 200"),
            "stuck is not dead: {answer}"
        );
    });
}

#[test]
fn what_is_not_a_page_is_refused_with_its_reason() {
    run(1, 0, async |address, _| {
        for (line, status, part) in [
            ("GET /nothing", "404", "/ lists them"),
            ("POST /stats", "405", "allow: GET, HEAD\r\n"),
            ("GET /drain", "405", "allow: POST\r\n"),
            ("GET /histograms?format=xml", "400", "hgrm, hlog or json"),
            ("GET /histograms?phase=none", "400", "first_byte"),
            ("GET /histograms?listener=other", "400", "no such listener"),
            ("GET /histograms?route=other", "400", "no such route"),
            ("GET /histograms?cluster=other", "400", "no such cluster"),
            ("GET /clusters?cluster=other", "400", "no such cluster"),
        ] {
            let answer = ask(address, line).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{line}: {answer}"
            );
            assert!(answer.contains(part), "{line}: {answer}");
        }
        let stream = TcpStream::connect(address).expect("connected");
        let rebound = "GET /stats HTTP/1.1\r\nHost: rebound.example\r\n\r\n";
        let answer = exchange(stream, rebound).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    });
}

#[test]
fn post_drain_rings_the_bell_and_ready_then_says_no() {
    run(1, 0, async |address, view| {
        let answer = ask(address, "POST /drain").await;
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        view.drain_bell.notified().await;
        view.lifecycle.set(Lifecycle::Draining);
        assert!(
            ask(address, "GET /readyz")
                .await
                .starts_with("HTTP/1.1 503")
        );
        assert!(ask(address, "GET /livez").await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_dead_shard_makes_the_process_neither_live_nor_ready() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let (view, mailboxes) = view(2);
        drop(mailboxes);
        for path in ["/livez", "/readyz"] {
            let request = Request::get(path).body(()).expect("a request");
            let answer = answer::answer(&view, &request).await;
            assert_eq!(answer.status, 503, "{path}");
            let body = answer.body.collect().await.expect("it does not fail");
            assert_eq!(&*body.to_bytes(), b"shards ended: [0, 1]\n");
        }
    });
}

#[test]
fn large_heads_are_refused_and_slow_ones_do_not_hold_up_others() {
    run(1, 0, async |address, _| {
        let mut slow = TcpStream::connect(address).expect("connected");
        slow.write_all(b"GET /li").expect("sent");
        let stream = TcpStream::connect(address).expect("connected");
        let field = "a".repeat(ADMIN_HEAD_BYTES);
        let answer = exchange(stream, &format!("GET / HTTP/1.1\r\nX: {field}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        assert!(ask(address, "GET /livez").await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_unix_socket_is_private_replaces_a_stale_one_and_is_removed() {
    let path = std::env::temp_dir().join(format!("weft-admin-{}.sock", std::process::id()));
    let address = Address::Unix(path.clone());
    drop(unix::UnixListener::bind(&path).expect("a socket that nobody serves any more"));
    let admin = Admin::bind(&address, false).expect("replaces it");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = Admin::bind(&address, false).expect_err("somebody listens");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), async {
        let (view, _mailboxes) = view(1);
        let serving = spawn_local(admin.serve(view));
        let stream = UnixStream::connect(&path).expect("connected");
        let answer = exchange(stream, "GET /livez HTTP/1.1\r\nHost: any\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serving.abort();
        assert!(serving.await.is_err_and(|error| error.is_cancelled()));
    });
    assert!(!path.exists());
}
