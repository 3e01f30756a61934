//! One kind of request: its parts, and how it goes over HTTP/1.1.
//!
//! What all requests of a kind share is prepared before the run; what each has of its own (its
//! path, the length of its content) is written when it is sent. A field given by the user replaces
//! ours, so a `Content-Length` or `Host` of their own goes out as it is.

use std::io::Write as _;

use super::block::Block;
use crate::target::{Field, Url};

/// A path in which `{n}` stands for the number of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    text: String,
    /// Where numbers go into `text`, from left to right.
    holes: Vec<usize>,
}

impl Path {
    /// What stands for the number.
    const NUMBER: &str = "{n}";

    /// The same path for every request, whatever stands in it.
    pub(crate) const fn fixed(text: String) -> Self {
        Self {
            text,
            holes: Vec::new(),
        }
    }

    /// A path whose `{n}` are filled in.
    pub(crate) fn numbered(text: &str) -> Self {
        let mut path = Self::fixed(String::with_capacity(text.len()));
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(Self::NUMBER) {
            path.text.push_str(before);
            path.holes.push(path.text.len());
            rest = after;
        }
        path.text.push_str(rest);
        path
    }

    /// The path, if it is the same for every request.
    pub(super) fn always(&self) -> Option<&str> {
        self.holes.is_empty().then_some(&*self.text)
    }

    /// Appends the path of request `number`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, number: u64) {
        let text = self.text.as_bytes();
        let mut from = 0;
        for &hole in &self.holes {
            out.extend_from_slice(&text[from..hole]);
            push_decimal(out, number);
            from = hole;
        }
        out.extend_from_slice(&text[from..]);
    }
}

/// What all requests of a kind have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Method.
    pub method: String,
    /// Scheme of the URL.
    pub scheme: &'static str,
    /// What `Host` says.
    pub authority: String,
    /// Path and query.
    pub path: Path,
    /// The other fields, as given; never `Host`.
    pub fields: Vec<Field>,
    /// Is the length of the content told by us?
    pub tells_length: bool,
    /// HEAD: the answer will have no body, whatever it says.
    pub is_head: bool,
    /// A gRPC call: the content is a message and goes out with its prefix.
    pub is_call: bool,
    /// HTTP/1.1: what stands between path and `Content-Length`.
    after_path: Vec<u8>,
    /// The head for HTTP/2.
    block: Block,
}

impl Request {
    /// Prepares it. `has_content` says whether requests of this kind have content, be it empty.
    pub(crate) fn new(
        url: &Url,
        method: &str,
        path: Path,
        fields: &[Field],
        has_content: bool,
    ) -> Self {
        // A call has one method only.
        let method = if url.is_call() { "POST" } else { method };
        let given = |name: &str| fields.iter().find(|field| field.is(name));
        let host = given("host").map_or_else(|| url.authority(), Field::value);
        let name = given("host").map_or("Host", Field::name);
        let mut after_path = format!(" HTTP/1.1\r\n{name}: {host}\r\n").into_bytes();
        let others = || fields.iter().filter(|field| !field.is("host"));
        for field in others() {
            for part in [field.name(), ": ", field.value(), "\r\n"] {
                after_path.extend_from_slice(part.as_bytes());
            }
        }
        let fields_sent: Vec<Field> = others().cloned().collect();
        Self {
            block: Block::new(method, url.scheme(), host, &path, &fields_sent),
            method: method.into(),
            scheme: url.scheme(),
            authority: host.into(),
            path,
            fields: fields_sent,
            is_call: url.is_call(),
            tells_length: has_content
                && given("content-length").is_none()
                && given("transfer-encoding").is_none(),
            is_head: method == "HEAD",
            after_path,
        }
    }

    /// Appends the head for HTTP/2, as a field block, likewise.
    pub(crate) fn write_block(
        &self,
        out: &mut Vec<u8>,
        path: impl FnOnce(&mut Vec<u8>),
        length: usize,
    ) {
        let length = (self.tells_length && !self.is_call).then_some(length);
        self.block.write(out, path, length);
    }

