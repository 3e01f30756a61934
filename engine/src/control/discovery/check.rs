//! Whether an instance works: one question to it, and what several answers mean.
//!
//! Used by the proxy that an instance registered with, and by `weft register` before it registers
//! one. Each question is a connection of its own.

use std::error::Error;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::registry::{Health, Probe};
use crate::config::Address;

/// Failures in a row after which an instance does not work.
const FAILURES: u32 = 3;
/// Successes in a row after which it works again. The first one ever is enough.
const SUCCESSES: u32 = 2;

/// What the answers so far mean.
#[derive(Debug, Default)]
pub struct Verdict {
    health: Option<Health>,
    in_a_row: u32,
}

impl Verdict {
    /// What an answer changes: the new health, if it is another one than before.
    pub fn after(&mut self, is_well: bool) -> Option<Health> {
        let (other, needed) = match (self.health, is_well) {
            (None, true) => (Health::Passing, 1),
            (Some(Health::Failing), true) => (Health::Passing, SUCCESSES),
            (None | Some(Health::Passing), false) => (Health::Failing, FAILURES),
            _ => {
                self.in_a_row = 0;
                return None;
            }
        };
        self.in_a_row += 1;
        if self.in_a_row < needed {
            return None;
        }
        self.in_a_row = 0;
        self.health = Some(other);
        Some(other)
    }
}

/// Asks once.
///
/// # Errors
/// Why it does not work, as the end of a sentence.
pub async fn probe(address: &Address, probe: &Probe, patience: Duration) -> Result<(), String> {
    let asked = async {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await;
                ask(stream.map_err(no_connection)?, probe, &address.to_string()).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                ask(stream.map_err(no_connection)?, probe, "localhost").await
            }
        }
    };
    let answered = timeout(patience, asked).await;
    answered.unwrap_or_else(|_| Err(format!("no answer within {patience:?}")))
}

fn no_connection(error: std::io::Error) -> String {
    format!("no connection: {error}")
}

async fn ask<Stream>(stream: Stream, probe: &Probe, host: &str) -> Result<(), String>
where
    Stream: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let Probe::Http(path) = probe else {
        return Ok(());
    };
    let request = Request::get(path.as_str())
        .header("host", host)
        .header("user-agent", "weft-check")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let status = status_of(stream, request).await?;
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("the answer was {status}"))
    }
}

/// Asks one question on a connection of its own. The status of the answer; its body is not wanted.
pub(in crate::control) async fn status_of<S, B>(
    stream: S,
    request: Request<B>,
) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    let mut connection = std::pin::pin!(connection);
    // The connection is driven until the head of the answer is there.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    };
    answer
        .map(|answer| answer.status())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_success_begins_three_failures_end_and_two_successes_bring_back() {
        let mut verdict = Verdict::default();
        let answers = [
            (false, None),
            (true, Some(Health::Passing)),
            (false, None),
            (false, None),
            (true, None),
            (false, None),
            (false, None),
            (false, Some(Health::Failing)),
            (false, None),
            (true, None),
            (false, None),
            (true, None),
            (true, Some(Health::Passing)),
        ];
        for (step, (is_well, expected)) in answers.into_iter().enumerate() {
            assert_eq!(verdict.after(is_well), expected, "step {step}");
        }
    }
}
