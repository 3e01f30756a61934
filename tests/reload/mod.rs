//! A configuration that changes while it serves: nothing is lost, and what is wrong changes
//! nothing.

mod beside;
mod certificates;
mod endpoints;
mod fragments;
mod keys;
mod listeners;
mod logs;
mod refused;
mod soak;
mod stuck;
mod tokens;
mod watch;

use rustix::process::Signal;

use crate::harness::{Proxy, Setup, wait};

/// Gives the proxy another configuration, by signal, and waits until it has been looked at.
fn reload(proxy: &Proxy, text: &str) {
    let before = looked_at(proxy);
    std::fs::write(proxy.file("weft.toml"), text).expect("the configuration");
    proxy.signal(Signal::HUP);
    wait::for_("the configuration to be looked at", || {
        looked_at(proxy) > before
    });
}

/// Gives the proxy another configuration, which it takes.
fn accept(proxy: &Proxy, text: &str) {
    let before = generation(proxy);
    reload(proxy, text);
    assert_eq!(generation(proxy), before + 1, "{}", proxy.stderr());
}

/// The text of `setup` for this proxy. It is read on SIGHUP only.
fn text(proxy: &Proxy, setup: &Setup) -> String {
    setup
        .clone()
        .top("watch = false")
        .render(proxy.address(), proxy.admin_address())
}

/// Starts a proxy that reads its configuration on SIGHUP only.
fn start(setup: &Setup) -> Proxy {
    Proxy::start(&setup.clone().top("watch = false"))
}

fn generation(proxy: &Proxy) -> u64 {
    proxy.metric("weft_config_generation", "") as u64
}

fn looked_at(proxy: &Proxy) -> u64 {
    proxy.metric("weft_config_reloads_total", "") as u64
}