    /// Appends the head for HTTP/1.1, with the empty line, of a request with `length` bytes of
    /// content and the path that `path` appends.
    pub(crate) fn write_head(
        &self,
        out: &mut Vec<u8>,
        path: impl FnOnce(&mut Vec<u8>),
        length: usize,
    ) {
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        path(out);
        out.extend_from_slice(&self.after_path);
        if self.tells_length {
            out.extend_from_slice(b"Content-Length: ");
            push_decimal(out, length as u64);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Bytes of content that make a request of this kind `whole` bytes long over HTTP/1.1, when
    /// its path has `path_bytes`; 0 when the head alone is as long.
    pub(crate) fn content_of(&self, whole: u64, path_bytes: usize) -> u64 {
        let head = |length: u64| {
            let mut head = Vec::new();
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            self.write_head(&mut head, |_| {}, length);
            (head.len() + path_bytes) as u64
        };
        let most = whole.saturating_sub(head(0));
        // The length takes up to twenty digits itself, so it may be less than that by as much.
        let fits = |&length: &u64| head(length) + length <= whole;
        (most.saturating_sub(20)..=most)
            .rev()
            .find(fits)
            .unwrap_or(0)
    }
}

/// Makes the head at the end of `out` say that its request is the last of the connection
/// (RFC 9112 §9.6).
pub(crate) fn announce_close(out: &mut Vec<u8>) {
    // The empty line moves behind the new field.
    out.truncate(out.len().saturating_sub(2));
    out.extend_from_slice(b"Connection: close\r\n\r\n");
}

pub(super) fn push_decimal(out: &mut Vec<u8>, number: u64) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, fields: &[&str], has_content: bool) -> Request {
        let url = Url::parse("http://h:1/p?q").expect("a URL");
        let fields: Vec<Field> = fields
            .iter()
            .map(|field| Field::parse(field).expect("a field"))
            .collect();
        Request::new(&url, method, url.path(), &fields, has_content)
    }

    fn head(request: &Request, length: usize) -> String {
        let mut out = Vec::new();
        request.write_head(&mut out, |out| request.path.write(out, 7), length);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn heads_hold_what_is_told_once() {
        let get = request("GET", &[], false);
        assert_eq!(head(&get, 0), "GET /p?q HTTP/1.1\r\nHost: h:1\r\n\r\n");
        let post = request("POST", &["host: x", "A:b c "], true);
        assert_eq!(
            head(&post, 3),
            "POST /p?q HTTP/1.1\r\nhost: x\r\nA: b c\r\nContent-Length: 3\r\n\r\n"
        );
        assert_eq!((post.authority.as_str(), post.fields.len()), ("x", 1));
        assert!(head(&post, 0).contains("Content-Length: 0\r\n"));
        assert!(request("HEAD", &[], false).is_head);
    }

    #[test]
    fn the_users_framing_replaces_ours() {
        for field in ["content-length: 9", "Transfer-Encoding: chunked"] {
            let post = request("POST", &[field], true);
            let head = head(&post, 3);
            assert!(head.contains(field) && !head.contains(": 3"), "{head}");
        }
    }

    #[test]
    fn content_fills_a_request_up_to_its_whole_length() {
        let post = request("POST", &[], true);
        let is_all_nines = |content: u64| content.to_string().bytes().all(|digit| digit == b'9');
        for whole in [
            62_u64, 63, 71, 72, 73, 74, 162, 163, 1_061, 1_062, 1_063, 100_000,
        ] {
            let content = post.content_of(whole, 4);
            let sent = head(&post, content as usize).len() as u64 + content;
            // Where one byte more of content needs a digit more to tell, one byte is missing.
            assert!(
                sent == whole || (sent + 1 == whole && is_all_nines(content)),
                "{whole}: {content}"
            );
        }
        assert_eq!((post.content_of(0, 4), post.content_of(20, 4)), (0, 0));
    }

    #[test]
    fn numbers_are_filled_into_paths() {
        let written = |path: Path| {
            let mut out = Vec::new();
            path.write(&mut out, 42);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(written(Path::numbered("/a")), "/a");
        assert_eq!(written(Path::numbered("/{n}/x?y={n}")), "/42/x?y=42");
        assert_eq!(written(Path::numbered("{n}{n}{m}")), "4242{m}");
        assert_eq!(written(Path::fixed("/{n}".into())), "/{n}");
    }
}
