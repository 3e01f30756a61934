//! The command line as a result records it: readable elsewhere, and safe to publish.
//!
//! A result is kept and passed on, so it names no folder of the machine where it was made: of an
//! absolute path only the last part is recorded, and the program is called by its name. The values
//! of fields that carry credentials are left out. Relative paths stay: they are part of what one
//! types to do it again.

use std::path::Path;

/// Fields whose values are nobody else's business.
const SECRET: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
];

/// The arguments of a program, its own name first.
pub(super) fn recorded(arguments: impl Iterator<Item = String>, temporary: &Path) -> Vec<String> {
    let written = |(index, argument): (usize, String)| match index {
        0 => last_part(&argument).to_owned(),
        _ => plain(&argument, temporary),
    };
    arguments.enumerate().map(written).collect()
}

/// An argument without secrets and without folders of this machine.
fn plain(argument: &str, temporary: &Path) -> String {
    if let Some((before, _)) = argument.split_once(':') {
        // The field may follow its option: `--header=Cookie: a`.
        let name = before.rsplit('=').next().unwrap_or(before).trim();
        if SECRET.contains(&name.to_ascii_lowercase().as_str()) {
            return format!("{before}: ...");
        }
    }
    shortened(argument, &['=', ':', '@', ','], &[','], Some(temporary))
}

/// A sentence, as a complaint of a program, without folders of this machine.
pub(crate) fn sentence(text: &str) -> String {
    const AROUND: [char; 9] = [' ', '\n', '(', ')', '`', '"', '\'', ',', ';'];
    let begins = [&AROUND[..], &['=', ':', '@']].concat();
    let ends = [&AROUND[..], &[':']].concat();
    shortened(text, &begins, &ends, None)
}

/// A text with the last part of each absolute path. A path begins at the start or after one of
/// `begins`, and ends before one of `ends`.
fn shortened(text: &str, begins: &[char], ends: &[char], temporary: Option<&Path>) -> String {
    let temporary = temporary.map(Path::to_string_lossy);
    let is_temporary = |path: &str| {
        let folder = temporary.as_deref();
        folder.is_some_and(|folder| path.starts_with(folder))
    };
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = absolute(rest, begins) {
        let (before, path) = rest.split_at(start);
        let end = path.find(ends).unwrap_or(path.len());
        let (path, after) = path.split_at(end);
        short.push_str(before);
        match is_temporary(path) || is_deep(path) {
            true => short.push_str(&format!(".../{}", last_part(path))),
            false => short.push_str(path),
        }
        rest = after;
    }
    short.push_str(rest);
    short
}

/// Where an absolute path begins; not in a URL.
fn absolute(text: &str, begins: &[char]) -> Option<usize> {
    let is_begin = |&(at, _): &(usize, &str)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|before| begins.contains(&before)) && !text[at + 1..].starts_with('/')
    };
    text.match_indices('/').find(is_begin).map(|(at, _)| at)
}

/// More than a name below the root: `/status` may as well be the path of a request.
fn is_deep(path: &str) -> bool {
    path.trim_matches('/').contains('/')
}

fn last_part(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(argument: &str, expected: &str) {
        let arguments = ["/usr/bin/loadgen", argument].map(str::to_owned);
        let written = recorded(arguments.into_iter(), Path::new("/var/scratch"));
        assert_eq!(written, ["loadgen", expected]);
    }

    #[test]
    fn folders_of_one_machine_are_left_out() {
        check("--rate", "--rate");
        check("--json=/var/scratch/loadgen-7/a.json", "--json=.../a.json");
        check("/opt/x/y.hlog", ".../y.hlog");
        check("envoy=/opt/e/envoy", "envoy=.../envoy");
        check("old=weft:/opt/e/weft", "old=weft:.../weft");
        check("@/opt/e/body", "@.../body");
        check("/opt/a/b,/opt/c/d", ".../b,.../d");
    }

    #[test]
    fn what_others_can_use_stays() {
        for argument in [
            "http://127.0.0.1:80/a/b?c=d",
            "out/run.json",
            "../before/weft",
            "/",
            "/status",
            "X-Path: a/b",
        ] {
            check(argument, argument);
        }
    }

    #[test]
    fn sentences_lose_folders_and_nothing_else() {
        for (text, expected) in [
            (
                "(looked for /opt/x/weft, weft): and/or",
                "(looked for .../weft, weft): and/or",
            ),
            (
                "weft said:\nno /opt/a/b.conf: gone",
                "weft said:\nno .../b.conf: gone",
            ),
            (
                "http://127.0.0.1:80/a/b is fine",
                "http://127.0.0.1:80/a/b is fine",
            ),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn credentials_are_left_out() {
        check("Authorization: Bearer abc", "Authorization: ...");
        check("--header=cookie: a=b", "--header=cookie: ...");
        check("X-Other: abc", "X-Other: abc");
    }
}
