//! How a registry is shared, from the file to the model: a registry's `etcd`.
//!
//! In: the table. Out: members, prefix, login, trust and times, within their bounds. What the files
//! that it names hold is not looked at here. Pure.

use std::net::IpAddr;
use std::time::Duration;

use super::discovery::{built_with, host_name};
use crate::config::file::{Field, Section};
use crate::config::model::{ClusterTls, Etcd, EtcdEndpoint, EtcdLogin, Identity};
use crate::config::read::{file_path, tls};
use crate::config::scalar::format_duration;
use crate::limits;

const ENDPOINT: &str = "the URL of a member such as \"http://10.0.0.1:2379\", without a path";
const PREFIX: &str =
    "a text such as \"/weft/services\": from `/`, no `/` at the end, visible ASCII";
/// Where etcd serves its clients if nothing else is said.
const PORT: u16 = 2379;

/// A registry's `etcd`.
pub(super) fn etcd(section: &mut Section<'_>, identity: Option<&Identity>) -> Option<Etcd> {
    let fields = section.some_list("endpoints", "at least one URL of a member");
    let endpoints: Vec<EtcdEndpoint> = fields
        .into_iter()
        .filter_map(|field| {
            built_with(&field, cfg!(feature = "etcd"), "etcd")?;
            field.parse(ENDPOINT, endpoint)
        })
        .collect();
    let prefix = section.field("prefix");
    let prefix = prefix.and_then(|field| field.parse(PREFIX, prefix_of));
    let login = login(section);
    let tls = section.section("tls", |section| tls_of(section, identity));
    let is_plain = !endpoints.is_empty() && endpoints.iter().all(|endpoint| !endpoint.is_secure);
    if tls.is_some() && is_plain {
        section.refuse("tls", "has no use while no endpoint is `https`");
    }
    let lease_ttl = section.duration("lease_ttl", limits::ETCD_LEASE_DEFAULT);
    let (least, most) = (limits::ETCD_LEASE_MIN, limits::ETCD_LEASE_MAX);
    if !(least..=most).contains(&lease_ttl) || !is_whole(lease_ttl) {
        let (least, most) = (format_duration(least), format_duration(most));
        let why = format!("expected whole seconds from {least} to {most}");
        section.refuse("lease_ttl", &why);
    }
    let timeout = section.duration("timeout", limits::ETCD_TIMEOUT_DEFAULT);
    if timeout > limits::ETCD_TIMEOUT_MAX {
        let most = format_duration(limits::ETCD_TIMEOUT_MAX);
        section.refuse("timeout", &format!("is above {most}"));
    }
    Some(Etcd {
        endpoints,
        prefix: prefix.unwrap_or_else(|| limits::ETCD_PREFIX_DEFAULT.to_owned()),
        login,
        tls: tls.flatten(),
        lease_ttl,
        timeout,
    })
}

/// What is shown and trusted. An identity that is not in files is not known to who reads files.
fn tls_of(section: &mut Section<'_>, identity: Option<&Identity>) -> Option<ClusterTls> {
    let in_files = identity.filter(|identity| identity.workload_api().is_none());
    let is_whole = section.has("ca") && section.has("certificate");
    if identity.is_some() && in_files.is_none() && section.has("identity") && !is_whole {
        let why = "needs `ca` and `certificate`: the Workload API's are not used for etcd";
        section.refuse("identity", why);
    }
    tls::cluster(section, in_files)
}

fn login(section: &mut Section<'_>) -> Option<EtcdLogin> {
    let expected = "the name of a user of etcd";
    let user = section.field("user").and_then(|field: Field<'_>| {
        let is_name = |text: &&str| !text.is_empty() && !text.contains(char::is_control);
        field.parse(expected, |text| {
            Some(text).filter(is_name).map(str::to_owned)
        })
    });
    let password_file = file_path(section, "password_file");
    if section.has("user") && !section.has("password_file") {
        section.missing("password_file", "the file with the password of `user`");
    }
    if section.has("password_file") && !section.has("user") {
        section.missing("user", expected);
    }
    Some(EtcdLogin {
        user: user?,
        password_file: password_file?,
    })
}

fn is_whole(duration: Duration) -> bool {
    duration.subsec_nanos() == 0
}

fn endpoint(text: &str) -> Option<EtcdEndpoint> {
    let (scheme, rest) = text.split_once("://")?;
    let is_secure = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':')?),
            };
            host.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6)?;
            (host, port)
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let is_host = host.parse::<IpAddr>().is_ok() || host_name(host).is_some();
    let port = port.map_or(Some(PORT), |port| port.parse().ok());
    Some(EtcdEndpoint {
        is_secure,
        host: is_host.then(|| host.to_ascii_lowercase())?,
        port: port.filter(|port| *port != 0)?,
    })
}

fn prefix_of(text: &str) -> Option<String> {
    let fits = text.starts_with('/')
        && !text.ends_with('/')
        && text.len() <= limits::ETCD_PREFIX_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_a_url_without_a_path() {
        for (text, expected) in [
            ("http://10.0.0.1:2379", "http://10.0.0.1:2379"),
            ("https://Etcd.internal/", "https://etcd.internal:2379"),
            ("http://[::1]", "http://[::1]:2379"),
            ("https://[::1]:99", "https://[::1]:99"),
        ] {
            let endpoint = endpoint(text).expect("a member");
            assert_eq!(endpoint.to_string(), expected);
        }
        for text in [
            "10.0.0.1:2379",
            "ftp://a:1",
            "http://a:0",
            "http://a:1/v3",
            "http://[10.0.0.1]:1",
            "http://[::1]1",
            "http://::1",
            "http://",
        ] {
            assert_eq!(endpoint(text), None, "{text}");
        }
    }

    #[test]
    fn keys_begin_as_paths_do() {
        assert!(prefix_of("/weft/services").is_some());
        for text in ["", "/", "weft", "/weft/", "/we ft"] {
            assert_eq!(prefix_of(text), None, "{text}");
        }
    }
}
