//! The tree as tidy sees it: every file with its path, its text and, for Rust, its code without
//! comments, literals and test modules.
//!
//! Build output, fuzz corpora and `.git` are left out. Nothing is read twice; checks are pure
//! functions over [`Tree`] or [`Source`], so that each can be tested against a snippet.

use std::{fs, path::Path};

use super::mask::mask;

/// A rule that a line breaks.
#[derive(Debug)]
pub(crate) struct Breach {
    /// Path from the top of the repository.
    pub(crate) path: String,
    /// Line, counted from 1.
    pub(crate) line: usize,
    /// Short name of the rule.
    pub(crate) rule: &'static str,
    /// What is wrong, why it matters and what to do.
    pub(crate) why: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{}:{}: {}: {}",
            self.path, self.line, self.rule, self.why
        )
    }
}

/// One file.
pub(crate) struct Source {
    /// Path from the top of the repository, with `/`.
    pub(crate) path: String,
    /// The text as it is.
    pub(crate) text: String,
    /// Rust code: comments, literals and `#[cfg(test)]` modules turned into spaces.
    pub(crate) code: String,
    /// Rust comments; everything else turned into spaces.
    pub(crate) comments: String,
    /// Rust code with its test modules kept.
    pub(crate) code_and_tests: String,
}

impl Source {
    /// A file with the given path and text.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (mut code, mut comments) = (String::new(), String::new());
        let mut code_and_tests = String::new();
        if path.ends_with(".rs") {
            let masked = mask(text);
            code = masked.code.clone();
            comments = masked.comments;
            code_and_tests = masked.code;
            for (start, end) in test_modules(&code_and_tests) {
                code.replace_range(start..end, &blank(&code[start..end]));
            }
        }
        Self {
            path: path.into(),
            text: text.into(),
            code,
            comments,
            code_and_tests,
        }
    }

    /// Is this Rust?
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Is the whole file a test?
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }

    /// The line, counted from 1, that holds `offset`.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.text
            .as_bytes()
            .iter()
            .take(offset)
            .filter(|&&byte| byte == b'\n')
            .count()
            + 1
    }

    /// A breach at `line`.
    pub(crate) fn breach(&self, line: usize, rule: &'static str, why: String) -> Breach {
        Breach {
            path: self.path.clone(),
            line,
            rule,
            why,
        }
    }

    /// Line spans, counted from 1, of the inline `#[cfg(test)]` modules.
    pub(crate) fn test_module_lines(&self) -> Vec<(usize, usize)> {
        test_modules(&self.code_and_tests)
            .into_iter()
            .map(|(start, end)| (self.line_of(start), self.line_of(end)))
            .collect()
    }
}

fn blank(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { '\n' } else { ' ' })
        .collect()
}

/// Byte spans of `#[cfg(test)] … { … }` and `#[cfg(test)] …;` in masked code.
fn test_modules(code: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = end_of_element(code, start + "#[cfg(test)]".len());
        spans.push((start, end));
        from = end;
    }
    spans
}

/// Where the element that starts after `from` ends: at its `;`, or at the brace that closes it.
fn end_of_element(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The end of the block that `open`, the offset of a `{`, opens.
pub(crate) fn end_of_block(code: &str, open: usize) -> usize {
    end_of_element(code, open)
}

/// Is `byte` part of an identifier?
pub(crate) fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Offsets of `word` in `code` where it stands alone.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let bytes = code.as_bytes();
            let before = at.checked_sub(1).and_then(|i| bytes.get(i));
            let after = bytes.get(at + word.len());
            !before.is_some_and(|&byte| in_word(byte)) && !after.is_some_and(|&byte| in_word(byte))
        })
}

/// The identifier that starts `text`, after white space; empty when there is none.
pub(crate) fn identifier(text: &str) -> &str {
    let text = text.trim_start();
    let end = text
        .bytes()
        .position(|byte| !in_word(byte))
        .unwrap_or(text.len());
    &text[..end]
}

/// All files of the repository.
pub(crate) struct Tree {
    /// In path order.
    pub(crate) files: Vec<Source>,
    /// Names at the top of the repository, in order.
    pub(crate) top: Vec<String>,
}

impl Tree {
    /// Reads the repository at `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        walk(root, "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut top: Vec<String> = entries(root);
        top.sort();
        Self { files, top }
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// The file at `path`.
    pub(crate) fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .expect("a folder of the repository can be listed")
        .map(|entry| {
            entry
                .expect("a folder entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

fn walk(root: &Path, prefix: &str, files: &mut Vec<Source>) {
    for name in entries(&root.join(prefix)) {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}/{name}")
        };
        let full = root.join(&path);
        if full.is_dir() {
            let skipped = matches!(
                &*name,
                "target" | ".git" | "corpus" | "artifacts" | "coverage"
            );
            if !skipped {
                walk(root, &path, files);
            }
        } else if name == ".git" {
            // A work tree's: it says where the repository lies on this machine.
        } else if let Ok(text) = fs::read_to_string(&full) {
            // Captured bytes that are no text have no rules here.
            files.push(Source::new(&path, &text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn test_modules_are_cut_from_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c(); }\n}\nfn d() {}\n";
        let source = Source::new("engine/src/x.rs", text);
        assert!(source.code.contains("fn a()") && source.code.contains("fn d()"));
        assert!(!source.code.contains("fn b()") && source.code_and_tests.contains("fn b()"));
        assert_eq!(source.test_module_lines(), [(2, 5)]);
    }

    #[test]
    fn a_test_file_declared_elsewhere_ends_at_its_semicolon() {
        let source = Source::new("engine/src/x.rs", "#[cfg(test)]\nmod tests;\nfn d() {}\n");
        assert!(source.code.contains("fn d()") && !source.code.contains("tests"));
    }
}
