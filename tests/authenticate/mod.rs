//! Who is calling: each way to prove it, and what those hear who cannot.

mod api_key;
mod basic;
mod jwks;
pub(crate) mod jwt;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::harness::{Proxy, proxy};

const FAILURES: &str = "weft_listener_failures_total";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What `weft COMMAND` prints for a secret on its standard input.
pub(crate) fn hash(command: &str, secret: &str) -> Result<String, String> {
    let mut weft = proxy::weft();
    weft.arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = weft.spawn().expect("weft");
    let mut input = child.stdin.take().expect("standard input");
    input.write_all(secret.as_bytes()).expect("a reader");
    drop(input);
    let output = child.wait_with_output().expect("its output");
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .expect("text")
            .trim_end()
            .to_owned()
    };
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// The status and head that curl gets from the proxy.
pub(crate) fn curl(proxy: &Proxy, path: &str, arguments: &[&str]) -> (u16, String) {
    let url = format!("http://{}{path}", proxy.address());
    let output = proxy::output(
        Command::new("curl")
            .args(["-sS", "-i", &url])
            .args(arguments),
    );
    let text = String::from_utf8(output.stdout).expect("text");
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {text:?}"));
    (status, text)
}
