//! `io`
#![allow(missing_docs, unused_variables, clippy::todo, dead_code)]

pub mod clock;
pub mod probe;

use std::future::Future;
use std::io::Result;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::task::{Context, Poll};
use std::time::Duration;

pub use clock::Instant;

#[derive(Clone, Debug)]
pub struct Buf(std::rc::Rc<Vec<u8>>);
impl std::ops::Deref for Buf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        todo!()
    }
}
impl Buf {
    pub fn advance(&mut self, count: usize) {
        todo!()
    }
    pub fn split_to(&mut self, count: usize) -> Self {
        todo!()
    }
    pub fn truncate(&mut self, len: usize) {
        todo!()
    }
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        todo!()
    }
    pub fn from_bytes(bytes: bytes::Bytes) -> Self {
        todo!()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug)]
pub struct Stream(std::rc::Rc<()>);
impl Stream {
    pub async fn connect(address: &Address) -> Result<Self> {
        todo!()
    }
    pub fn from_fd(fd: OwnedFd) -> Self {
        todo!()
    }
    pub fn peer(&self) -> Option<SocketAddr> {
        todo!()
    }
    pub fn local(&self) -> Option<SocketAddr> {
        todo!()
    }
    pub async fn recv(&self) -> Result<Option<Buf>> {
        todo!()
    }
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Buf>>> {
        todo!()
    }
    pub fn unread(&self, buf: Buf) {
        todo!()
    }
    pub fn quiet(&self) -> bool {
        todo!()
    }
    pub async fn closed_or_readable(&self) {
        todo!()
    }
    pub fn poll_closed_or_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        todo!()
    }
    pub fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        todo!()
    }
    pub fn push(&self, buf: Buf) {
        todo!()
    }
    pub fn queued(&self) -> usize {
        todo!()
    }
    pub async fn drained(&self, below: usize) -> Result<()> {
        todo!()
    }
    pub fn poll_drained(&self, cx: &mut Context<'_>, below: usize) -> Poll<Result<()>> {
        todo!()
    }
    pub fn shutdown_send(&self) {
        todo!()
    }
    pub fn reset(&self) {
        todo!()
    }
}

#[derive(Debug)]
pub struct Listener(());
impl Listener {
    pub fn bind(address: &Address, backlog: u32) -> Result<Self> {
        todo!()
    }
    pub fn from_fd(fd: OwnedFd) -> Self {
        todo!()
    }
    pub fn address(&self) -> Option<SocketAddr> {
        todo!()
    }
    pub async fn accept(&self) -> Result<OwnedFd> {
        todo!()
    }
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Elapsed;

#[derive(Debug)]
pub struct Timer(std::rc::Rc<()>);
impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}
impl Timer {
    pub fn new() -> Self {
        todo!()
    }
    pub fn arm(&self, at: Instant) {
        todo!()
    }
    pub fn disarm(&self) {
        todo!()
    }
    pub fn poll_elapsed(&self, cx: &mut Context<'_>) -> Poll<()> {
        todo!()
    }
    pub async fn guard<F: Future>(&self, future: F) -> std::result::Result<F::Output, Elapsed> {
        todo!()
    }
}

pub async fn sleep(duration: Duration) {
    todo!()
}
pub async fn sleep_until(at: Instant) {
    todo!()
}
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    todo!()
}
pub async fn yield_now() {
    todo!()
}

/// How to start one shard's thread.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub cpu: Option<usize>,
    pub name: String,
    pub buffer_count: u16,
    pub buffer_bytes: u32,
}
impl Default for Runtime {
    fn default() -> Self {
        Self {
            cpu: None,
            name: "shard".into(),
            buffer_count: 256,
            buffer_bytes: 16 * 1024,
        }
    }
}
#[derive(Debug)]
pub struct RuntimeThread(());
impl RuntimeThread {
    pub fn join(self) -> Result<()> {
        todo!()
    }
}
impl Runtime {
    pub fn start<R, F>(self, root: R) -> Result<RuntimeThread>
    where
        R: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        todo!()
    }
}
