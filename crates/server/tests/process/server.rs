//! The real binary, on a port that the system picks.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A receiver's secret.
pub const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHRlc3Qgc2VjcmV0";
/// The key to either's own routes.
pub const ADMIN_KEY: &str = "an-admin-key-for-tests-only";

/// The binary that the tests were built with.
pub fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_vai-webhooks").into()
}

/// A running server. Killed where it is dropped.
pub struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub url: String,
}

impl Server {
    /// Starts one on this directory and waits until it listens.
    pub async fn start(data: &Path) -> Self {
        let mut command = Command::new(binary());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--egress-allow", "127.0.0.0/8", "--data"])
            .arg(data)
            .env("VAI_ADMIN_KEY", ADMIN_KEY);
        Self::spawn(command).await
    }

    /// The same where the shell allows so few open files, until somebody asks for more.
    pub async fn start_with_files(data: &Path, files: u32) -> Self {
        let mut command = Command::new("sh");
        let line = format!("ulimit -Sn {files} && exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1\"");
        command.args(["-c", &line]).arg(binary()).arg(data).env("VAI_ADMIN_KEY", ADMIN_KEY);
        Self::spawn(command).await
    }

    /// Starts a receiver on this directory, with this configuration, and waits until it listens.
    pub async fn receive(data: &Path, config: &Path) -> Self {
        let mut command = Command::new(binary());
        command.args(["receive", "--port", "0", "--data"]).arg(data).arg("--config").arg(config);
        command.env("VAI_WEBHOOK_SECRET", SECRET).env("VAI_RECEIVE_KEY", ADMIN_KEY);
        Self::spawn(command).await
    }

    async fn spawn(mut command: Command) -> Self {
        command.env("VAI_LOG", "error").stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().expect("the server says where it listens");
        let url = first.rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{first}");
        Self { child, lines, url }
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends it a signal, as `TERM`.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// The next line that it prints.
    pub async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.unwrap()
    }

    /// How it ended, and what it printed until then.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let mut printed = String::new();
        while let Some(line) = self.line().await {
            printed.push_str(&line);
            printed.push('\n');
        }
        (self.child.wait().await.unwrap(), printed)
    }
}
