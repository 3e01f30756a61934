//! The head of a request for HTTP/2: a field block, prepared (RFC 9113 §8.3.1).
//!
//! What all requests of a kind share is encoded once; the path is, too, if it is always the same.
//! Nothing in it enters the peer's dynamic table, so it means the same on every connection.

use super::request::Path;
use crate::http2::hpack::encode::{push_field, push_made, push_named};
use crate::http2::hpack::table::name;
use crate::target::Field;

/// Fields of a connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
const OF_CONNECTION: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// Is this a field that cannot be sent over HTTP/2?
pub(crate) fn is_of_connection(field: &Field) -> bool {
    let other_te = field.is("te") && !field.value().eq_ignore_ascii_case("trailers");
    other_te || OF_CONNECTION.iter().any(|name| field.is(name))
}

/// The parts of a field block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Method, scheme, authority; the path as well if it is always the same.
    before: Vec<u8>,
    has_path: bool,
    /// The other fields.
    after: Vec<u8>,
}

impl Block {
    /// Prepares one; fields that HTTP/2 does not have are left out.
    pub(super) fn new(
        method: &str,
        scheme: &str,
        authority: &str,
        path: &Path,
        fields: &[Field],
    ) -> Self {
        let mut before = Vec::new();
        push_field(&mut before, b":method", method.as_bytes());
        push_field(&mut before, b":scheme", scheme.as_bytes());
        push_named(&mut before, name::AUTHORITY, authority.as_bytes());
        if let Some(path) = path.always() {
            push_field(&mut before, b":path", path.as_bytes());
        }
        let mut after = Vec::new();
        for field in fields.iter().filter(|field| !is_of_connection(field)) {
            // §8.2: names are lower case.
            let name = field.name().to_ascii_lowercase();
            push_field(&mut after, name.as_bytes(), field.value().as_bytes());
        }
        Self {
            before,
            has_path: path.always().is_some(),
            after,
        }
    }

    /// Appends it, with the path that `path` appends unless it is always the same, and with the
    /// length of the content if that is to be told.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        path: impl FnOnce(&mut Vec<u8>),
        length: Option<usize>,
    ) {
        out.extend_from_slice(&self.before);
        if !self.has_path {
            push_made(out, name::PATH, path);
        }
        out.extend_from_slice(&self.after);
        if let Some(length) = length {
            push_made(out, name::CONTENT_LENGTH, |out| {
                super::request::push_decimal(out, length as u64);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::fields::Fields;
    use crate::http2::hpack::decode::Decoder;

    fn read(block: &Block, path: &Path, length: Option<usize>) -> String {
        let (mut out, mut fields) = (Vec::new(), Fields::default());
        block.write(&mut out, |out| path.write(out, 42), length);
        Decoder::new().decode(&out, &mut fields).expect("a block");
        let lines = fields
            .iter()
            .map(|(name, value)| [name, b"=", value, b" "].concat());
        String::from_utf8(lines.collect::<Vec<_>>().concat()).expect("text")
    }

    #[test]
    fn rfc9113_8_3_1_a_block_holds_what_a_request_has() {
        let fields = ["Accept: a", "Connection: close", "TE: gzip", "te: trailers"];
        let fields = fields.map(|field| Field::parse(field).expect("a field"));
        let start = ":method=GET :scheme=http :authority=h:1 :path=";
        let long = format!("/{}", "x".repeat(300));
        for (path, expected) in [
            (Path::fixed("/p?q".into()), "/p?q"),
            (Path::numbered("/n/{n}"), "/n/42"),
            (
                Path::numbered(&format!("{long}{{n}}")),
                &format!("{long}42"),
            ),
        ] {
            let block = Block::new("GET", "http", "h:1", &path, &fields);
            let expected = format!("{start}{expected} accept=a te=trailers ");
            assert_eq!(read(&block, &path, None), expected);
            let expected = expected + "content-length=65536 ";
            assert_eq!(read(&block, &path, Some(65_536)), expected);
        }
    }
}
