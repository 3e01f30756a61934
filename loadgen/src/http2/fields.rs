//! The fields of one block, and the rules they must keep (RFC 9113 §8.2 and §8.3).
//!
//! [`Fields`] holds names and values in one buffer that is used again for every block. The readers
//! below it take a head or trailers apart and say, in a few words, what makes them malformed.

use memchr::memchr3;

use super::{FIELDS_BYTES_MAX, Fault};
use crate::http1::{decimal, is_token_byte};

/// What a field costs besides its bytes (RFC 9113 §6.5.2).
const FIELD_BYTES: usize = 32;

/// Fields, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    /// Where each name and each value ends; a name begins where the value before it ends.
    ends: Vec<[usize; 2]>,
}

impl Fields {
    /// Forgets them; the memory stays.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Are there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a field.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push([name_end, self.bytes.len()]);
        self.check()
    }

    /// Begins a field whose name `fill` appends.
    pub(crate) fn push(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        fill(&mut self.bytes)?;
        let name_end = self.bytes.len();
        self.ends.push([name_end, name_end]);
        Ok(())
    }

    /// Ends it with the value that `fill` appends.
    pub(crate) fn finish(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        fill(&mut self.bytes)?;
        if let Some([_, end]) = self.ends.last_mut() {
            *end = self.bytes.len();
        }
        self.check()
    }

    fn check(&self) -> Result<(), Fault> {
        if self.bytes.len() + FIELD_BYTES * self.ends.len() > FIELDS_BYTES_MAX {
            return Err(Fault::calm("more fields than are accepted"));
        }
        Ok(())
    }

    /// Each name and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&[name_end, value_end]| {
            let name = &self.bytes[start..name_end];
            start = value_end;
            (name, &self.bytes[name_end..value_end])
        })
    }

    /// The last one.
    pub(crate) fn last(&self) -> Option<(&[u8], &[u8])> {
        let &[name_end, value_end] = self.ends.last()?;
        let start = match self.ends.len() {
            0 | 1 => 0,
            count => self.ends[count - 2][1],
        };
        Some((
            &self.bytes[start..name_end],
            &self.bytes[name_end..value_end],
        ))
    }

    /// The value of the first field of this name.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .find(|field| field.0 == name)
            .map(|field| field.1)
    }
}

/// What makes a message malformed, in a few words.
pub(crate) type Why = &'static str;

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead {
    /// The status.
    pub status: u16,
    /// The length that its content is said to have.
    pub content_length: Option<u64>,
}

/// What the head of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead<'a> {
    /// The method.
    pub method: &'a [u8],
    /// Path and query.
    pub path: &'a [u8],
    /// The length that its content is said to have.
    pub content_length: Option<u64>,
}

/// Reads the head of an answer (RFC 9113 §8.3.2).
pub(crate) fn answer_head(fields: &Fields) -> Result<AnswerHead, Why> {
    let mut status = None;
    let content_length = fields_of(fields, |name, value| match name {
        b":status" => once(&mut status, value),
        _ => Err("a pseudo-field that answers do not have"),
    })?;
    let status = match *status.ok_or("an answer without :status")? {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            let digit = |byte: u8| u16::from(byte - b'0');
            digit(a) * 100 + digit(b) * 10 + digit(c)
        }
        _ => return Err(":status is not three digits"),
    };
    // §8.6: HTTP/2 has no 101.
    if status == 101 {
        return Err("status 101");
    }
    Ok(AnswerHead {
        status,
        content_length,
    })
}

/// Reads the head of a request (RFC 9113 §8.3.1); CONNECT is not spoken.
pub(crate) fn request_head(fields: &Fields) -> Result<RequestHead<'_>, Why> {
    let (mut method, mut scheme, mut path, mut authority) = (None, None, None, None);
    let content_length = fields_of(fields, |name, value| match name {
        b":method" => once(&mut method, value),
        b":scheme" => once(&mut scheme, value),
        b":path" => once(&mut path, value),
        b":authority" => once(&mut authority, value),
        _ => Err("a pseudo-field that requests do not have"),
    })?;
    let method = method.ok_or("a request without :method")?;
    let path = path.ok_or("a request without :path")?;
    scheme.ok_or("a request without :scheme")?;
    if method.is_empty() || !method.iter().copied().all(is_token_byte) {
        return Err(":method is not a method");
    }
    let is_path = path.starts_with(b"/") || (path == b"*" && method == b"OPTIONS");
    if !is_path || !path.iter().all(u8::is_ascii_graphic) {
        return Err(":path is not a path");
    }
    Ok(RequestHead {
        method,
        path,
        content_length,
    })
}

