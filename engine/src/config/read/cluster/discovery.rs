//! Where endpoints come from, from the file to the model: a cluster's `discovery`, and the
//! process's `registry` and `dns`.
//!
//! A source that this build was made without is an error where it is asked for, rather than a
//! cluster that stays empty.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::file::{Field, Section};
use crate::config::model::{Discovery, Dns, HostName, HostPort, Identity, NamedEndpoint, Registry};
use crate::config::read::file_path;
use crate::limits;

const HOST_PORT: &str = "a host name and port such as \"orders.internal:8080\"";
const HOST: &str = "a host name such as \"_http._tcp.orders.internal\"";
const SERVICE: &str = "the name of a service: 1 to 128 letters, digits or -_.:";

/// A cluster's `discovery`.
pub(super) fn discovery(section: &mut Section<'_>) -> Discovery {
    let registry = section.field("registry").and_then(|field| {
        built_with(&field, cfg!(feature = "registration"), "registration")?;
        field.parse(SERVICE, |text| is_service(text).then(|| Arc::from(text)))
    });
    let file = section.field("file").and_then(|field| {
        built_with(&field, cfg!(feature = "endpoint-files"), "endpoint-files")?;
        crate::config::read::path_in(&field)
    });
    let dns = section.list("dns").into_iter().filter_map(named_endpoint);
    let dns = dns.collect();
    let srv = section.list("srv").into_iter().filter_map(|field| {
        built_with(&field, cfg!(feature = "dns"), "dns")?;
        field.parse(HOST, host_name)
    });
    let srv = srv.collect();
    let default = Discovery::default().initial_fetch_timeout;
    Discovery {
        registry,
        file,
        dns,
        srv,
        initial_fetch_timeout: section.duration_limit("initial_fetch_timeout", default),
    }
}

/// `"orders.internal:80"`, or `{ address = "orders.internal:80", weight = 2 }`.
fn named_endpoint(field: Field<'_>) -> Option<NamedEndpoint> {
    built_with(&field, cfg!(feature = "dns"), "dns")?;
    if !field.is_table() {
        let address = field.parse(HOST_PORT, host_port)?;
        return Some(NamedEndpoint { address, weight: 1 });
    }
    field.section(|section| {
        let weight = section.count("weight", 1, 0..=limits::WEIGHT_MAX);
        let address = section.required("address", HOST_PORT)?;
        let address = address.parse(HOST_PORT, host_port)?;
        Some(NamedEndpoint { address, weight })
    })?
}

/// Refuses what this build cannot do.
pub(in crate::config::read) fn built_with(
    field: &Field<'_>,
    is_built: bool,
    feature: &str,
) -> Option<()> {
    if is_built {
        return Some(());
    }
    field.refuse(&format!(
        "this weft was built without it: build with --features {feature}"
    ))
}

/// Whether `text` can name a service.
fn is_service(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=limits::REGISTRY_NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(fits)
        && !text.bytes().all(|byte| byte == b'.')
}

/// `orders.internal:80`, if DNS can be asked for it in this build.
pub(super) fn host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = host_name(host)?;
    Some(HostPort { host, port })
}

/// A name as RFC 1035 §2.3.4 bounds it, with underscores (RFC 8552); never an address.
pub(super) fn host_name(text: &str) -> Option<HostName> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = text.len() <= 253
        && text.split('.').all(is_label)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text.parse::<IpAddr>().is_err();
    is_name.then(|| HostName(text.to_ascii_lowercase().into()))
}

/// The process's `registry`.
pub(in crate::config::read) fn registry(
    section: &mut Section<'_>,
    has_admin: bool,
    identity: Option<&Identity>,
) -> Option<Registry> {
    if !cfg!(feature = "registration") {
        let why = "this weft was built without it: build with --features registration";
        section.refuse("", why);
    }
    let token_file = file_path(section, "token_file");
    let uids = section.list("uids").into_iter();
    let uids: Vec<u32> = uids
        .filter_map(|field| field.count(0..=u32::MAX - 1))
        .collect();
    let max_services = section.count(
        "max_services",
        limits::REGISTRY_SERVICES_DEFAULT,
        1..=limits::REGISTRY_SERVICES_DEFAULT * 100,
    );
    let max_instances = section.count(
        "max_instances",
        limits::REGISTRY_INSTANCES_DEFAULT,
        1..=limits::REGISTRY_INSTANCES_DEFAULT * 10,
    );
    let max_rate = section.count("max_rate", limits::REGISTRY_RATE_DEFAULT, 1..=1_000_000);
    let is_shared = section.has("etcd");
    let etcd = section.section("etcd", |section| super::etcd::etcd(section, identity));
    let path = crate::config::read::required_path(section)?;
    let is_open = token_file.is_some() || !uids.is_empty();
    if is_open && !has_admin {
        section.refuse("", "needs `admin`: instances register there");
    }
    if !is_open && !is_shared {
        let why = "needs `token_file` or `uids`: nobody could register";
        section.refuse("", why);
    }
    Some(Registry {
        path,
        token_file,
        uids,
        max_services,
        max_instances,
        max_rate,
        etcd: etcd.flatten(),
    })
}

