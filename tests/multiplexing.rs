//! The load generator's HTTP/2 and gRPC, at either end, against programs that others wrote: nginx,
//! h2o and nghttpd as origins, h2load, nghttp and curl as clients, and the Python packages h2 and
//! grpcio as both.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::harness::{
    nginx::Nginx,
    ports,
    proxy::{loadgen, output},
    python,
    running::Running,
    scratch::Scratch,
    wait,
};

/// A short run with `arguments`, which must get all its answers; the result as JSON.
fn run(url: &str, arguments: &str) -> Value {
    let mut command = loadgen();
    command.args(["run", url, "-d", "1s", "--json", "-"]);
    if !arguments.contains("-c ") {
        command.args(["-c", "2"]);
    }
    let ended = output(command.args(arguments.split(' ')));
    let told = String::from_utf8_lossy(&ended.stderr);
    // Exit code 3 says that this machine was too slow to measure, which is no fault of the peer.
    assert!(matches!(ended.status.code(), Some(0 | 3)), "{url}: {told}");
    let result: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let (due, answered) = (&result["requests"]["due"], &result["requests"]["answered"]);
    assert!(
        due == answered && answered.as_u64() > Some(0),
        "{url}: {result:#}"
    );
    result
}

/// A key and a certificate for this machine, in this folder.
fn certificate(folder: &Path) {
    let mut command = Command::new("openssl");
    command
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '))
        .args("-keyout key.pem -out cert.pem -subj /CN=localhost".split(' '))
        .current_dir(folder);
    let ended = output(&mut command);
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// Waits until somebody listens.
fn listening(address: SocketAddr) {
    wait::for_("somebody to listen", || TcpStream::connect(address).is_ok());
}

/// The generator's origin with these options; where it listens.
fn origin(options: &str) -> (Running, SocketAddr) {
    let address = ports::free();
    let mut command = loadgen();
    command.args(["origin", "--listen", &address.to_string()]);
    let running = Running::start(command.args(options.split(' ').filter(|word| !word.is_empty())));
    listening(address);
    (running, address)
}

/// A started Python program, and the first word it prints.
fn python_port(program: &str, arguments: &[&str]) -> (Running, String, impl BufRead) {
    let mut running = python::start(program, arguments);
    let mut told = BufReader::new(running.stdout.take().expect("its output is piped"));
    let mut port = String::new();
    told.read_line(&mut port).expect("a port");
    (running, port.trim().into(), told)
}

#[test]
fn nginx_by_alpn_and_through_its_goaways() {
    let address = ports::free();
    let scratch = Scratch::new();
    certificate(&scratch.file(""));
    let (key, cert) = (scratch.file("key.pem"), scratch.file("cert.pem"));
    let nginx = Nginx::start(&format!(
        "listen {address} ssl http2; ssl_certificate {}; ssl_certificate_key {}; \
         keepalive_requests 50;",
        cert.display(),
        key.display()
    ));
    nginx.scratch().write("1k.txt", &"a".repeat(1024));
    let url = format!("https://{address}/1k.txt");
    // Every 50 requests it leaves the connection, with some of the next already on their way.
    run(
        &url,
        "--http 2 --streams 20 --insecure --expect-length 1024",
    );
    run(&url, "--http auto --insecure --expect-length 1024");
    run(&url, "--insecure --expect-length 1024");
}

#[test]
fn a_target_without_http2_is_an_error_in_words() {
    let (_origin, address) = origin("--delay 0ms");
    let nginx = Nginx::start("");
    let url = format!("http://{}/", nginx.address());
    let mut command = loadgen();
    let ended = output(command.args(["run", &url, "--http", "2", "-d", "200ms", "-c", "1"]));
    // nginx answers the preface as HTTP/1.1, which is no HTTP/2.
    assert_eq!(ended.status.code(), Some(2));
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(told.contains("malformed"), "{told}");
    run(&format!("http://{address}/"), "--http 2");
}

#[test]
fn h2o_in_clear_text_and_through_tls() {
    let scratch = Scratch::new();
    let folder = scratch.file("");
    certificate(&folder);
    let (plain, secure) = (ports::free(), ports::free());
    scratch.write("300k.txt", &"b".repeat(300_000));
    let paths = format!("paths: {{ \"/\": {{ file.dir: {} }} }}", folder.display());
    let user = if rustix::process::getuid().is_root() {
        "user: root\n"
    } else {
        ""
    };
    scratch.write(
        "h2o.conf",
        &format!(
            "{user}listen: {{ host: 127.0.0.1, port: {}, ssl: {{ certificate-file: {}, \
             key-file: {} }} }}\n\
             hosts:\n  \"plain\":\n    listen: {{ host: 127.0.0.1, port: {} }}\n    {paths}\n  \
             default:\n    {paths}\n",
            secure.port(),
            folder.join("cert.pem").display(),
            folder.join("key.pem").display(),
            plain.port(),
        ),
    );
    let mut command = Command::new("h2o");
    command
        .arg("-c")
        .arg(folder.join("h2o.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _h2o = Running::start(&mut command);
    listening(plain);
    listening(secure);
    let expected = "--http 2 --streams 8 --expect-length 300000";
    run(&format!("http://{plain}/300k.txt"), expected);
    run(
        &format!("https://{secure}/300k.txt"),
        &format!("{expected} --insecure"),
    );
}

#[test]
fn nghttpd_and_its_limit_on_streams() {
    let scratch = Scratch::new();
    let folder = scratch.file("");
    scratch.write("1k.txt", &"c".repeat(1024));
    let address = ports::free();
    let port = address.port().to_string();
    let mut command = Command::new(program("nghttpd"));
    command.args([
        "--no-tls",
        "-a",
        "127.0.0.1",
        "-m",
        "3",
        "--trailer",
        "x: y",
        "-d",
    ]);
    let _nghttpd = Running::start(command.arg(&folder).arg(&port));
    listening(address);
    run(
        &format!("http://{address}/1k.txt"),
        "--http 2 --streams 20 --expect-length 1024",
    );
}

/// Debian keeps daemons where only root looks.
fn program(name: &str) -> String {
    let beside = format!("/usr/sbin/{name}");
    if Path::new(&beside).exists() {
        beside
    } else {
        name.into()
    }
}

#[test]
fn h2load_nghttp_and_curl_ask_the_origin() {
    let scratch = Scratch::new();
    let body = scratch.file("body");
    fs::write(&body, vec![b'd'; 300_000]).expect("a file");
    let body = body.display().to_string();
    let (_plain, plain) = origin("--body-size 20KiB");
    let (_secure, secure) = origin("--tls-self-signed");
    for (url, more) in [
        (format!("http://{plain}/"), ""),
        (
            format!("https://{secure}/?size=1000000&delay=1ms"),
            "-w 14 -W 15",
        ),
        (format!("http://{plain}/?echo=1"), &*format!("-d {body}")),
    ] {
        let mut command = Command::new("h2load");
        command
            .args(["-n", "300", "-c", "3", "-m", "10"])
            .args(more.split_whitespace());
        let ended = output(command.arg(&url));
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(
            told.contains("300 succeeded, 0 failed, 0 errored"),
            "{url}: {told}"
        );
        assert!(told.contains("status codes: 300 2xx"), "{url}: {told}");
    }
    let mut command = Command::new("nghttp");
    let ended = output(command.args(["-nv", "--no-dep", &format!("http://{plain}/?size=3")]));
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(
        told.contains("recv DATA frame <length=3, flags=0x01"),
        "{told}"
    );
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        let ended = output(
            command
                .args(["-sSk", "-o", "-", "-w", " %{http_version}"])
                .args(arguments),
        );
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let echo = format!("http://{plain}/?echo=1");
    assert_eq!(
        curl(&["--http2-prior-knowledge", "-d", "hello", &echo]),
        "5 3610a686\n 2"
    );
    assert_eq!(
        curl(&[
            "--http2",
            "-d",
            "hello",
            &format!("https://{secure}/?echo=1")
        ]),
        "5 3610a686\n 2"
    );
    assert_eq!(
        curl(&["--http1.1", "-d", "hello", &echo]),
        "5 3610a686\n 1.1"
    );
}

#[test]
fn the_package_h2_finds_no_fault_and_none_is_found_in_it() {
    let (_origin, port, mut told) = python_port("h2_origin.py", &["3"]);
    let url = format!("http://127.0.0.1:{port}/");
    // `5000 xxxxxxxx` and `0 00000000` are the answers.
    let load = "--http 2 -c 1 --streams 20 --grace 10s";
    for (more, length) in [("-X POST --body-size 5000", 13), ("--rate 40", 10)] {
        let result = run(&url, &format!("{load} {more} --expect-length {length}"));
        let mut answered = String::new();
        told.read_line(&mut answered).expect("a line");
        assert_eq!(answered.trim(), result["requests"]["due"].to_string());
    }
    // Requests that are given up are not a fault either.
    let mut command = loadgen();
    command.args(["run", &url, "-d", "1s", "--timeout", "20ms"]);
    let ended = output(command.args(load.split(' ')));
    assert_eq!(ended.status.code(), Some(2));
    let mut answered = String::new();
    told.read_line(&mut answered).expect("a line");
    let is_well = answered.starts_with("broke off") || answered.trim().parse::<u64>().is_ok();
    assert!(is_well, "{answered}");
}

#[test]
fn grpcio_answers_calls() {
    let (_origin, port, _told) = python_port("grpc_echo.py", &[]);
    let url = |method: &str| format!("grpc://127.0.0.1:{port}/test.Echo/{method}");
    let echo = run(
        &url("Unary"),
        "--streams 8 --body hello --expect-length 5 --expect-hash 3610a686",
    );
    assert_eq!(echo["grpc_statuses"]["0"], echo["requests"]["due"]);
    run(&url("Unary"), "--body-size 300KiB --expect-length 307200");
    run(&url("Length"), "--body-size 1MiB --expect-length 7");
    let failed = run(&url("Fail"), "--streams 4 --expect-grpc-status NOT_FOUND");
    assert_eq!(failed["grpc_statuses"]["5"], failed["requests"]["due"]);
    let slow = run(&url("Slow"), "--streams 4");
    assert!(slow["response_time"]["min_ns"].as_u64() >= Some(100_000_000));
}

#[test]
fn grpcio_calls_the_origin() {
    let (_origin, address) = origin("");
    assert_eq!(
        python::run("grpc_client.py", &[&address.to_string()]).trim(),
        "ok"
    );
}