/// Checks trailers, which have no pseudo-fields (RFC 9113 §8.1).
pub(crate) fn trailers(fields: &Fields) -> Result<(), Why> {
    fields_of(fields, |_, _| Err("a pseudo-field in trailers")).map(drop)
}

/// Looks at every field; gives the content length.
fn fields_of<'a>(
    fields: &'a Fields,
    mut pseudo: impl FnMut(&[u8], &'a [u8]) -> Result<(), Why>,
) -> Result<Option<u64>, Why> {
    let (mut regular, mut content_length) = (false, None);
    for (name, value) in fields.iter() {
        // §8.2.1: no line end can be smuggled into a message of HTTP/1.1.
        if memchr3(b'\0', b'\r', b'\n', value).is_some() {
            return Err("a value with NUL, CR or LF");
        }
        if let (Some(b' ' | b'\t'), _) | (_, Some(b' ' | b'\t')) = (value.first(), value.last()) {
            return Err("a value with blanks around it");
        }
        if name.first() == Some(&b':') {
            // §8.3: pseudo-fields come first.
            if regular {
                return Err("a pseudo-field after a field");
            }
            pseudo(name, value)?;
            continue;
        }
        regular = true;
        if name.is_empty() || !name.iter().copied().all(is_lower_token_byte) {
            return Err("a name that is empty, has capitals or bytes that names do not have");
        }
        match name {
            // §8.2.2: HTTP/2 says these by other means.
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding"
            | b"upgrade" => return Err("a field of the connection"),
            b"te" if value != b"trailers" => return Err("te other than trailers"),
            b"content-length" => {
                let length = decimal(value).ok_or("content-length is not a number")?;
                if content_length.is_some_and(|earlier| earlier != length) {
                    return Err("two lengths");
                }
                content_length = Some(length);
            }
            _ => {}
        }
    }
    Ok(content_length)
}

/// §8.2: a name is a token without capitals.
const fn is_lower_token_byte(byte: u8) -> bool {
    is_token_byte(byte) && !byte.is_ascii_uppercase()
}

/// §8.3: a pseudo-field comes once.
fn once<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), Why> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err("a pseudo-field that comes twice"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.add(name.as_bytes(), value.as_bytes()).expect("few");
        }
        fields
    }

    #[test]
    fn rfc9113_8_3_2_answers() {
        let head = |lines: &[(&str, &str)]| answer_head(&fields(lines));
        let expected = AnswerHead {
            status: 200,
            content_length: Some(3),
        };
        assert_eq!(
            head(&[(":status", "200"), ("content-length", "3")]),
            Ok(expected)
        );
        for lines in [
            &[][..],
            &[("a", "b")],
            &[(":status", "20")],
            &[(":status", "2000")],
            &[(":status", "20a")],
            &[(":status", "099")],
            &[(":status", "101")],
            &[(":status", "200"), (":status", "200")],
            &[("a", "b"), (":status", "200")],
            &[(":status", "200"), (":path", "/")],
        ] {
            assert!(head(lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn rfc9113_8_3_1_requests() {
        let good = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/a?b"),
            (":authority", "h"),
        ];
        let fields_of_good = fields(&good);
        let head = request_head(&fields_of_good).expect("a request");
        assert_eq!((head.method, head.path), (&b"GET"[..], &b"/a?b"[..]));
        for missing in 0..3 {
            let mut lines = good.to_vec();
            lines.remove(missing);
            assert!(request_head(&fields(&lines)).is_err(), "{lines:?}");
        }
        for (at, value) in [(0, ""), (0, "G T"), (2, ""), (2, "a"), (2, "*"), (2, "/ b")] {
            let mut lines = good.to_vec();
            lines[at].1 = value;
            assert!(request_head(&fields(&lines)).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn rfc9113_8_2_names_and_values() {
        let check = |name: &str, value: &str| trailers(&fields(&[(name, value)]));
        assert_eq!(check("grpc-status", "0"), Ok(()));
        assert_eq!(check("te", "trailers"), Ok(()));
        for (name, value) in [
            ("", "v"),
            ("A", "v"),
            ("a b", "v"),
            ("a:", "v"),
            (":status", "200"),
            ("caf\u{e9}", "v"),
            ("a", " v"),
            ("a", "v\t"),
            ("a", "v\r\nb: c"),
            ("a", "v\0"),
            ("connection", "close"),
            ("keep-alive", "1"),
            ("proxy-connection", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "x"),
            ("te", "gzip"),
            ("content-length", "-1"),
            ("content-length", "1,1"),
        ] {
            assert!(check(name, value).is_err(), "{name}: {value:?}");
        }
        let twice = [("content-length", "1"), ("content-length", "2")];
        assert!(trailers(&fields(&twice)).is_err());
    }
}
