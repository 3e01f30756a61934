//! `loadgen run` against its own origin: are the figures what is known to be true?
//!
//! Times on a shared machine are only bounded from below (a delay that was ordered cannot be
//! missing) and generously from above; counts are exact.

mod harness;

use std::time::Duration;

use harness::log::sum_of_series;
use harness::{Origin, Run, pause, run, scratch};
use rustix::process::Signal;

const P50: &str = "percentiles_ns/50";
const P99: &str = "percentiles_ns/99";

#[test]
fn a_known_delay_is_measured() {
    let origin = Origin::start(&["--delay", "20ms"]);
    let open = run(&origin.url("/"), &["--rate", "250", "--duration", "2s"]);
    open.assert_answered();
    let closed = run(
        &origin.url("/"),
        &["--connections", "4", "--duration", "1s"],
    );
    closed.assert_answered();
    let delay = Duration::from_millis(20);
    for measured in [&open, &closed] {
        assert!(measured.time("response_time/min_ns") >= delay);
        assert!(measured.time(&format!("response_time/{P50}")) < 8 * delay);
    }
    assert!(open.time("service_time/min_ns") >= delay);
    assert!(closed.get("service_time").is_null() && closed.get("send_lag").is_null());
    // Four connections that wait 20 ms each time cannot do more in a second.
    assert!(closed.count("requests/answered") <= 4 * 50 + 4);
}

#[test]
fn the_rate_is_met_and_every_request_is_accounted_for() {
    let origin = Origin::start(&[]);
    for (rate, threads) in [("1000", "1"), ("333.3", "2")] {
        let options = [
            "--rate",
            rate,
            "-d",
            "3s",
            "--warmup",
            "200ms",
            "--threads",
            threads,
        ];
        let measured = run(&origin.url("/"), &options);
        measured.assert_answered();
        let due = measured.count("requests/due") as f64;
        let asked = 3.0 * rate.parse::<f64>().expect("a rate");
        // One request of rounding at each end of the measured time.
        assert!((due - asked).abs() <= 1.0, "{due} of {asked}");
        let intervals = measured.get("intervals").as_array().expect("a list");
        let answered = intervals
            .iter()
            .filter_map(|interval| interval["answered"].as_u64());
        assert_eq!(answered.sum::<u64>() as f64, due);
        assert_eq!(measured.count("send_lag/count") as f64, due);
    }
}

#[test]
fn what_is_unanswered_at_the_end_counts_at_its_age() {
    let origin = Origin::start(&[]);
    let options = ["--rate", "50", "-c", "2", "-d", "1s", "--grace", "0s"];
    let measured = run(&origin.url("/?delay=30s"), &options);
    assert_eq!(measured.code, 2);
    assert_eq!(measured.count("requests/due"), 50);
    assert_eq!(measured.count("requests/unanswered"), 50);
    assert_eq!(measured.count("response_time/count"), 50);
    // Due every 20 ms from the first on; the first is a second old at the end, the median half.
    assert!(measured.time("response_time/max_ns") >= Duration::from_millis(999));
    assert!(measured.time(&format!("response_time/{P50}")) >= Duration::from_millis(499));
    // Two were sent and none came back.
    assert_eq!(measured.count("service_time/count"), 2);
}

#[test]
fn wrong_answers_are_failures_and_have_no_time() {
    let origin = Origin::start(&["--status", "200:0.5,503:0.5"]);
    let measured = run(&origin.url("/"), &["--rate", "400", "-d", "1s"]);
    assert_eq!(measured.code, 2);
    let (answered, wrong) = (
        measured.count("requests/answered"),
        measured.count("errors/status"),
    );
    assert_eq!(answered + wrong, 400);
    assert!(answered > 100 && wrong > 100, "{answered} and {wrong}");
    assert_eq!(measured.count("response_time/count"), answered);
    assert_eq!(measured.count("statuses/503"), wrong);
    let tolerant = ["--rate", "400", "-d", "1s", "--expect-status", "200,503"];
    run(&origin.url("/"), &tolerant).assert_answered();
}

#[test]
fn length_and_hash_are_checked() {
    let origin = Origin::start(&[]);
    let echo = origin.url("/?echo=1");
    let post = [
        "-d",
        "300ms",
        "-c",
        "2",
        "-X",
        "POST",
        "--body",
        "hello world",
    ];
    let with = |more: &[&str]| run(&echo, &[&post[..], more].concat());
    let hash = format!("{:08x}", crc32fast::hash(b"11 0d4a1185\n"));
    with(&["--expect-length", "12", "--expect-hash", &hash]).assert_answered();
    let short = with(&["--expect-length", "11"]);
    assert_eq!((short.code, short.count("requests/answered")), (2, 0));
    assert_eq!(short.count("errors/length"), short.count("requests/due"));
    let other = with(&["--expect-hash", "00000000"]);
    assert_eq!(
        (other.code, other.count("errors/hash")),
        (2, other.count("requests/due"))
    );
    // The same through chunks: the hash is the content's, not the framing's.
    let sized = origin.url("/?size=100000");
    let body = plain_get(&origin, "/?size=100000");
    let hash = format!("{:08x}", crc32fast::hash(&body));
    for url in [sized.clone(), format!("{sized}&chunked=1")] {
        let options = ["-d", "300ms", "-c", "2", "--expect-hash", &hash];
        run(&url, &options).assert_answered();
    }
}

