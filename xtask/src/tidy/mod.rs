//! `cargo xtask tidy`: keeps the house where no compiler does.
//!
//! Each rule gives a line for each place that breaks it; all are shown at once. `sources` looks at Rust
//! files, `documents` at what people read.

mod documents;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::root;

/// A file of the project: its path from the root, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

pub fn run() -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(&root(), &root(), &mut files)?;
    let mut problems = sources::check(&files);
    problems.extend(documents::check(&files));
    if problems.is_empty() {
        println!("tidy: {} files, nothing to mend", files.len());
        return Ok(());
    }
    problems.sort();
    bail!("{} to mend:\n{}", problems.len(), problems.join("\n"))
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<Source>) -> anyhow::Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "target" | ".git" | "data") && !name.ends_with("-data") {
                collect(root, &path, files)?;
            }
        } else if [".rs", ".toml", ".md", ".json", "run"].iter().any(|end| name.ends_with(end)) {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let path = path.strip_prefix(root)?.to_string_lossy().into_owned();
            files.push(Source { path, text });
        }
    }
    Ok(())
}
