//! What every integration test stands on: the proxy as a process, and peers that record.
//!
//! Peers are plain threads on the loopback interface that send and keep exact bytes; they share
//! no code with the engine. Ports are chosen free, readiness is waited for, and everything that
//! was started is stopped when its value drops, also when the test fails.

pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod curl;
pub(crate) mod dice;
pub(crate) mod etcd;
pub(crate) mod gate;
pub(crate) mod haproxy;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod nginx;
pub(crate) mod node;
pub(crate) mod origin;
pub(crate) mod pattern;
pub(crate) mod ports;
pub(crate) mod proxy;
pub(crate) mod python;
pub(crate) mod running;
pub(crate) mod scratch;
pub(crate) mod setup;
pub(crate) mod wait;

pub(crate) use client::{Client, Response};
pub(crate) use load::Load;
pub(crate) use message::{Message, Reading};
pub(crate) use origin::{Origin, Peer};
pub(crate) use proxy::Proxy;
pub(crate) use setup::Setup;
