//! What an answer will be like.
//!
//! Drawn from the command line's distributions, or changed by a request's own wishes from its
//! query. Pure but for the random numbers, which are seeded.

use std::time::Duration;

use crate::distribution::{Delays, Sizes, Statuses, status};
use crate::grpc;
use crate::quantity;
use crate::random::Random;

use super::fault::{Fault, Faults, Pace};

/// What answers are like unless a request wishes otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    /// Body sizes.
    pub sizes: Sizes,
    /// Delays before the answer.
    pub delays: Delays,
    /// Statuses.
    pub statuses: Statuses,
    /// Probability of closing the connection afterwards.
    pub close_probability: f64,
    /// Are bodies chunked?
    pub chunked: bool,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// The pace of a slow body.
    pub pace: Pace,
}

/// One answer to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Status.
    pub status: u16,
    /// Body size in bytes.
    pub size: u64,
    /// How long to wait before it.
    pub delay: Duration,
    /// Chunked body?
    pub chunked: bool,
    /// Close the connection afterwards?
    pub close: bool,
    /// Answer with what is known about the request's body instead?
    pub echo: bool,
    /// Go wrong instead?
    pub fault: Option<Fault>,
    /// The pace of a slow body.
    pub pace: Pace,
    /// The size was wished for; a gRPC call without such a wish is echoed.
    pub wished_size: bool,
    /// The gRPC status that was wished for.
    pub grpc_status: Option<u8>,
}

impl Defaults {
    /// Draws an answer and lets `query` change it. A wish that is not understood is an error: a
    /// test that misspells it should not pass.
    pub(crate) fn reply(&self, query: &[u8], random: &mut Random) -> Result<Reply, BadWish> {
        let mut reply = Reply {
            status: self.statuses.draw(random),
            size: self.sizes.draw(random),
            delay: self.delays.draw(random),
            chunked: self.chunked,
            close: random.happens(self.close_probability),
            echo: false,
            fault: self.faults.draw(random),
            pace: self.pace,
            wished_size: false,
            grpc_status: None,
        };
        for wish in query
            .split(|&byte| byte == b'&')
            .filter(|wish| !wish.is_empty())
        {
            let wish = std::str::from_utf8(wish).map_err(|_| BadWish)?;
            let (name, value) = wish.split_once('=').unwrap_or((wish, "1"));
            match name {
                "size" => {
                    reply.size = quantity::size(value).map_err(|_| BadWish)?;
                    reply.wished_size = true;
                }
                "grpc-status" => reply.grpc_status = Some(grpc::code(value).map_err(|_| BadWish)?),
                "delay" => reply.delay = quantity::duration(value).map_err(|_| BadWish)?,
                "status" => {
                    let status = status(value).map_err(|_| BadWish)?;
                    reply.status = u16::try_from(status).map_err(|_| BadWish)?;
                }
                "chunked" => reply.chunked = flag(value)?,
                "close" => reply.close = flag(value)?,
                "echo" => reply.echo = flag(value)?,
                "fault" => reply.fault = Fault::parse(value).map_err(|_| BadWish)?,
                "pace" => reply.pace = Pace::parse(value).map_err(|_| BadWish)?,
                // Other parameters are the business of whoever sends them.
                _ => {}
            }
        }
        reply.fault = reply.fault.map(|fault| fault.drawn(random));
        Ok(reply)
    }
}

/// A query asks for something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadWish;

fn flag(value: &str) -> Result<bool, BadWish> {
    match value {
        "1" | "true" | "" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(BadWish),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(sizes: &str, delays: &str, statuses: &str) -> Defaults {
        Defaults {
            sizes: Sizes::parse(sizes).expect("sizes"),
            delays: Delays::parse(delays).expect("delays"),
            statuses: Statuses::parse(statuses).expect("statuses"),
            close_probability: 0.0,
            chunked: false,
            faults: Faults::default(),
            pace: Pace::parse("16B/10ms").expect("a pace"),
        }
    }

    #[test]
    fn probabilities_are_met() {
        let defaults = defaults("10B..19B", "1ms:0.5,exp:2ms:0.5", "200:0.9,503:0.1");
        let mut random = Random::new(7, 0);
        let drawn: Vec<Reply> = (0..100_000)
            .map(|_| defaults.reply(b"", &mut random).expect("a reply"))
            .collect();
        let share = |of: &dyn Fn(&&Reply) -> bool| drawn.iter().filter(of).count() as f64 / 1e5;
        assert!((share(&|reply| reply.status == 503) - 0.1).abs() < 0.01);
        assert!((share(&|reply| reply.size == 10) - 0.1).abs() < 0.01);
        assert!(drawn.iter().all(|reply| (10..20).contains(&reply.size)));
        assert!((share(&|reply| reply.delay == Duration::from_millis(1)) - 0.5).abs() < 0.01);
        let mean = drawn
            .iter()
            .map(|reply| reply.delay.as_secs_f64())
            .sum::<f64>()
            / 1e5;
        assert!((mean - 0.0015).abs() < 0.000_05, "{mean}");
    }

    #[test]
    fn a_request_has_its_way() {
        let defaults = defaults("1KiB", "0ms", "200");
        let mut random = Random::new(1, 0);
        let query = b"size=2KiB&delay=5ms&status=503&chunked=1&close=1&echo&other=x\
            &fault=reset-body&pace=1B/1s&grpc-status=NOT_FOUND";
        let expected = Reply {
            status: 503,
            size: 2048,
            delay: Duration::from_millis(5),
            chunked: true,
            close: true,
            echo: true,
            fault: Some(Fault::ResetBody),
            pace: Pace::parse("1B/1s").expect("a pace"),
            wished_size: true,
            grpc_status: Some(5),
        };
        assert_eq!(defaults.reply(query, &mut random), Ok(expected));
        for query in [
            "size=x",
            "delay=5",
            "status=100",
            "status=700",
            "chunked=2",
            "fault=lightning",
            "pace=1B",
            "size=\u{e9}",
            "grpc-status=17",
        ] {
            assert_eq!(
                defaults.reply(query.as_bytes(), &mut random),
                Err(BadWish),
                "{query}"
            );
        }
    }
}