/// The process's `dns`.
pub(in crate::config::read) fn dns(section: &mut Section<'_>) -> Dns {
    let expected = "an IP address and port such as \"127.0.0.1:53\"";
    let servers = section.list("servers").into_iter();
    let servers = servers
        .filter_map(|field| field.parse(expected, |text| text.parse().ok()))
        .collect();
    let default = Dns::default();
    let ttl_min = section.duration("ttl_min", default.ttl_min);
    let ttl_max = section.duration("ttl_max", default.ttl_max);
    if ttl_max < ttl_min {
        section.refuse("ttl_max", "is below `ttl_min`");
    }
    Dns {
        servers,
        ttl_min,
        ttl_max,
        timeout: section.duration("timeout", default.timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, file, parse};

    #[test]
    fn a_source_that_was_not_compiled_in_is_refused_where_it_is_asked_for() {
        let read = |is_built| {
            let sources = Sources::of_text("file = \"a.json\"", "f".as_ref());
            file::read(&sources, |section| {
                let field = section.field("file")?;
                built_with(&field, is_built, "endpoint-files")
            })
        };
        assert_eq!(read(true), Ok(()));
        let errors = read(false).expect_err("refused");
        let told = errors.problems().first().expect("a problem").to_string();
        let expected = "file = \"a.json\": this weft was built without it: build with --features \
            endpoint-files";
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn this_build_takes_the_sources_that_it_has_and_refuses_the_others() {
        let [dns, files, registration] = [
            cfg!(feature = "dns"),
            cfg!(feature = "endpoint-files"),
            cfg!(feature = "registration"),
        ];
        for (cluster, is_built, feature) in [
            ("endpoints = [\"a.test:80\"]", dns, "dns"),
            ("discovery = { dns = [\"a.test:80\"] }", dns, "dns"),
            ("discovery = { srv = [\"a.test\"] }", dns, "dns"),
            ("discovery = { file = \"a.json\" }", files, "endpoint-files"),
            (
                "discovery = { registry = \"a\" }",
                registration,
                "registration",
            ),
        ] {
            let text = format!(
                "registry = {{ path = \"r\", uids = [0] }}\n\
                 admin = {{ address = \"127.0.0.1:2\" }}\n\
                 clusters = [{{ name = \"a\", {cluster} }}]\n[[listeners]]\nname = \"l\"\n\
                 address = \"127.0.0.1:1\"\n[[listeners.virtual_hosts]]\nhosts = [\"*\"]\n\
                 routes = [{{ forward = \"a\" }}]\n"
            );
            let text = match registration || feature == "registration" {
                true => text,
                false => text
                    .split_once('\n')
                    .map_or_else(String::new, |it| it.1.to_owned()),
            };
            match parse(&text, "f".as_ref()) {
                Ok(_) => assert!(is_built, "{cluster}"),
                Err(errors) => {
                    assert!(!is_built, "{cluster}: {errors}");
                    let hint = format!("build with --features {feature}");
                    assert!(errors.to_string().contains(&hint), "{cluster}: {errors}");
                }
            }
        }
    }

    #[test]
    fn registered_instances_want_a_registry() {
        let text = "clusters = [{ name = \"a\", discovery = { registry = \"a\" } }]\n\
            [[listeners]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n\
            [[listeners.virtual_hosts]]\nhosts = [\"*\"]\nroutes = [{ forward = \"a\" }]\n";
        let errors = parse(text, "f".as_ref()).expect_err("refused").to_string();
        if cfg!(feature = "registration") {
            let expected = "registry: missing, expected a table: instances of cluster `a`";
            assert!(errors.contains(expected), "{errors}");
        }
    }
}
