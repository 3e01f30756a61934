//! The shape of the repository: its top level, its manifests, and that documents keep up.
//!
//! In goes the whole tree; out come breaches. The list of top-level names is exact in both
//! directions: nothing is missing and nothing was added by accident.

use super::source::{Breach, Source, Tree};

/// What lies at the top, hidden names apart.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bench",
    "config",
    "engine",
    "loadgen",
    "tests",
];

/// Hidden names that may lie there; `.git` and the build output are nobody's work.
const TOP_HIDDEN: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".git",
    ".github",
    ".gitignore",
    ".rustfmt.toml",
];

/// All rules on the repository as a whole.
pub(crate) fn check(tree: &Tree, breaches: &mut Vec<Breach>) {
    top(tree, breaches);
    examples(tree, breaches);
    manifests(tree, breaches);
}

fn top(tree: &Tree, breaches: &mut Vec<Breach>) {
    let at = |path: &str, why: String| Breach {
        path: path.into(),
        line: 1,
        rule: "top level",
        why,
    };
    for name in &tree.top {
        let name = name.as_str();
        if !TOP.contains(&name) && !TOP_HIDDEN.contains(&name) && name != "target" {
            breaches.push(at(
                name,
                "does not belong at the top: find the folder it is about".into(),
            ));
        }
    }
    for name in TOP
        .iter()
        .filter(|name| !tree.top.iter().any(|found| found == *name))
    {
        breaches.push(at(name, "is missing at the top".into()));
    }
}

/// Every configuration in `config/` is in its reference.
fn examples(tree: &Tree, breaches: &mut Vec<Breach>) {
    let reference = tree.file("config/README.md").map_or("", |file| &file.text);
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.ends_with(".toml"))
    {
        let Some(name) = file.path.strip_prefix("config/") else {
            continue;
        };
        if !reference.contains(name) {
            let why = "not in config/README.md: say there what it shows".into();
            breaches.push(file.breach(1, "examples", why));
        }
    }
}

/// Dependencies stand in the workspace manifest, each below its reason; members only refer there.
fn manifests(tree: &Tree, breaches: &mut Vec<Breach>) {
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"))
    {
        // The fuzz package lies outside the workspace.
        if file.path.starts_with("tests/fuzz/") {
            continue;
        }
        dependencies(file, breaches);
    }
}

fn dependencies(file: &Source, breaches: &mut Vec<Breach>) {
    let mut table = "";
    let mut before = "";
    for (index, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            table = line;
        } else if line.contains('=') && table.contains("dependencies]") && !line.starts_with('#') {
            let root = table == "[workspace.dependencies]";
            if root && !before.starts_with('#') && !line.contains("path =") {
                let why = "a dependency has its reason in a comment on the line above".into();
                breaches.push(file.breach(index + 1, "dependencies", why));
            }
            if !root && !line.contains("workspace = true") {
                let why =
                    "members take dependencies from the workspace: `.workspace = true`".into();
                breaches.push(file.breach(index + 1, "dependencies", why));
            }
        }
        before = line;
    }
}

#[cfg(test)]
mod tests {
    use super::{Breach, Source, TOP, Tree, check};

    fn rules(files: &[(&str, &str)], extra: &[&str], without: &str) -> Vec<&'static str> {
        let files = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        let top = TOP.iter().chain(extra).filter(|name| **name != without);
        let tree = Tree {
            files,
            top: top.map(ToString::to_string).collect(),
        };
        let mut breaches: Vec<Breach> = Vec::new();
        check(&tree, &mut breaches);
        breaches.iter().map(|breach| breach.rule).collect()
    }

    #[test]
    fn the_top_is_exact() {
        assert_eq!(rules(&[], &[".git", "target"], ""), [""; 0]);
        assert_eq!(rules(&[], &["docs"], ""), ["top level"]);
        assert_eq!(rules(&[], &[], "LICENSE"), ["top level"]);
    }

    #[test]
    fn configurations_are_in_the_reference() {
        let readme = ("config/README.md", "`minimal.toml` shows");
        assert_eq!(
            rules(&[readme, ("config/minimal.toml", "")], &[], ""),
            [""; 0]
        );
        assert_eq!(
            rules(&[readme, ("config/edge.toml", "")], &[], ""),
            ["examples"]
        );
    }

    #[test]
    fn dependencies_have_reasons_and_one_home() {
        let root = |text| rules(&[("Cargo.toml", text)], &[], "");
        assert_eq!(
            root("[workspace.dependencies]\na = \"1\"\n"),
            ["dependencies"]
        );
        assert_eq!(
            root("[workspace.dependencies]\n# Why.\na = \"1\"\n"),
            [""; 0]
        );
        let member = |text| rules(&[("engine/Cargo.toml", text)], &[], "");
        assert_eq!(member("[dependencies]\na = \"1\"\n"), ["dependencies"]);
        assert_eq!(member("[dev-dependencies]\na.workspace = true\n"), [""; 0]);
    }
}
