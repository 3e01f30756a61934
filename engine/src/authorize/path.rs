//! The path as a lenient upstream may read it.
//!
//! The normalised path is what is routed and forwarded. Some upstreams go on from there: they cut
//! path parameters off (`/admin;v=1`), merge slashes, decode `%2F`, `%5C` and `%3B`, and resolve
//! the dot segments that come out. [`lenient`] does all of it at once.

/// The lenient reading of a normalised `path`, written into `storage`; `None` if it is the same.
pub(super) fn lenient<'a>(path: &[u8], storage: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let is_plain = !path.starts_with(b"/")
        || memchr::memchr2(b';', b'%', path).is_none()
            && memchr::memmem::find(path, b"//").is_none();
    if is_plain {
        return None;
    }
    storage.clear();
    let mut rest = path;
    while !rest.is_empty() {
        rest = segment(rest, storage);
    }
    if storage.is_empty() {
        storage.push(b'/');
    }
    (storage.as_slice() != path).then_some(storage.as_slice())
}

/// Appends the segment that `path` begins with, after its separators. What is left of the path.
fn segment<'a>(path: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let mut rest = path;
    while let Some(after) = separator(rest) {
        rest = after;
    }
    let start = out.len();
    out.push(b'/');
    let mut is_parameter = false;
    while let Some((byte, after)) = rest.split_first() {
        if separator(rest).is_some() {
            break;
        }
        if let Some(after) = parameter(rest) {
            is_parameter = true;
            rest = after;
            continue;
        }
        if !is_parameter {
            out.push(*byte);
        }
        rest = after;
    }
    let is_last = rest.is_empty();
    match out.get(start.saturating_add(1)..).unwrap_or_default() {
        // `/a/;x` is `/a/`.
        b"" if !is_last => out.truncate(start),
        b"." => back_to(out, start, is_last),
        b".." => {
            out.truncate(start);
            let parent = memchr::memrchr(b'/', out).unwrap_or(0);
            back_to(out, parent, is_last);
        }
        _ => {}
    }
    rest
}

/// Takes back what was written from `end` on. A last segment leaves its slash.
fn back_to(out: &mut Vec<u8>, end: usize, is_last: bool) {
    out.truncate(end);
    if is_last {
        out.push(b'/');
    }
}

/// What follows the separator that `path` begins with. Escapes are in upper case by now.
fn separator(path: &[u8]) -> Option<&[u8]> {
    match path {
        [b'/' | b'\\', rest @ ..]
        | [b'%', b'2', b'F', rest @ ..]
        | [b'%', b'5', b'C', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// What follows the semicolon that `path` begins with.
fn parameter(path: &[u8]) -> Option<&[u8]> {
    match path {
        [b';', rest @ ..] | [b'%', b'3', b'B', rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<String> {
        let mut storage = b"left over".to_vec();
        let found = lenient(path.as_bytes(), &mut storage);
        found.map(|path| String::from_utf8(path.to_vec()).expect("ASCII"))
    }

    #[test]
    fn paths_with_one_reading() {
        for path in ["/", "/a", "/a/b/", "/a%20b", "/a.b/..c", "*", ""] {
            assert_eq!(read(path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_a_lenient_upstream_reads_differently() {
        for (path, expected) in [
            ("/admin;v=1", "/admin"),
            ("/admin;v=1/users;x", "/admin/users"),
            ("/admin%3Bv=1", "/admin"),
            ("//admin", "/admin"),
            ("/a///b//", "/a/b/"),
            ("/a%2Fb", "/a/b"),
            ("/a%5Cb", "/a/b"),
            ("/x%2F..%2Fadmin", "/admin"),
            ("/x/..;/admin", "/admin"),
            ("/x/.;a/y", "/x/y"),
            ("/x/y/..;", "/x/"),
            ("/..;/..;/a", "/a"),
            ("/;x", "/"),
            ("/;x/a", "/a"),
            ("//", "/"),
            ("/a/;x", "/a/"),
            ("/%2F%2F", "/"),
        ] {
            assert_eq!(read(path).as_deref(), Some(expected), "{path}");
        }
    }
}
