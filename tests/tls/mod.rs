//! TLS of the real binary, against curl, openssl, Python's ssl, nginx and raw bytes.

mod agent;
mod audit;
mod domain;
mod handshake;
mod identity;
mod listener;
mod mesh;
mod passthrough;
mod sidecar;
mod trust;
mod upstream;
mod workload;

use std::process::Output;

use crate::harness::{
    Origin, Proxy,
    certificates::Authority,
    curl::{self, ONLY_STATUS, text},
};

/// curl that trusts `authority` and reaches `a.test`, `b.test` and the like at the proxy.
pub(crate) fn curl(authority: &Authority, proxy: &Proxy, arguments: &[&str]) -> Output {
    let to = format!("::{}:{}", proxy.address().ip(), proxy.address().port());
    let authority = authority.ca();
    let reach = [
        "--connect-to",
        &to,
        "--cacert",
        &authority.to_string_lossy(),
    ];
    curl::run(&[&reach, arguments].concat())
}

/// The status that curl got, or its exit code.
pub(crate) fn status(output: &Output) -> Result<String, i32> {
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        code => Err(code.unwrap_or(-1)),
    }
}

const HANDSHAKES: &str = "weft_listener_tls_handshakes_total";

/// An origin that answers with the content it was sent.
fn echo() -> Origin {
    Origin::forgetful(|peer| {
        while let Some(request) = peer.request() {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                request.body.len()
            );
            if !peer.send([head.as_bytes(), &request.body].concat()) {
                return;
            }
        }
    })
}
