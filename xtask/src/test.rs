//! `cargo xtask test`: every test there is.
//!
//! The tests need Rust, a C compiler (for SQLite and the TLS library) and PostgreSQL's programs (each test starts a
//! server of its own); this says so where one is missing, and installs it where it may. Pages are looked at with
//! Chromium, which is installed likewise, and left out where it cannot be. The programs of
//! docs/receiving.md are run where Node, Python and Go are there, and left out where they are not.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::root;

pub fn run() -> anyhow::Result<()> {
    c_compiler()?;
    postgresql()?;
    chromium();
    cargo(&["test", "--workspace", "--locked"])?;
    // Those that take times: with nothing beside them.
    let alone = ["--", "--ignored", "--test-threads=1"];
    cargo(&[&["test", "--locked", "--package", "vai-webhooks", "--test", "process"], &alone[..]].concat())
}

fn c_compiler() -> anyhow::Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let there = || answers(&compiler);
    needed("C compiler", there, &["gcc", "libc6-dev"])
}

/// `initdb` is on the path, or where Debian puts it.
fn postgresql() -> anyhow::Result<()> {
    let there = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let places = versions.map(|version| version.path().join("bin/initdb"));
        answers("initdb") || places.into_iter().any(|place| place.is_file())
    };
    needed("PostgreSQL", there, &["postgresql"])
}

/// For the receiver's page. Where it cannot be had, its test says that it was left out.
fn chromium() {
    if let Err(missing) = needed("Chromium", || answers("chromium"), &["chromium"]) {
        println!("{missing}; the tests of pages are left out");
    }
}

fn answers(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success())
}

/// Installs what is missing, where this is Debian and we may; says how otherwise.
fn needed(what: &str, there: impl Fn() -> bool, packages: &[&str]) -> anyhow::Result<()> {
    if there() {
        return Ok(());
    }
    let root_user = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.starts_with(b"0\n"));
    if root_user && answers("apt-get") {
        println!("no {what}: installing Debian's {}", packages.join(" and "));
        // Without lists, or with old ones, nothing is found; where they cannot be had, the old ones may do.
        let _old = Command::new("apt-get").arg("update").status();
        let install = ["install", "--yes", "--no-install-recommends"];
        let installed = Command::new("apt-get").args(install).args(packages).status().context("apt-get")?;
        if installed.success() && there() {
            return Ok(());
        }
    }
    bail!("{what} is missing; on Debian: apt-get install {}", packages.join(" "))
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    println!("cargo {}", arguments.join(" "));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo).args(arguments).current_dir(root()).status().context("cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo {} failed", arguments.join(" ")) }
}
