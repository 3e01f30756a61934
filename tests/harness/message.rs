//! The judge: reads HTTP/1.1 so strictly that only what has exactly one reading passes.
//!
//! Not a parser to learn from: it accepts less than RFC 9112 allows. Whatever two recipients could
//! read differently is [`Reading::Ambiguous`], with the reason. What the proxy sends, in either
//! direction, must pass here. It shares no code with the engine.

/// One message, with exactly the bytes that belong to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// The request or status line.
    pub(crate) start: String,
    /// Fields in order, names as sent.
    pub(crate) fields: Vec<(String, String)>,
    /// Content, without chunk framing.
    pub(crate) body: Vec<u8>,
    /// Trailer fields.
    pub(crate) trailers: Vec<(String, String)>,
    /// Bytes from the start line to the end of the content.
    pub(crate) length: usize,
}

/// What the start of some bytes is.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading {
    /// A whole message.
    Complete(Message),
    /// The start of one; more bytes may make it whole.
    Partial,
    /// Something that two readers could take for two things, and why.
    Ambiguous(String),
}

/// How the end of content is known.
enum Length {
    None,
    Sized(usize),
    Chunked,
    UntilClose,
}

/// Fields, and the bytes they took.
type Fields = (Vec<(String, String)>, usize);

/// Why reading stopped: not enough bytes, or too many meanings.
enum Stop {
    Partial,
    Ambiguous(String),
}

fn ambiguous<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Ambiguous(why.into()))
}

impl Message {
    /// The value of a field that occurs at most once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields(name);
        assert!(
            found.len() < 2,
            "{name} occurs several times in {:?}",
            self.fields
        );
        found.first().copied()
    }

    /// Every value of a field.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.fields
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The request target.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The method.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_default()
    }

    /// The content as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads a request at the start of `bytes`.
pub(crate) fn request(bytes: &[u8]) -> Reading {
    reading(read_request(bytes))
}

/// Reads a response at the start of `bytes`, which answers `method`.
///
/// `ended` says that no more bytes will come: content without a length is whole then.
pub(crate) fn response(bytes: &[u8], method: &str, ended: bool) -> Reading {
    reading(read_response(bytes, method, ended))
}

/// Every whole request in `bytes`, and what is left after them.
pub(crate) fn requests(mut bytes: &[u8]) -> (Vec<Message>, Reading) {
    let mut found = Vec::new();
    loop {
        match request(bytes) {
            Reading::Complete(message) => {
                bytes = &bytes[message.length..];
                found.push(message);
            }
            rest => return (found, rest),
        }
    }
}

fn reading(result: Result<Message, Stop>) -> Reading {
    match result {
        Ok(message) => Reading::Complete(message),
        Err(Stop::Partial) => Reading::Partial,
        Err(Stop::Ambiguous(why)) => Reading::Ambiguous(why),
    }
}

fn read_request(bytes: &[u8]) -> Result<Message, Stop> {
    let (start, after) = line(bytes)?;
    let parts: Vec<&str> = start.split(' ').collect();
    let [method, target, version] = parts[..] else {
        return ambiguous(format!("request line {start:?}"));
    };
    let odd_target = target.is_empty() || target.bytes().any(|byte| !byte.is_ascii_graphic());
    if !is_token(method) || odd_target || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return ambiguous(format!("request line {start:?}"));
    }
    let (fields, length) = read_fields(&bytes[after..])?;
    let hosts = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .count();
    if hosts != 1 {
        return ambiguous(format!("{hosts} Host fields"));
    }
    let length_of = framing(&fields)?.unwrap_or(Length::None);
    content(bytes, start, fields, after + length, length_of, false)
}

fn read_response(bytes: &[u8], method: &str, ended: bool) -> Result<Message, Stop> {
    let (start, after) = line(bytes)?;
    let status = start.get(9..12).unwrap_or_default();
    let known = start.starts_with("HTTP/1.1 ") || start.starts_with("HTTP/1.0 ");
    let digits = status.bytes().all(|byte| byte.is_ascii_digit());
    if !known
        || !digits
        || !start
            .get(12..)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    {
        return ambiguous(format!("status line {start:?}"));
    }
    let (fields, length) = read_fields(&bytes[after..])?;
    let framed = framing(&fields)?;
    let empty = method == "HEAD" || status.starts_with('1') || matches!(status, "204" | "304");
    if framed.is_some() && (status.starts_with('1') || status == "204") {
        return ambiguous(format!("{status} with a length"));
    }
    let length_of = if empty {
        Length::None
    } else {
        framed.unwrap_or(Length::UntilClose)
    };
    content(bytes, start, fields, after + length, length_of, ended)
}

