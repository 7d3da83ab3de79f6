//! The programs of docs/receiving.md, each run against a real engine's deliveries and against requests that no engine
//! sends.
//!
//! `page.rs` takes them from the page, `program.rs` runs them, `promises.rs` is what each must do. A program whose
//! runtime is not on this machine is left out, and the test says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../engine/tests/patience/mod.rs"]
mod patience;

mod page;
mod post;
mod program;
mod promises;

use program::Program;

#[tokio::test]
async fn the_rust_receiver_keeps_its_promises() {
    let source = page::root().join("crates/receiver/examples/a_dozen_lines.rs");
    let example = std::fs::read_to_string(&source).unwrap();
    assert_eq!(
        page::block("rust", "//! A receiver"),
        example,
        "docs/receiving.md must show {}",
        source.display()
    );
    promises::keeps(Program::example("a_dozen_lines", &source)).await;
}

#[tokio::test]
async fn the_node_receiver_keeps_its_promises() {
    if let Some(program) = Program::with("node", &["receiver.mjs"]) {
        promises::keeps(program.file("js", "verify.mjs").file("js", "receiver.mjs")).await;
    }
}

#[tokio::test]
async fn the_python_receiver_keeps_its_promises() {
    if let Some(program) = Program::with("python3", &["-u", "receiver.py"]) {
        promises::keeps(program.file("python", "verify.py").file("python", "receiver.py")).await;
    }
}

#[tokio::test]
async fn the_go_receiver_keeps_its_promises() {
    let Some(program) = Program::with("go", &[]) else { return };
    let built = program.file("go", "main.go").run("go", &["build", "-o", "receiver", "main.go"]);
    let binary = built.path().join("receiver");
    promises::keeps(built.command(&binary, &[])).await;
}

#[tokio::test]
async fn the_node_receiver_with_the_standard_webhooks_package_keeps_its_promises() {
    let Some(program) = Program::with("node", &["receiver.mjs"]) else { return };
    let program =
        program.file("js", "receiver.mjs").file_as("js", "verify.mjs (Standard Webhooks)", "verify.mjs");
    let install = ["install", "--no-audit", "--no-fund", "standardwebhooks@1.1.1"];
    if let Some(program) = program.install("npm", &install) {
        promises::keeps(program).await;
    }
}

#[tokio::test]
async fn the_python_receiver_with_the_standard_webhooks_package_keeps_its_promises() {
    let Some(program) = Program::with("python3", &["-u", "receiver.py"]) else { return };
    let program =
        program.file("python", "receiver.py").file_as("python", "verify.py (Standard Webhooks)", "verify.py");
    let install = ["-m", "pip", "install", "--quiet", "--target", ".", "standardwebhooks==1.1.0"];
    if let Some(program) = program.install("python3", &install) {
        promises::keeps(program).await;
    }
}
