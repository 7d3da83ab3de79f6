//! Rules for Rust files: a header on top, a bounded size, names that say something, and each kind of
//! line in its room.

use super::Source;

/// Lines of a file, those of its unit tests apart.
const LINES_MAX: usize = 350;
const EMPTY_NAMES: [&str; 4] = ["utils", "common", "helpers", "misc"];

/// Text that may stand in one room of a crate alone.
struct Room {
    /// The files that the rule is about.
    within: &'static str,
    /// Where it may stand.
    only: &'static [&'static str],
    text: &'static str,
    rule: &'static str,
}

const ROOMS: [Room; 7] = [
    Room {
        within: "crates/engine/src/",
        only: &["store/"],
        text: "\"SELECT ",
        rule: "SQL stands in store/ alone",
    },
    Room {
        within: "crates/engine/src/",
        only: &["store/"],
        text: "\"INSERT ",
        rule: "SQL stands in store/ alone",
    },
    Room {
        within: "crates/engine/src/",
        only: &["store/"],
        text: "rusqlite::",
        rule: "SQLite is known in store/ alone",
    },
    Room {
        within: "crates/engine/src/",
        only: &["dispatch/egress/"],
        text: "tokio::net",
        rule: "sockets to webhooks are in dispatch/egress/ alone",
    },
    Room { within: "crates/engine/src/", only: &[], text: "axum", rule: "the engine knows no HTTP API" },
    Room {
        within: "crates/receiver/src/",
        only: &["store/", "sink/"],
        text: "\"SELECT ",
        rule: "SQL stands in store/ and in sink/ alone",
    },
    Room {
        within: "crates/server/src/",
        only: &[],
        text: "rusqlite",
        rule: "the server has no way to the data but the engine",
    },
];

pub fn check(files: &[Source]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    rust.flat_map(|file| {
        let mut problems = Vec::new();
        let mut problem = |what: String| problems.push(format!("{}: {what}", file.path));
        if !file.text.starts_with("//!") {
            problem("begins with no //! header".to_owned());
        }
        let lines = file.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        if lines > LINES_MAX {
            problem(format!("has {lines} lines; split it (at most {LINES_MAX}, its unit tests apart)"));
        }
        let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if EMPTY_NAMES.contains(&stem) {
            problem("has a name that says nothing of its role".to_owned());
        }
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_end() != line {
                problem(format!("line {} ends in blanks", number + 1));
            }
        }
        for room in &ROOMS {
            let Some(inside) = file.path.strip_prefix(room.within) else { continue };
            if !room.only.iter().any(|only| inside.starts_with(only)) && file.text.contains(room.text) {
                problem(format!("holds {:?}: {}", room.text, room.rule));
            }
        }
        problems
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(&[Source { path: path.to_owned(), text: text.to_owned() }])
    }

    #[test]
    fn each_rule_finds_what_breaks_it() {
        assert!(problems("crates/engine/src/a.rs", "//! Good.\n").is_empty());
        for (path, text) in [
            ("crates/engine/src/a.rs", "fn a() {}\n"),
            ("crates/engine/src/utils.rs", "//! Header.\n"),
            ("crates/engine/src/a.rs", "//! Header. \n"),
            ("crates/engine/src/a.rs", "//! Header.\nconst A: &str = \"SELECT 1\";\n"),
            ("crates/engine/src/dispatch/a.rs", "//! Header.\nuse tokio::net::TcpStream;\n"),
            ("crates/server/src/a.rs", "//! Header.\nuse rusqlite::Connection;\n"),
        ] {
            assert_eq!(problems(path, text).len(), 1, "{path}: {text}");
        }
        let long = format!("//! Header.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(problems("a.rs", &long).len(), 1);
        let tested = format!("//! Header.\n#[cfg(test)]\n{}", "\n".repeat(LINES_MAX));
        assert!(problems("a.rs", &tested).is_empty());
    }
}
