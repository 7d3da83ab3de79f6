//! `cargo xtask test`: every test there is.
//!
//! The tests need Rust and a C compiler (for SQLite and the TLS library) and nothing else; this says so
//! where the compiler is missing, and installs it where it may.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::root;

pub fn run() -> anyhow::Result<()> {
    c_compiler()?;
    cargo(&["test", "--workspace", "--locked"])
}

fn c_compiler() -> anyhow::Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let there =
        |name: &str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    if there(&compiler) {
        return Ok(());
    }
    let root_user = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.starts_with(b"0\n"));
    if root_user && there("apt-get") {
        println!("no C compiler: installing Debian's gcc and libc6-dev");
        let installed = Command::new("apt-get")
            .args(["install", "--yes", "--no-install-recommends", "gcc", "libc6-dev"])
            .status()
            .context("apt-get")?;
        if installed.success() && there(&compiler) {
            return Ok(());
        }
    }
    bail!("a C compiler is missing ({compiler}); on Debian: apt-get install gcc libc6-dev")
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    println!("cargo {}", arguments.join(" "));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo).args(arguments).current_dir(root()).status().context("cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo {} failed", arguments.join(" ")) }
}