/// The body of an answer, read without this program's parser.
fn plain_get(origin: &Origin, path: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(origin.address()).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let head = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head");
    answer.split_off(head + 4)
}

#[test]
fn timeouts_count_at_their_age() {
    let origin = Origin::start(&[]);
    let options = ["-c", "2", "-d", "1s", "--timeout", "200ms"];
    let measured = run(&origin.url("/?delay=30s"), &options);
    assert_eq!(measured.code, 2);
    let timeouts = measured.count("errors/timeout");
    assert!((2..=10).contains(&timeouts), "{timeouts}");
    assert_eq!(measured.count("response_time/count"), timeouts);
    assert!(measured.time("response_time/min_ns") >= Duration::from_millis(200));
}

#[test]
fn a_closing_origin_is_connected_to_again() {
    let origin = Origin::start(&["--close-probability", "1"]);
    let open = run(&origin.url("/"), &["--rate", "200", "-c", "4", "-d", "1s"]);
    open.assert_answered();
    let closed = run(&origin.url("/"), &["-c", "2", "-d", "300ms"]);
    closed.assert_answered();
    let (ended_well, told) = origin.drain();
    let requests = open.count("requests/due") + closed.count("requests/due");
    assert!(
        ended_well && told.starts_with(&format!("{requests} requests on ")),
        "{told}"
    );
}

#[test]
fn a_target_that_dies_leaves_failures_and_no_gaps() {
    let origin = Origin::start(&[]);
    let running = Run::start(&origin.url("/"), &["--rate", "200", "-c", "4", "-d", "2s"]);
    pause(Duration::from_secs(1));
    origin.signal(Signal::KILL);
    let measured = running.result();
    assert_eq!(measured.code, 2);
    assert_eq!(measured.count("requests/due"), 400);
    assert!(measured.count("errors/connect") > 50);
    assert_eq!(measured.count("requests/unanswered"), 0);
}

#[test]
fn an_interrupted_run_reports_what_it_has() {
    let origin = Origin::start(&[]);
    let running = Run::start(&origin.url("/"), &["--rate", "100", "-d", "60s"]);
    pause(Duration::from_millis(1_500));
    running.signal(Signal::INT);
    let measured = running.result();
    measured.assert_answered();
    assert_eq!(measured.get("interrupted"), true);
    assert!((20..=1_000).contains(&measured.count("requests/due")));
}

#[test]
fn usage_errors_and_dead_targets_exit_with_1() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", free.local_addr().expect("an address"));
    drop(free);
    let refused = run(&url, &["-c", "2"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.complaint.contains("cannot connect"),
        "{}",
        refused.complaint
    );
    assert_eq!(run("wss://h/", &[]).code, 1);
    assert_eq!(run(&url, &["--rate", "fast"]).code, 1);
    let nowhere = scratch("no-such-folder").join("file");
    let nowhere = nowhere.to_str().expect("a path");
    assert_eq!(run(&url, &["--hgrm", nowhere]).code, 1);
}

#[test]
fn conditions_that_fail_a_run_exit_with_2_and_say_what_was_measured() {
    let origin = Origin::start(&["--delay", "5ms"]);
    let broken = run(
        &origin.url("/"),
        &[
            "-c",
            "2",
            "-d",
            "500ms",
            "--fail-if",
            "p50>1ms",
            "--fail-if",
            "rate>1M",
        ],
    );
    assert_eq!(broken.code, 2);
    let reasons = broken.get("broken").as_array().expect("a list");
    let reason = reasons.first().and_then(|reason| reason.as_str());
    let reason = reason.expect("a sentence");
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(
        reason.starts_with("p50 of the response time is ")
            && reason.ends_with("(fails if p50>1ms)"),
        "{reason}"
    );
    let fine = [
        "-c",
        "2",
        "-d",
        "500ms",
        "--fail-if",
        "p50>=10s",
        "--fail-if",
        "service.max>10s",
    ];
    assert_eq!(run(&origin.url("/"), &fine).code, 0);
}

