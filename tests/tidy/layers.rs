//! Who may import whom in `engine/src`, who may name which crate, and what pure steps may not do.
//!
//! A module imports modules of a lower rank; a step also imports steps to its left, in the order a
//! request meets them. Tests inside a module are free to import more.

use super::source::{Breach, Source, identifier, words};

/// Modules of the engine: rank, then place in the order of the steps.
const RANKS: &[(&str, u8, u8)] = &[
    ("limits", 0, 0),
    ("config", 1, 0),
    ("io", 1, 0),
    ("tls", 2, 0),
    ("http", 2, 0),
    ("accept", 3, 1),
    ("authenticate", 3, 2),
    ("route", 3, 3),
    ("authorize", 3, 4),
    ("balance", 3, 5),
    ("forward", 3, 6),
    ("record", 4, 0),
    ("proxy", 5, 0),
    ("shard", 6, 0),
    ("control", 7, 0),
    ("main", 7, 1),
];

/// `http` sees bytes only, whatever its rank would allow.
const FORBIDDEN: &[(&str, &[&str])] = &[("http", &["config", "io", "tls"])];

/// Crates that only some modules name, and why.
const CRATES: &[(&str, &[&str], &str)] = &[
    (
        "glommio",
        &["io", "shard"],
        "the runtime can be replaced by changing two folders",
    ),
    (
        "io_uring",
        &["io"],
        "ring operations own their memory in one place",
    ),
    (
        "rustls",
        &["tls"],
        "its next major version changes the API the engine would see",
    ),
    (
        "aws_lc_rs",
        &["tls", "authenticate", "balance"],
        "secrets stay where they are compared",
    ),
    ("httparse", &["http"], "bytes become a message in one place"),
    (
        "tokio",
        &["control", "main"],
        "the data path has no second runtime",
    ),
    ("hyper", &["control"], "the data path has no HTTP framework"),
    ("toml", &["config"], "the file format does not leak"),
    (
        "hdrhistogram",
        &["record"],
        "the other modules hand over an Outcome",
    ),
    (
        "regex",
        &["route", "config"],
        "patterns are compiled with the route table",
    ),
];

/// Steps that are values in, values out.
const PURE: &[&str] = &[
    "http",
    "authenticate",
    "route",
    "authorize",
    "balance",
    "record",
];

/// What a pure step must not contain.
const IMPURE: &[(&str, &str)] = &[
    ("async", "a pure step cannot wait"),
    ("await", "a pure step cannot wait"),
    (
        "thread_local",
        "a pure step has no globals: its caller hands state in",
    ),
    (
        "OnceLock",
        "a pure step has no globals: its caller hands state in",
    ),
    (
        "LazyLock",
        "a pure step has no globals: its caller hands state in",
    ),
    (
        "OnceCell",
        "a pure step has no globals: its caller hands state in",
    ),
    ("SystemTime::now", "time is an argument called `now`"),
    ("Instant::now", "time is an argument called `now`"),
    ("clock::now", "time is an argument called `now`"),
    ("clock::wall", "time is an argument called `now`"),
    ("std::fs", "a pure step does no I/O"),
    ("TcpStream", "a pure step does no I/O"),
    ("UnixStream", "a pure step does no I/O"),
    ("println", "a pure step does no I/O"),
    ("eprintln", "a pure step does no I/O"),
];

/// All layer rules for one file.
pub(crate) fn check(source: &Source, breaches: &mut Vec<Breach>) {
    if source.is_test() || !source.is_rust() {
        return;
    }
    if source.path.starts_with("loadgen/") {
        judge_apart(source, breaches);
    }
    let Some(module) = module_of(&source.path) else {
        return;
    };
    crates(source, module, breaches);
    if module == "lib" {
        return;
    }
    for (at, target) in imports(source) {
        if let Some(why) = forbidden(module, &target) {
            breaches.push(source.breach(source.line_of(at), "layers", why));
        }
    }
    if PURE.contains(&module) {
        for &(word, why) in IMPURE {
            for at in words(&source.code, word) {
                let why = format!("`{word}` in `{module}`, which is pure: {why}");
                breaches.push(source.breach(source.line_of(at), "purity", why));
            }
        }
    }
}

