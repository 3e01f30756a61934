//! How long files, functions, lines, headers and inline tests may be.
//!
//! Counted without comments and blank lines for functions, without test modules for files. The
//! limits are the project's promise that any part can be read in one sitting.

use super::source::{Breach, Source, end_of_block, identifier, words};

/// Lines of a file, its test modules not counted.
const FILE_LINES_MAX: usize = 600;
/// Lines of a `#[cfg(test)]` module; a longer one moves to a sibling `tests.rs`.
const INLINE_TEST_LINES_MAX: usize = 150;
/// Lines of code in a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Columns of a line.
const COLUMNS_MAX: usize = 100;
/// Columns of code around a literal that stands on a line of its own.
const LITERAL_CODE_COLUMNS_MAX: usize = 12;
/// Rust files in a folder of the engine.
const FOLDER_FILES_MAX: usize = 12;

/// All size rules for one file.
pub(crate) fn check(source: &Source, breaches: &mut Vec<Breach>) {
    if !source.is_rust() {
        return;
    }
    let tests: usize = source
        .test_module_lines()
        .iter()
        .map(|(start, end)| end - start + 1)
        .sum();
    let lines = source.text.lines().count() - tests;
    let beside = source.path.ends_with("/tests.rs") && !source.path.starts_with("tests/");
    if lines > FILE_LINES_MAX && !beside {
        let why = format!(
            "{lines} lines, at most {FILE_LINES_MAX}: split the file where its header needs an 'and'"
        );
        breaches.push(source.breach(1, "file size", why));
    }
    for (start, end) in source.test_module_lines() {
        let lines = end - start + 1;
        if lines > INLINE_TEST_LINES_MAX {
            let why = format!(
                "{lines} lines of inline tests, at most {INLINE_TEST_LINES_MAX}: move them to a \
                 sibling tests.rs"
            );
            breaches.push(source.breach(start, "inline tests", why));
        }
    }
    functions(source, breaches);
    columns(source, breaches);
}

fn functions(source: &Source, breaches: &mut Vec<Breach>) {
    let code = &source.code_and_tests;
    for at in words(code, "fn") {
        let name = identifier(&code[at + 2..]);
        let Some(open) = body(code, at) else { continue };
        let block = &code[open..end_of_block(code, open)];
        let lines = block.lines().filter(|line| !line.trim().is_empty()).count();
        // The lines of the two braces are not lines of the body.
        let lines = lines.saturating_sub(2);
        if !name.is_empty() && lines > FUNCTION_LINES_MAX {
            let why = format!(
                "`{name}` has {lines} lines of code, at most {FUNCTION_LINES_MAX}: give a part of \
                 it a name"
            );
            breaches.push(source.breach(source.line_of(at), "function size", why));
        }
    }
}

/// The offset of the brace that opens the body of the function at `at`; none for a declaration.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn columns(source: &Source, breaches: &mut Vec<Breach>) {
    for (index, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        // An address cannot be broken, and a literal on a line of its own is left as it is.
        let code = source.code_and_tests.lines().nth(index).unwrap_or_default();
        let comment = source.comments.lines().nth(index).unwrap_or_default();
        let literal = comment.trim().is_empty()
            && code.split_whitespace().map(str::len).sum::<usize>() <= LITERAL_CODE_COLUMNS_MAX;
        if columns > COLUMNS_MAX && !line.contains("://") && !literal {
            let why = format!("{columns} columns, at most {COLUMNS_MAX}");
            breaches.push(source.breach(index + 1, "line width", why));
        }
    }
}

/// Folders of the engine fit one glance.
pub(crate) fn folders(files: &[Source], breaches: &mut Vec<Breach>) {
    let mut counts = std::collections::BTreeMap::<&str, Vec<&Source>>::new();
    for file in files
        .iter()
        .filter(|file| file.is_rust() && !file.is_test())
    {
        if let Some((folder, _)) = file.path.rsplit_once('/')
            && folder.starts_with("engine/src/")
        {
            counts.entry(folder).or_default().push(file);
        }
    }
    for (folder, files) in counts
        .into_iter()
        .filter(|(_, files)| files.len() > FOLDER_FILES_MAX)
    {
        let count = files.len();
        let why = format!("{folder}/ has {count} files, at most {FOLDER_FILES_MAX}: group them");
        breaches.push(files[0].breach(1, "folder size", why));
    }
}

#[cfg(test)]
mod tests {
    use super::{Breach, Source, check, folders};

    fn rules(text: &str) -> Vec<&'static str> {
        let mut breaches = Vec::new();
        check(&Source::new("engine/src/proxy/x.rs", text), &mut breaches);
        breaches.iter().map(|breach| breach.rule).collect()
    }

    #[test]
    fn long_files_but_not_long_tests_beside_them() {
        assert_eq!(rules(&"// A.\n".repeat(601)), ["file size"]);
        assert_eq!(rules(&"// A.\n".repeat(600)), [""; 0]);
        let tested = "// A.\n".repeat(590) + "#[cfg(test)]\nmod t {\n" + &"//\n".repeat(50) + "}\n";
        assert_eq!(rules(&tested), [""; 0]);
    }

    #[test]
    fn long_inline_tests() {
        let text = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// A.\n".repeat(150));
        assert_eq!(rules(&text), ["inline tests"]);
    }

    #[test]
    fn functions_are_counted_in_code_lines() {
        let body = |code: usize, comments: usize| {
            format!(
                "fn f(a: [u8; 3]) {{\n{}{}}}\n",
                "x();\n".repeat(code),
                "// A.\n".repeat(comments)
            )
        };
        assert_eq!(rules(&body(71, 0)), ["function size"]);
        assert_eq!(rules(&body(70, 30)), [""; 0]);
        assert_eq!(rules("trait T { fn f(a: u8) -> u8; }"), [""; 0]);
    }

    #[test]
    fn wide_lines_unless_an_address() {
        assert_eq!(rules(&format!("// {}\n", "a".repeat(98))), ["line width"]);
        assert_eq!(rules(&format!("// https://{}\n", "a".repeat(98))), [""; 0]);
        assert_eq!(
            rules(&format!(
                "let length = find(\"{}\", start);\n",
                "a".repeat(98)
            )),
            ["line width"]
        );
        assert_eq!(rules(&format!("    b\"{}\",\n", "a".repeat(98))), [""; 0]);
    }

    #[test]
    fn crowded_folders() {
        let file = |index| Source::new(&format!("engine/src/http/a{index}.rs"), "");
        let mut breaches: Vec<Breach> = Vec::new();
        folders(&(0..12).map(file).collect::<Vec<_>>(), &mut breaches);
        assert!(breaches.is_empty());
        folders(&(0..13).map(file).collect::<Vec<_>>(), &mut breaches);
        assert_eq!(breaches.len(), 1);
    }
}
