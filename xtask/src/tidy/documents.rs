//! Rules for documents: the two commands lead, CI runs the same test command, and every file that a
//! document points to is there.

use super::Source;

const DEMO: &str = "cargo run --release -- demo";
const TEST: &str = "cargo xtask test";

pub fn check(files: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    for needed in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "config.example.toml", ".ci/run"]
    {
        if text(needed).is_none() {
            problems.push(format!("{needed}: is missing"));
        }
    }
    let readme = text("README.md").unwrap_or_default();
    let block = readme.split("```").nth(1).unwrap_or_default();
    if !(block.contains(DEMO) && block.contains(TEST)) {
        problems.push(format!("README.md: its first block of code must be `{DEMO}` and `{TEST}`"));
    }
    if !text(".ci/run").unwrap_or_default().lines().any(|line| line == TEST) {
        problems.push(format!(".ci/run: does not run `{TEST}`"));
    }
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for link in links(&file.text) {
            let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
            let target = crate::root().join(dir).join(link);
            if !target.exists() {
                problems.push(format!("{}: points to {link}, which is not there", file.path));
            }
        }
    }
    problems
}

/// The files that a document links to.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|link| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found() {
        let text = "[a](docs/a.md#x) and [b](https://example.com) and [c](#here) and [d](../d.md)";
        assert_eq!(links(text).collect::<Vec<_>>(), ["docs/a.md", "../d.md"]);
    }
}