#[test]
fn the_share_of_errors_that_fails_a_run_can_be_chosen() {
    let origin = Origin::start(&["--status", "200:0.9,503:0.1"]);
    let with = |condition| {
        let options = ["--rate", "400", "-d", "1s", "--fail-if", condition];
        run(&origin.url("/"), &options)
    };
    let tolerant = with("errors>50%");
    assert!(matches!(tolerant.code, 0 | 3), "{}", tolerant.complaint);
    assert!(tolerant.count("errors/status") > 0);
    let strict = with("errors>0.1%");
    assert_eq!(strict.code, 2);
    let reasons = strict.get("broken").to_string();
    assert!(
        reasons.contains("of 400 requests got no right answer"),
        "{reasons}"
    );
    // Whoever breaks a proxy on purpose wants to hear when it did not notice.
    assert_eq!(with("errors<50%").code, 2);
}

#[test]
fn without_a_terminal_progress_is_a_line_a_second() {
    let origin = Origin::start(&[]);
    let options = ["--rate", "50", "-c", "2", "-d", "2s"];
    let shown = run(&origin.url("/"), &options).complaint;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(
        lines[0].starts_with("1/2 s  ") && lines[0].ends_with("failed 0"),
        "{shown}"
    );
    let quiet = run(&origin.url("/"), &[&options[..], &["--quiet"]].concat());
    assert_eq!(quiet.complaint, "");
}

#[test]
fn over_a_unix_socket() {
    let path = scratch("origin.sock");
    let listen = format!("unix:{}", path.display());
    let origin = Origin::start(&["--listen", &listen, "--threads", "2"]);
    let path_text = path.to_str().expect("a path");
    run(
        "http://name/",
        &["--unix", path_text, "-c", "8", "-d", "300ms"],
    )
    .assert_answered();
    assert!(origin.drain().0);
    assert!(!path.exists(), "the socket's file is removed");
}

#[test]
fn dumps_hold_the_series_of_the_report() {
    let origin = Origin::start(&[]);
    let (hlog, hgrm) = (scratch("run.hlog"), scratch("run.hgrm"));
    let files = [
        hlog.to_str().expect("a path"),
        hgrm.to_str().expect("a path"),
    ];
    let options = [
        "--rate", "200", "-d", "2s", "--hlog", files[0], "--hgrm", files[1],
    ];
    let measured = run(&origin.url("/"), &options);
    measured.assert_answered();
    for (tag, series) in [
        (None, "response_time"),
        (Some("uncorrected"), "service_time"),
        (Some("send_lag"), "send_lag"),
    ] {
        let sum = sum_of_series(&hlog, tag);
        assert_eq!(
            sum.len(),
            measured.count(&format!("{series}/count")),
            "{series}"
        );
        assert_eq!(
            sum.max(),
            measured.count(&format!("{series}/max_ns")),
            "{series}"
        );
        assert_eq!(
            sum.value_at_percentile(99.0),
            measured.count(&format!("{series}/{P99}"))
        );
    }
    let spectrum = std::fs::read_to_string(hgrm).expect("a spectrum");
    assert!(
        spectrum.contains("Total count    =          400]"),
        "{spectrum}"
    );
}

/// The generator stands still for a while: what it sends late is its own doing.
#[test]
fn a_generator_that_sends_late_is_the_bottleneck() {
    let origin = Origin::start(&[]);
    let running = Run::start(&origin.url("/"), &["--rate", "200", "-d", "2s"]);
    pause(Duration::from_millis(800));
    running.signal(Signal::STOP);
    pause(Duration::from_millis(400));
    running.signal(Signal::CONT);
    let measured = running.result();
    // Nothing is lost even so, and every answer is right: invalid is all that is wrong.
    assert_eq!(measured.code, 3);
    assert_eq!(measured.count("requests/answered"), 400);
    assert!(measured.time(&format!("send_lag/{P99}")) > Duration::from_millis(300));
    assert_bottleneck(&measured, "p99 of the send lag is");
}

/// More is due than anybody can send, and nothing has to be waited for: connections are refused.
#[test]
fn a_generator_without_time_left_is_the_bottleneck() {
    let origin = Origin::start(&[]);
    let options = ["--rate", "2M", "-d", "1s", "--warmup", "500ms", "-c", "8"];
    let running = Run::start(&origin.url("/"), &options);
    pause(Duration::from_millis(200));
    origin.signal(Signal::KILL);
    let measured = running.result();
    // No answer is a wrong answer, whatever the generator's state.
    assert_eq!(measured.code, 2);
    assert_eq!(measured.count("requests/due"), 2_000_000);
    assert_bottleneck(&measured, "thread 0 was busy");
}

fn assert_bottleneck(measured: &harness::Measured, reason: &str) {
    assert_eq!(measured.get("generator/bottleneck"), true);
    let reasons = measured.get("generator/reasons").to_string();
    assert!(reasons.contains(reason), "{reasons}");
}
