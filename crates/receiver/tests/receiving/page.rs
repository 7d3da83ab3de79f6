//! docs/receiving.md and the programs on it.

use std::path::{Path, PathBuf};

/// The project's directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The block of code in this language whose first line begins so.
pub fn block(language: &str, begins: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/receiving.md")).unwrap();
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split_once("```\n").unwrap().0);
    let found: Vec<&str> = blocks.filter(|block| block.starts_with(begins)).collect();
    assert_eq!(
        found.len(),
        1,
        "docs/receiving.md has {} blocks of {language} that begin {begins:?}",
        found.len()
    );
    found[0].to_owned()
}
