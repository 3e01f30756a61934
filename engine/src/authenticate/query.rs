//! Credentials in a query: finding them, and leaving them out.
//!
//! Names are compared as they stand: a parameter whose name is needlessly percent-encoded is not
//! found, which refuses a request and never admits one. Values are decoded.

/// The value of the parameter `name`, if it occurs exactly once; the error when it occurs again.
pub(super) fn find<'a>(query: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, Repeated> {
    let mut values = query
        .split(|byte| *byte == b'&')
        .filter_map(|parameter| value_of(parameter, name));
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Repeated),
        (value, None) => Ok(value),
    }
}

/// A parameter that should be there once is there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated;

/// Decodes `%XX` and `+` into `out`. `None` when it does not fit or is no encoding.
pub(super) fn decode<'a>(value: &[u8], out: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut rest = value.iter();
    let mut used: usize = 0;
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'+' => b' ',
            b'%' => {
                let high = hexadecimal(*rest.next()?)?;
                let low = hexadecimal(*rest.next()?)?;
                (high << 4) | low
            }
            other => *other,
        };
        *out.get_mut(used)? = decoded;
        used = used.saturating_add(1);
    }
    out.get(..used)
}

/// Appends `?` and the query without the parameters of these names; nothing when nothing is left.
pub fn query_without(query: &[u8], names: &[Box<[u8]>], out: &mut Vec<u8>) {
    let mut separator = b'?';
    for parameter in query.split(|byte| *byte == b'&') {
        if names.iter().any(|name| value_of(parameter, name).is_some()) {
            continue;
        }
        out.push(separator);
        out.extend_from_slice(parameter);
        separator = b'&';
    }
}

/// The value in `name=value`; empty for a bare `name`.
fn value_of<'a>(parameter: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match parameter.strip_prefix(name)? {
        [] => Some(b""),
        [b'=', value @ ..] => Some(value),
        _ => None,
    }
}

const fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_whole_name_and_once() {
        for (query, expected) in [
            ("key=1", Ok(Some("1"))),
            ("a=b&key=1&c", Ok(Some("1"))),
            ("key", Ok(Some(""))),
            ("key=", Ok(Some(""))),
            ("keys=1&akey=2", Ok(None)),
            ("", Ok(None)),
            ("key=1&key=2", Err(Repeated)),
            ("key=a=b", Ok(Some("a=b"))),
        ] {
            let found = find(query.as_bytes(), b"key");
            assert_eq!(found, expected.map(|it| it.map(str::as_bytes)), "{query}");
        }
    }

    #[test]
    fn values_are_decoded_within_their_bound() {
        for (value, expected) in [
            ("abc", Some("abc")),
            ("a%2Bb+c", Some("a+b c")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("123456789", None),
        ] {
            let mut out = [0; 8];
            let decoded = decode(value.as_bytes(), &mut out);
            assert_eq!(decoded, expected.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn parameters_are_left_out_wherever_they_stand() {
        for (query, expected) in [
            ("key=1", ""),
            ("key=1&a=2", "?a=2"),
            ("a=2&key=1&b=3&key=4", "?a=2&b=3"),
            ("keys=1", "?keys=1"),
        ] {
            let mut out = Vec::new();
            query_without(query.as_bytes(), &[(*b"key").into()], &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{query}");
        }
    }
}
