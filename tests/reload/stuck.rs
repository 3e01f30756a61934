//! A shard that does not answer: nothing changes, and the next configuration is taken.

use std::{fs, thread};

use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Client, Origin, Proxy, Setup, ports, wait};

use super::{accept, generation, start, text};

/// A thread of the proxy that is stopped until this is dropped; the others go on. SIGSTOP would
/// stop them all.
struct Stopped(Pid);

impl Stopped {
    fn thread(proxy: &Proxy, name: &str) -> Self {
        let thread = Pid::from_raw(proxy.thread(name));
        ptrace::seize(thread, ptrace::Options::empty()).expect("a thread of a child can be traced");
        ptrace::interrupt(thread).expect("interrupted");
        waitpid(thread, Some(WaitPidFlag::__WALL)).expect("stopped");
        Self(thread)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let detached = ptrace::detach(self.0, None);
        assert!(thread::panicking() || detached.is_ok(), "{detached:?}");
    }
}

#[test]
fn a_shard_that_does_not_prepare_leaves_everything_as_it_was() {
    let (one, other) = (
        Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"),
        Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"),
    );
    let log = "access_log = { path = \"access.log\", flush = \"20ms\" }";
    let before = Setup::to(one.address()).shards(2).top(log);
    let after = Setup::to(other.address()).shards(2).top(log);
    let proxy = start(&before);
    // One connection on each shard; the log says which.
    let mut clients = [("/a", proxy.connect()), ("/b", proxy.connect())];
    for (path, client) in &mut clients {
        assert_eq!(client.get(path).text(), "one");
    }
    let stuck_path = wait::until("a line of each", || {
        let log = fs::read_to_string(proxy.file("access.log")).ok()?;
        let lines: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let of_second = lines.iter().find(|line| line["shard"] == 1)?;
        (lines.len() == 2).then(|| of_second["path"].as_str().expect("a path").to_owned())
    });
    clients.sort_by_key(|(path, _)| *path == stuck_path);
    let [(_, serving), (_, stuck)] = &mut clients;

    // The first of them: the others do what would make it wait, such as opening files.
    let stopped = Stopped::thread(&proxy, "weft-1-");
    fs::write(proxy.file("weft.toml"), text(&proxy, &after)).expect("written");
    proxy.signal(Signal::HUP);
    wait::for_("the refusal", || {
        proxy.stderr().contains("did not prepare it in time")
    });
    assert_eq!(
        serving.get("/").text(),
        "one",
        "the other shard was told to forget it"
    );
    drop(stopped);

    assert_eq!(stuck.get("/").text(), "one", "it answered too late");
    assert_eq!(serving.get("/").text(), "one");
    assert_eq!(generation(&proxy), 1);
    assert_eq!(
        proxy.metric("weft_config_reloads_total", "result=\"rejected\""),
        1.0
    );
    wait::for_("what was prepared to be freed", || {
        proxy.metric("weft_config_generations_alive", "") == 1.0
    });
    let rejection = proxy.admin_json("/config_dump")["last_rejection"].clone();
    let message = rejection["problems"][0]["message"]
        .as_str()
        .expect("a message");
    assert!(message.contains("{1}"), "{message}");

    accept(&proxy, &text(&proxy, &after));
    assert_eq!(serving.get("/").text(), "other");
    assert_eq!(stuck.get("/").text(), "other");
}

#[test]
fn a_listener_that_comes_with_the_drain_is_not_opened_and_holds_nothing_up() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2).drain("10m");
    let mut proxy = start(&setup);
    assert_eq!(proxy.get("/").status(), 200);
    let second = ports::free();
    let next = format!(
        "{}\n[[listeners]]\nname = \"second\"\naddress = \"{second}\"\n\
         [[listeners.virtual_hosts]]\nname = \"second\"\nhosts = [\"*\"]\n\
         [[listeners.virtual_hosts.routes]]\nname = \"second\"\nforward = \"origin\"\n",
        text(&proxy, &setup)
    );
    // The generation is prepared on one shard; the other will do so when it is told to drain.
    let stopped = Stopped::thread(&proxy, "weft-1-");
    fs::write(proxy.file("weft.toml"), next).expect("written");
    proxy.signal(Signal::HUP);
    wait::for_("the new socket", || Client::try_connect(second).is_ok());
    proxy.terminate();
    wait::for_("the drain", || proxy.stderr().contains("Draining"));
    drop(stopped);
    assert_eq!(proxy.wait().code(), Some(0), "{}", proxy.stderr());
}