/// The generator shares no protocol code with the engine.
fn judge_apart(source: &Source, breaches: &mut Vec<Breach>) {
    for at in words(&source.code, "engine") {
        let after = &source.code[at + "engine".len()..];
        let Some(path) = after.trim_start().strip_prefix("::") else {
            continue;
        };
        for target in first_segments(path) {
            if target != "io" {
                let why = format!(
                    "`engine::{target}`: the load generator may use `engine::io` and nothing \
                     else, since a judge that shares the parser shares the bug"
                );
                breaches.push(source.breach(source.line_of(at), "layers", why));
            }
        }
    }
}

fn crates(source: &Source, module: &str, breaches: &mut Vec<Breach>) {
    for &(name, homes, reason) in CRATES {
        if homes.contains(&module) {
            continue;
        }
        for at in words(&source.code, name) {
            // A path or an import; a field or a local of that name is none.
            let before = source.code[..at].trim_end();
            let after = &source.code[at + name.len()..];
            let imported = before.ends_with("use") && after.trim_start().starts_with(';');
            let is_path = after.starts_with("::") && !before.ends_with("::");
            if is_path || imported {
                let why = format!("`{name}` is named only in {homes:?}: {reason}");
                breaches.push(source.breach(source.line_of(at), "layers", why));
            }
        }
    }
}

/// The module of the engine a path belongs to.
fn module_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("engine/src/")?;
    let first = rest.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

fn rank(module: &str) -> Option<(u8, u8)> {
    RANKS
        .iter()
        .find(|(name, ..)| *name == module)
        .map(|&(_, rank, step)| (rank, step))
}

/// Why `module` must not import `target`, if it must not.
fn forbidden(module: &str, target: &str) -> Option<String> {
    if module == target {
        return None;
    }
    let Some(from) = rank(module) else {
        return Some(format!(
            "module `{module}` has no rank: add it to the layer table"
        ));
    };
    // Names that are no module (macros, re-exports of lib.rs) would hide an edge.
    let Some(to) = rank(target) else {
        return Some(format!("`crate::{target}` is no module of the layer table"));
    };
    let banned = FORBIDDEN
        .iter()
        .any(|(name, to)| *name == module && to.contains(&target));
    let right = from.0 == 3 && to.0 == 3 && to.1 > from.1;
    let beside = from.0 == to.0 && (from.0 != 3 || right);
    (banned || to.0 > from.0 || beside).then(|| {
        format!(
            "`{module}` (rank {}) imports `{target}` (rank {}): imports point down, and among \
             steps to the left; move the type down or pass a value",
            from.0, to.0
        )
    })
}

/// Every module of the crate that the file names, with the offset.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(&source.code, "crate") {
        if let Some(path) = source.code[at + "crate".len()..].strip_prefix("::") {
            found.extend(first_segments(path).into_iter().map(|name| (at, name)));
        }
    }
    found.extend(climbs(source));
    found
}

/// `super::super::x` that leaves the module the file lies in.
fn climbs(source: &Source) -> Vec<(usize, String)> {
    let rest = source
        .path
        .trim_start_matches("engine/src/")
        .trim_end_matches(".rs");
    let depth = rest.trim_end_matches("/mod").split('/').count();
    let mut found = Vec::new();
    for at in words(&source.code, "super") {
        if source.code[..at].ends_with("super::") {
            continue;
        }
        let mut path = &source.code[at..];
        let mut supers = 0;
        while let Some(next) = path.strip_prefix("super::") {
            supers += 1;
            path = next;
        }
        if supers >= depth {
            found.extend(first_segments(path).into_iter().map(|name| (at, name)));
        }
    }
    found
}

