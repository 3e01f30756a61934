//! Where `unsafe` may stand, and what must stand above it.
//!
//! Only `engine/src/io` holds unsafe code: it lends memory to the kernel. Each block says in a
//! `SAFETY:` comment which preconditions it relies on and why they hold.

use super::source::{Breach, Source, words};

/// The one folder with unsafe code.
const HOME: &str = "engine/src/io/";

/// Lines of a statement that may stand between the comment and the keyword.
const STATEMENT_LINES_MAX: usize = 4;

/// All rules on unsafe code for one file.
pub(crate) fn check(source: &Source, breaches: &mut Vec<Breach>) {
    for at in words(&source.code_and_tests, "unsafe") {
        let line = source.line_of(at);
        if !source.path.starts_with(HOME) {
            let why = format!("unsafe code outside {HOME}: find a safe way or move it there");
            breaches.push(source.breach(line, "unsafe", why));
        } else if !justified(source, line) {
            let why = "no `SAFETY:` (or `# Safety`) comment above: name each precondition and why \
                       it holds";
            breaches.push(source.breach(line, "unsafe", why.into()));
        }
    }
}

/// Does the comment above the statement on `line` argue for it?
fn justified(source: &Source, line: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().take(line).collect();
    let comments: Vec<&str> = source.comments.lines().take(line).collect();
    let argues = |index: usize| {
        let comment = comments.get(index).copied().unwrap_or_default();
        comment.contains("SAFETY:") || comment.contains("# Safety")
    };
    let mut statement = 0;
    for index in (0..line).rev() {
        if argues(index) {
            return true;
        }
        let text = lines.get(index).map_or("", |text| text.trim());
        let carries_on = text.starts_with("//") || text.starts_with("#[");
        if !carries_on {
            statement += 1;
            let ended = index + 1 < line && (text.ends_with(';') || text.ends_with('}'));
            if text.is_empty() || ended || statement > STATEMENT_LINES_MAX {
                return false;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    fn count(path: &str, text: &str) -> usize {
        let mut breaches = Vec::new();
        check(&Source::new(path, text), &mut breaches);
        breaches.len()
    }

    #[test]
    fn only_in_its_home() {
        let text = "// SAFETY: it is.\nlet a = unsafe { b() };\n";
        assert_eq!(count("engine/src/http/x.rs", text), 1);
        assert_eq!(count("engine/src/io/x.rs", text), 0);
        assert_eq!(
            count("engine/src/http/x.rs", "#![deny(unsafe_code)] // unsafe\n"),
            0
        );
    }

    #[test]
    fn each_with_its_reason() {
        let io = "engine/src/io/x.rs";
        assert_eq!(count(io, "fn f() {\n    let a = unsafe { b() };\n}\n"), 1);
        assert_eq!(
            count(io, "// SAFETY: a.\nf();\nlet a = unsafe { b() };\n"),
            1
        );
        assert_eq!(
            count(
                io,
                "// SAFETY: a\n// and b.\nlet a =\n    unsafe { b() };\n"
            ),
            0
        );
        assert_eq!(
            count(
                io,
                "/// # Safety\n/// Never.\n#[inline]\npub unsafe fn f() {}\n"
            ),
            0
        );
    }
}
