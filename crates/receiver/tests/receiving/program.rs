//! A receiver as a process of its own, in a directory of its own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::page;

/// A program that can be started, and where.
pub struct Program {
    directory: TempDir,
    command: PathBuf,
    arguments: Vec<String>,
}

impl Program {
    fn new(command: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { directory: tempfile::tempdir().unwrap(), command: command.to_owned(), arguments }
    }

    /// One that a runtime runs; `None` where the runtime is not there.
    pub fn with(runtime: &str, arguments: &[&str]) -> Option<Self> {
        // Go has no --version.
        let there = ["--version", "version"].iter().any(|version| {
            Command::new(runtime).arg(version).output().is_ok_and(|output| output.status.success())
        });
        if !there {
            println!("left out: there is no {runtime} on this machine");
        }
        there.then(|| Self::new(Path::new(runtime), arguments))
    }

    /// An example of this crate: what cargo built with the tests, or builds now.
    pub fn example(name: &str, source: &Path) -> Self {
        let here = std::env::current_exe().unwrap();
        let binary = here.parent().and_then(Path::parent).unwrap().join("examples").join(name);
        let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        if changed(&binary) < changed(source) {
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
            let build = ["build", "--package", env!("CARGO_PKG_NAME"), "--example", name];
            assert!(Command::new(cargo).args(build).current_dir(page::root()).status().unwrap().success());
        }
        Self::new(&binary, &[])
    }

    /// Puts a file of the page into the directory.
    pub fn file(self, language: &str, name: &str) -> Self {
        self.file_as(language, name, name)
    }

    /// The same under another name than its first line says.
    pub fn file_as(self, language: &str, title: &str, name: &str) -> Self {
        let comment = if language == "python" { "#" } else { "//" };
        let text = page::block(language, &format!("{comment} {title}\n"));
        std::fs::write(self.path().join(name), text).unwrap();
        self
    }

    /// Runs something in the directory that must succeed.
    pub fn run(self, command: &str, arguments: &[&str]) -> Self {
        let output = Command::new(command).args(arguments).current_dir(self.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// Installs a package; `None` where it cannot be had, as without a network.
    pub fn install(self, command: &str, arguments: &[&str]) -> Option<Self> {
        let output = Command::new(command).args(arguments).current_dir(self.path()).output();
        let there = output.is_ok_and(|output| output.status.success());
        if !there {
            println!("left out: {command} {} did not work", arguments.join(" "));
        }
        there.then_some(self)
    }

    /// Another command in the same directory.
    pub fn command(self, command: &Path, arguments: &[&str]) -> Self {
        Self { directory: self.directory, ..Self::new(command, arguments) }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it and waits until it listens.
    pub async fn start(&self, secrets: &str) -> Running {
        let mut command = tokio::process::Command::new(&self.command);
        command.args(&self.arguments).current_dir(self.path()).stdout(Stdio::piped()).kill_on_drop(true);
        command.env("VAI_WEBHOOK_SECRET", secrets).env("PORT", "0");
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut running = Running { child, early: VecDeque::new(), lines, port: 0 };
        // It may handle what a crash left before it listens.
        let mut early = VecDeque::new();
        loop {
            let line = running.line().await;
            if line.starts_with("listening on ") {
                running.port = line.rsplit([' ', ':']).next().unwrap().parse().expect(&line);
                running.early = early;
                return running;
            }
            early.push_back(line);
        }
    }
}

/// A receiver that runs. Killed where it is dropped.
pub struct Running {
    child: Child,
    /// What it printed before it listened.
    early: VecDeque<String>,
    lines: Lines<BufReader<ChildStdout>>,
    pub port: u16,
}

impl Running {
    /// The next line that it prints: an event's id and type.
    pub async fn line(&mut self) -> String {
        if let Some(line) = self.early.pop_front() {
            return line;
        }
        let line = tokio::time::timeout(crate::promises::WAIT_MAX, self.lines.next_line()).await;
        line.expect("a line in time").unwrap().expect("the program goes on")
    }

    /// What it prints up to the line of this event.
    pub async fn until(&mut self, id: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let last = line.starts_with(&format!("{id} "));
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
