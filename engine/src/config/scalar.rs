//! The text forms of single values: durations, sizes, core lists, addresses.
//!
//! Each form is read and written here, so that what `/config_dump` prints can be read again.
//! Readers return `None` for text that is not of the form; the caller knows where it stood and
//! says what was expected there.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serializer;

use super::model::{Address, EndpointAddress};
use crate::limits;

/// Units of time, largest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size, largest first, in bytes.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// `250ms`, `1h30m`: whole numbers with units, each smaller than the one before.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut unit_before = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, tail) = tail.split_at(letters);
        let unit = TIME_UNITS.iter().find(|unit| unit.0 == name)?.1;
        if unit >= unit_before {
            return None;
        }
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        unit_before = unit;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

/// A duration as [`parse_duration`] reads it; what is below a millisecond is left out.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, unit) in TIME_UNITS {
        if rest >= unit {
            let _ = write!(text, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// `64KiB`, `1MB`, `512B`: a whole number with a unit. `0` needs none.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, name) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    if number == 0 && name.is_empty() {
        return Some(0);
    }
    number.checked_mul(SIZE_UNITS.iter().find(|unit| unit.0 == name)?.1)
}

pub(super) fn format_size(bytes: u64) -> String {
    SIZE_UNITS
        .iter()
        .find(|unit| bytes >= unit.1 && bytes.is_multiple_of(unit.1))
        .map_or_else(
            || "0".to_owned(),
            |(name, unit)| format!("{}{name}", bytes / unit),
        )
}

/// `0-3,8`: cores as `taskset --cpu-list` takes them, each at most once.
pub(super) fn parse_cpus(text: &str, cpu_max: usize) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_digits(first)?, parse_digits(last)?);
        if first > last || last > cpu_max {
            return None;
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return None;
            }
            cpus.push(cpu);
        }
    }
    Some(cpus)
}

fn parse_digits(text: &str) -> Option<usize> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/weft.sock`.
pub fn parse_address(text: &str) -> Option<Address> {
    match text.strip_prefix("unix:") {
        Some(path) => is_socket_path(path).then(|| Address::Unix(path.into())),
        None => text.parse().ok().map(Address::Tcp),
    }
}

/// An address as above with a port to connect to, or `builtin:echo`.
pub(super) fn parse_endpoint_address(text: &str) -> Option<EndpointAddress> {
    if text == "builtin:echo" {
        return Some(EndpointAddress::BuiltinEcho);
    }
    match parse_address(text)? {
        Address::Tcp(address) => is_reachable(address).then_some(EndpointAddress::Tcp(address)),
        Address::Unix(path) => Some(EndpointAddress::Unix(path)),
    }
}

/// `sun_path` holds 108 bytes with the final NUL.
fn is_socket_path(path: &str) -> bool {
    path.starts_with('/') && path.len() < 108 && !path.contains('\0')
}

fn is_reachable(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified()
}

pub(super) fn serialize_duration<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

pub(super) fn serialize_duration_limit<S: Serializer>(
    limit: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serialize_or_off(&limit.map(format_duration), serializer)
}

pub(super) fn serialize_size<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_size(*bytes))
}

pub(super) fn serialize_size_limit<S: Serializer>(
    limit: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match limit {
        Some(bytes) => serialize_size(bytes, serializer),
        None => serializer.serialize_str("unlimited"),
    }
}

pub(super) fn serialize_count_limit<S: Serializer>(
    limit: &Option<u32>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match limit {
        Some(count) => serializer.serialize_u32(*count),
        None => serializer.serialize_str("unlimited"),
    }
}

pub(super) fn serialize_or_off<T: Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_str("off"),
    }
}

pub(super) fn serialize_cpus<S: Serializer>(
    cpus: &Option<Vec<usize>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let cpus = cpus.as_deref().unwrap_or_default();
    let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
    serializer.serialize_str(&list.join(","))
}

/// What fits a line of a message.
pub(crate) fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line
        .chars()
        .take(limits::CONFIG_ERROR_VALUE_CHARS)
        .collect();
    if cut.len() < text.len() {
        cut + "..."
    } else {
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |n| Some(Duration::from_millis(n));
        for (text, expected) in [
            ("250ms", ms(250)),
            ("1h30m", ms(5_400_000)),
            ("1d", ms(86_400_000)),
            ("0s", ms(0)),
            ("1s500ms", ms(1500)),
            ("", None),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("30m1h", None),
            ("1s1s", None),
            ("1S", None),
            ("999999999999d", None),
            ("18446744073709551616ms", None),
            ("5us", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
        for text in ["250ms", "1h30m", "1d", "0s", "1s500ms"] {
            assert_eq!(
                parse_duration(text).map(format_duration).as_deref(),
                Some(text)
            );
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("64KiB", Some(65536)),
            ("1MiB", Some(1 << 20)),
            ("1MB", Some(1_000_000)),
            ("512B", Some(512)),
            ("0", Some(0)),
            ("512", None),
            ("", None),
            ("KiB", None),
            ("1kib", None),
            ("1 KiB", None),
            ("-1B", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text:?}");
        }
        for text in ["64KiB", "1MiB", "1MB", "513B", "0", "3GiB"] {
            assert_eq!(parse_size(text).map(format_size).as_deref(), Some(text));
        }
    }

    #[test]
    fn cpu_lists() {
        for (text, expected) in [
            ("0-3,8", Some(vec![0, 1, 2, 3, 8])),
            ("5", Some(vec![5])),
            ("", None),
            ("3-1", None),
            ("1,1", None),
            ("0-3,2", None),
            ("a", None),
            ("+1", None),
            ("1,", None),
            ("0-1024", None),
        ] {
            assert_eq!(parse_cpus(text, 1023), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "unix:/run/x.sock",
            "0.0.0.0:0",
        ] {
            assert_eq!(
                parse_address(text).map(|a| a.to_string()).as_deref(),
                Some(text)
            );
        }
        for text in [
            "",
            "localhost:80",
            "127.0.0.1",
            ":80",
            "::1:80",
            "unix:",
            "unix:run/x",
        ] {
            assert_eq!(parse_address(text), None, "{text:?}");
        }
        assert_eq!(parse_address(&format!("unix:/{}", "x".repeat(108))), None);
        assert_eq!(
            parse_endpoint_address("builtin:echo"),
            Some(EndpointAddress::BuiltinEcho)
        );
        for text in ["0.0.0.0:80", "127.0.0.1:0", "builtin:sink"] {
            assert_eq!(parse_endpoint_address(text), None, "{text:?}");
        }
    }
}
