//! What the repository promises about itself, as a test.
//!
//! Each check is a pure function from the sources to a list of breaches, and has its own tests
//! with snippets that must fail. To add a rule: write the check, the snippet, then the fix.
//! Clippy enforces what it can (`.clippy.toml`); this holds the rest.

mod tidy {
    pub(crate) mod layers;
    pub(crate) mod mask;
    pub(crate) mod names;
    pub(crate) mod prose;
    pub(crate) mod repository;
    pub(crate) mod safety;
    pub(crate) mod sizes;
    pub(crate) mod source;
}

use std::path::Path;

use tidy::{layers, names, prose, repository, safety, sizes, source::Tree};

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository");
    let tree = Tree::read(root);
    assert!(tree.rust().count() > 10, "the sources are found");
    let mut breaches = Vec::new();
    for source in &tree.files {
        layers::check(source, &mut breaches);
        sizes::check(source, &mut breaches);
        names::check(source, &mut breaches);
        safety::check(source, &mut breaches);
        prose::check(source, &mut breaches);
    }
    sizes::folders(&tree.files, &mut breaches);
    prose::citations(&tree, &mut breaches);
    repository::check(&tree, &mut breaches);
    let report: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(
        report.is_empty(),
        "{} breaches:\n{}",
        report.len(),
        report.join("\n")
    );
}
