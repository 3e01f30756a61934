//! Source text with comments and literals blanked, so that a search finds code only.
//!
//! `code` and `comments` have the length and the line breaks of the text they came from: an
//! offset found in one is an offset in all of them. The scanner knows line and nested block
//! comments, plain, raw, byte and C strings, and tells a character from a lifetime. It is no
//! parser: it does not need the text to compile.

/// One text, split by kind.
pub(crate) struct Masked {
    /// The text with comments, strings and character literals turned into spaces.
    pub(crate) code: String,
    /// The text with everything but comments turned into spaces.
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Splits `text`.
pub(crate) fn mask(text: &str) -> Masked {
    let bytes = text.as_bytes();
    let mut kinds = vec![Kind::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let (length, kind) = token(bytes, at);
        kinds[at..at + length].fill(kind);
        at += length;
    }
    Masked {
        code: keep(bytes, &kinds, Kind::Code),
        comments: keep(bytes, &kinds, Kind::Comment),
    }
}

fn keep(bytes: &[u8], kinds: &[Kind], kept: Kind) -> String {
    let blanked: Vec<u8> = bytes
        .iter()
        .zip(kinds)
        .map(|(&byte, &kind)| {
            if byte == b'\n' || kind == kept {
                byte
            } else {
                b' '
            }
        })
        .collect();
    String::from_utf8_lossy(&blanked).into_owned()
}

/// Length and kind of what starts at `at`.
fn token(bytes: &[u8], at: usize) -> (usize, Kind) {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => (until(rest, b'\n'), Kind::Comment),
        [b'/', b'*', ..] => (block_comment(rest), Kind::Comment),
        [b'"', ..] => (string(rest), Kind::Literal),
        [b'\'', ..] => character(rest).map_or((1, Kind::Code), |length| (length, Kind::Literal)),
        [first, ..] if first.is_ascii_alphabetic() || *first == b'_' => word(rest),
        _ => (1, Kind::Code),
    }
}

fn until(rest: &[u8], end: u8) -> usize {
    rest.iter()
        .position(|&byte| byte == end)
        .unwrap_or(rest.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// `rest` starts with the opening quote.
fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal, or nothing for a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|&byte| byte == b'\'')?;
        return Some(close + 4);
    }
    // One character of at most four bytes, then the quote.
    let close = rest
        .iter()
        .skip(2)
        .take(4)
        .position(|&byte| byte == b'\'')?
        + 2;
    let text = std::str::from_utf8(&rest[1..close]).ok()?;
    (text.chars().count() == 1).then_some(close + 1)
}

/// An identifier, or a literal with a prefix: `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'…'`.
fn word(rest: &[u8]) -> (usize, Kind) {
    let end = rest
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .unwrap_or(rest.len());
    let after = &rest[end..];
    match (&rest[..end], after.first()) {
        (b"b" | b"c", Some(b'"')) => (end + string(after), Kind::Literal),
        (b"b", Some(b'\'')) => match character(after) {
            Some(length) => (end + length, Kind::Literal),
            None => (end, Kind::Code),
        },
        (b"r" | b"br" | b"cr", Some(b'"' | b'#')) => match raw_string(after) {
            Some(length) => (end + length, Kind::Literal),
            None => (end, Kind::Code),
        },
        _ => (end, Kind::Code),
    }
}

fn raw_string(after: &[u8]) -> Option<usize> {
    let hashes = after.iter().take_while(|&&byte| byte == b'#').count();
    if after.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let body = &after[hashes + 1..];
    let found = body
        .windows(close.len())
        .position(|window| window == close)?;
    Some(hashes + 1 + found + close.len())
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn literals_and_comments_are_told_from_code() {
        let text =
            "let a = \"x // y\"; // z \"\nlet b = r#\"\"q\"#; /* a /* b */ c */ let c = 'x';";
        let masked = mask(text);
        assert_eq!(masked.code.len(), text.len());
        assert!(!masked.code.contains('x') && !masked.code.contains('y'));
        assert!(!masked.code.contains('z') && !masked.code.contains('q'));
        assert!(masked.code.contains("let b =") && masked.code.contains("let c ="));
        assert!(masked.comments.contains("// z \"") && masked.comments.contains("b */ c"));
        assert!(!masked.comments.contains("// y"));
    }

    #[test]
    fn lifetimes_are_code_and_escaped_quotes_are_not_an_end() {
        let masked = mask("fn f<'a>(s: &'a str) -> char { let q = '\\''; b'\"'; \"\\\"\"; g() }");
        assert!(masked.code.contains("fn f<'a>(s: &'a str)"));
        assert!(masked.code.contains("g() }"));
        assert!(!masked.code.contains('"'));
    }
}