/// `a::…` gives `a`; `{a::b, c}` gives `a` and `c`.
fn first_segments(path: &str) -> Vec<String> {
    let path = path.trim_start();
    let Some(group) = path.strip_prefix('{') else {
        return vec![identifier(path).to_owned()];
    };
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                names.push(identifier(&group[start..at]).to_owned());
                break;
            }
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                names.push(identifier(&group[start..at]).to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let mut breaches = Vec::new();
        check(&Source::new(path, text), &mut breaches);
        breaches.iter().map(|breach| breach.rule).collect()
    }

    #[test]
    fn imports_point_down() {
        assert_eq!(
            rules("engine/src/http/head.rs", "use crate::config::Listener;"),
            ["layers"]
        );
        assert_eq!(
            rules("engine/src/http/head.rs", "use crate::limits::MAX;"),
            [""; 0]
        );
        assert_eq!(
            rules("engine/src/io/x.rs", "use crate::{limits::A, config::B};"),
            ["layers"]
        );
        assert_eq!(
            rules("engine/src/config/x.rs", "fn f(a: crate::io::Buf) {}"),
            ["layers"]
        );
        assert_eq!(
            rules("engine/src/balance/x.rs", "use crate::record::Outcome;"),
            ["layers"]
        );
        assert_eq!(
            rules("engine/src/record/x.rs", "use crate::balance::PickError;"),
            [""; 0]
        );
        assert_eq!(
            rules("engine/src/proxy/x.rs", "use crate::shard::Mesh;"),
            ["layers"]
        );
    }

    #[test]
    fn steps_import_steps_to_their_left() {
        assert_eq!(
            rules("engine/src/balance/x.rs", "use crate::route::RouteId;"),
            [""; 0]
        );
        assert_eq!(
            rules("engine/src/route/x.rs", "use crate::balance::Lease;"),
            ["layers"]
        );
    }

    #[test]
    fn super_does_not_escape_the_table() {
        assert_eq!(
            rules("engine/src/route/mod.rs", "use super::balance::Lease;"),
            ["layers"]
        );
        assert_eq!(rules("engine/src/route/a.rs", "use super::Route;"), [""; 0]);
        assert_eq!(
            rules("engine/src/route/a.rs", "use super::super::proxy::X;"),
            ["layers"]
        );
    }

    #[test]
    fn test_modules_and_comments_are_free() {
        let text = "// crate::proxy\n#[cfg(test)]\nmod tests { use crate::proxy::X; }\n";
        assert_eq!(rules("engine/src/http/head.rs", text), [""; 0]);
    }

    #[test]
    fn a_crate_stays_in_its_home() {
        assert_eq!(
            rules("engine/src/proxy/x.rs", "use glommio::Task;"),
            ["layers"]
        );
        assert_eq!(
            rules("engine/src/shard/x.rs", "use glommio::Task;"),
            [""; 0]
        );
        assert_eq!(
            rules("engine/src/record/x.rs", "fn f() { tokio::spawn(g) }"),
            ["layers"]
        );
        assert_eq!(rules("engine/src/lib.rs", "use rustls;"), ["layers"]);
        assert_eq!(
            rules("engine/src/proxy/x.rs", "let toml = self.toml;"),
            [""; 0]
        );
    }

    #[test]
    fn the_judge_shares_only_io() {
        assert_eq!(
            rules("loadgen/src/x.rs", "use engine::io::Stream;"),
            [""; 0]
        );
        assert_eq!(
            rules("loadgen/src/x.rs", "use engine::{io, http::Head};"),
            ["layers"]
        );
        assert_eq!(rules("loadgen/src/x.rs", "engine::limits::MAX"), ["layers"]);
    }

    #[test]
    fn pure_steps_do_not_wait_or_look_at_the_clock() {
        assert_eq!(rules("engine/src/http/x.rs", "async fn f() {}"), ["purity"]);
        assert_eq!(
            rules("engine/src/record/x.rs", "let t = clock::now();"),
            ["purity"]
        );
        assert_eq!(
            rules("engine/src/route/x.rs", "static A: OnceLock<u8>;"),
            ["purity"]
        );
        assert_eq!(rules("engine/src/forward/x.rs", "async fn f() {}"), [""; 0]);
    }
}
