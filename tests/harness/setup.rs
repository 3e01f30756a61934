//! The configuration of a test: one listener in front of some clusters, changed where it matters.
//!
//! Starts from one shard, one route and one cluster called `origin`. The text it renders is what
//! a user would write; tests about the format itself write their own.

use std::{fmt::Write, net::SocketAddr};

/// A configuration in the making.
#[derive(Clone)]
pub(crate) struct Setup {
    shards: usize,
    drain: String,
    overload: String,
    top: String,
    listener: String,
    routes: String,
    clusters: String,
}

impl Setup {
    /// No cluster and no route yet.
    pub(crate) fn new() -> Self {
        Self {
            shards: 1,
            drain: "20s".into(),
            // A machine that is busy with other tests is no reason to refuse a request.
            overload: "max_lag = \"off\"".into(),
            top: String::new(),
            listener: String::new(),
            routes: String::new(),
            clusters: String::new(),
        }
    }

    /// Everything goes to the origin at `address`.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::new().cluster("origin", &[address])
    }

    /// How many shards run, unpinned tests included.
    pub(crate) fn shards(mut self, count: usize) -> Self {
        self.shards = count;
        self
    }

    /// How long a drain may take.
    pub(crate) fn drain(mut self, time: &str) -> Self {
        self.drain = time.into();
        self
    }

    /// When requests are refused for the sake of others, for tests about that: such as
    /// `max_lag = "5ms"`.
    pub(crate) fn overload(mut self, bounds: &str) -> Self {
        self.overload = bounds.into();
        self
    }

    /// Lines at the top of the file.
    pub(crate) fn top(mut self, lines: &str) -> Self {
        writeln!(self.top, "{lines}").expect("text");
        self
    }

    /// Lines of the listener, such as `timeouts.header = "1s"`.
    pub(crate) fn listener(mut self, lines: &str) -> Self {
        writeln!(self.listener, "{lines}").expect("text");
        self
    }

    /// Adds a route: its name, and its lines without `name`.
    pub(crate) fn route(mut self, name: &str, lines: &str) -> Self {
        let table = "[[listeners.virtual_hosts.routes]]";
        writeln!(self.routes, "{table}\nname = \"{name}\"\n{lines}").expect("text");
        self
    }

    /// Starts another virtual host; routes added after it belong to it.
    pub(crate) fn host(mut self, name: &str, hosts: &str) -> Self {
        let table = "[[listeners.virtual_hosts]]";
        writeln!(self.routes, "{table}\nname = \"{name}\"\nhosts = {hosts}").expect("text");
        self
    }

    /// Adds a cluster of TCP endpoints.
    pub(crate) fn cluster(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        self.cluster_with(name, &endpoints, "")
    }

    /// Adds a cluster with more lines, such as `connect_timeout = "1s"`.
    pub(crate) fn cluster_with(self, name: &str, endpoints: &[String], lines: &str) -> Self {
        let endpoints: Vec<String> = endpoints
            .iter()
            .map(|address| format!("{{ address = \"{address}\" }}"))
            .collect();
        self.cluster_of(name, &endpoints, lines)
    }

    /// Adds a cluster of endpoints that are tables, or of none where `lines` say where they are.
    pub(crate) fn cluster_of(mut self, name: &str, endpoints: &[String], lines: &str) -> Self {
        let endpoints = endpoints.join(", ");
        writeln!(
            self.clusters,
            "[[clusters]]\nname = \"{name}\"\nendpoints = [{endpoints}]\n{lines}"
        )
        .expect("text");
        self
    }

    /// Adds lines after the clusters, such as one without endpoints of its own.
    pub(crate) fn lines_of_clusters(mut self, lines: &str) -> Self {
        writeln!(self.clusters, "{lines}").expect("text");
        self
    }

    /// The text of the file.
    pub(crate) fn render(&self, listen: SocketAddr, admin: SocketAddr) -> String {
        let mut routes = self.routes.clone();
        if routes.is_empty() {
            routes = Self::new().route("all", "forward = \"origin\"").routes;
        }
        if !routes.starts_with("[[listeners.virtual_hosts]]") {
            routes = format!("{}{routes}", Self::new().host("all", "[\"*\"]").routes);
        }
        format!(
            "drain = \"{drain}\"\noverload = {{ {overload} }}\n{top}\n[shards]\ncount = {shards}\n\n[admin]\naddress = \"{admin}\"\n\n\
             [[listeners]]\nname = \"main\"\naddress = \"{listen}\"\n{listener}\n\
             {routes}\n{clusters}",
            drain = self.drain,
            overload = self.overload,
            top = self.top,
            shards = self.shards,
            listener = self.listener,
            clusters = self.clusters,
        )
    }
}