fn content(
    bytes: &[u8],
    start: String,
    fields: Vec<(String, String)>,
    after: usize,
    length: Length,
    ended: bool,
) -> Result<Message, Stop> {
    let rest = &bytes[after..];
    let mut message = Message {
        start,
        fields,
        body: vec![],
        trailers: vec![],
        length: after,
    };
    match length {
        Length::None => {}
        Length::Sized(size) => {
            message.body = rest.get(..size).ok_or(Stop::Partial)?.to_vec();
            message.length += size;
        }
        Length::UntilClose if ended => {
            message.body = rest.to_vec();
            message.length = bytes.len();
        }
        Length::UntilClose => return Err(Stop::Partial),
        Length::Chunked => {
            message.length += chunks(rest, &mut message)?;
        }
    }
    Ok(message)
}

fn chunks(bytes: &[u8], message: &mut Message) -> Result<usize, Stop> {
    let mut at = 0;
    loop {
        let (size, length) = line(&bytes[at..])?;
        at += length;
        let hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(size) = usize::from_str_radix(&size, 16).ok().filter(|_| hex) else {
            return ambiguous(format!("chunk size {size:?}"));
        };
        if size == 0 {
            let (trailers, length) = read_fields(&bytes[at..])?;
            framing(&trailers)?.map_or(Ok(()), |_| ambiguous("framing in trailers"))?;
            message.trailers = trailers;
            return Ok(at + length);
        }
        message
            .body
            .extend(bytes.get(at..at + size).ok_or(Stop::Partial)?);
        at += size;
        match bytes.get(at..at + 2) {
            Some(b"\r\n") => at += 2,
            Some(_) => return ambiguous("chunk content longer than its size"),
            None => return Err(Stop::Partial),
        }
    }
}

/// Fields up to and with the empty line.
fn read_fields(bytes: &[u8]) -> Result<Fields, Stop> {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let (text, length) = line(&bytes[at..])?;
        at += length;
        if text.is_empty() {
            return Ok((fields, at));
        }
        let Some((name, value)) = text.split_once(':') else {
            return ambiguous(format!("field line {text:?}"));
        };
        if !is_token(name)
            || value
                .bytes()
                .any(|byte| (byte < b' ' && byte != b'\t') || byte == 127)
        {
            return ambiguous(format!("field line {text:?}"));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

fn framing(fields: &[(String, String)]) -> Result<Option<Length>, Stop> {
    let values = |wanted: &str| -> Vec<&str> {
        let same = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(wanted);
        fields
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    };
    match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => Ok(None),
        ([size], []) if !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit()) => {
            size.parse().map_or_else(
                |_| ambiguous("length overflow"),
                |n| Ok(Some(Length::Sized(n))),
            )
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Length::Chunked)),
        (sizes, codings) => ambiguous(format!("lengths {sizes:?}, codings {codings:?}")),
    }
}

/// One line that ends in CRLF and has no other CR, LF or NUL, and the bytes it took.
fn line(bytes: &[u8]) -> Result<(String, usize), Stop> {
    let Some(end) = bytes
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n' | 0))
    else {
        return Err(Stop::Partial);
    };
    match &bytes[end..] {
        [b'\r', b'\n', ..] => Ok((String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 2)),
        [b'\r'] => Err(Stop::Partial),
        _ => ambiguous("a bare CR, a bare LF or a NUL"),
    }
}

fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

/// The judge is judged: it must not pass what it exists to catch.
mod tests {
    use super::{Reading, request, requests, response};

    fn is_ambiguous(bytes: &str) -> bool {
        matches!(request(bytes.as_bytes()), Reading::Ambiguous(_))
    }

    #[test]
    fn two_readings_are_none() {
        for bytes in [
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nb\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nbc\r\n0\r\n\r\n",
        ] {
            assert!(is_ambiguous(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn whole_messages_are_taken_apart() {
        let bytes = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nbc\r\n0\r\nT: u\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\nGET";
        let (found, rest) = requests(bytes);
        assert_eq!((found[0].target(), &*found[0].text()), ("/a", "bc"));
        assert_eq!(found[0].trailers, [("T".to_owned(), "u".to_owned())]);
        assert_eq!(
            (found.len(), found[1].target(), rest),
            (2, "/b", Reading::Partial)
        );
    }

    #[test]
    fn responses_end_where_their_status_says() {
        let complete = |bytes: &str, method, ended| {
            matches!(
                response(bytes.as_bytes(), method, ended),
                Reading::Complete(_)
            )
        };
        assert!(complete(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            "GET",
            false
        ));
        assert!(!complete(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
            "GET",
            true
        ));
        assert!(complete(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
            "HEAD",
            false
        ));
        assert!(!complete("HTTP/1.1 200 OK\r\n\r\na", "GET", false));
        assert!(complete("HTTP/1.1 200 OK\r\n\r\na", "GET", true));
        assert!(!complete(
            "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n",
            "GET",
            true
        ));
    }
}
