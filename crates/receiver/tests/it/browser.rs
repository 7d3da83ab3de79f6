//! A real Chromium without a window, told what to do over its debugging pipe.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long anything may take.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The pipe's ends are the file descriptors 3 and 4: here, what the shell has as its input and output.
const COMMAND: &str = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --lang=en-US \
    --remote-debugging-pipe --user-data-dir=\"$1\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1";

/// A page in a browser of its own. Killed where it is dropped.
pub struct Page {
    _browser: Child,
    _profile: TempDir,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Value,
    last_id: u64,
}

impl Page {
    /// Opens a page; `None` where there is no Chromium.
    pub async fn open(url: &str) -> Option<Self> {
        let there = Command::new("chromium").arg("--version").output().await;
        if !there.is_ok_and(|output| output.status.success()) {
            println!("left out: there is no chromium on this machine");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Command::new("sh")
            .args(["-c", COMMAND, "sh"])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (browser.stdin.take().unwrap(), browser.stdout.take().unwrap());
        let output = BufReader::new(output);
        let mut page =
            Self { _browser: browser, _profile: profile, input, output, session: Value::Null, last_id: 0 };
        let target = page.call("Target.createTarget", json!({"url": url})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        page.session = page.call("Target.attachToTarget", attach).await["sessionId"].clone();
        Some(page)
    }

    /// What an expression is in the page.
    pub async fn is(&mut self, expression: &str) -> Value {
        let evaluate = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", evaluate).await;
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub async fn until(&mut self, expression: &str) {
        let wait = async { while self.is(expression).await != true {} };
        if tokio::time::timeout(WAIT_MAX, wait).await.is_err() {
            let shown = self.is("document.body.innerText").await;
            panic!("{expression} does not become true; the page shows: {shown}");
        }
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": parameters});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).await.unwrap();
        tokio::time::timeout(WAIT_MAX, async {
            loop {
                let mut bytes = Vec::new();
                self.output.read_until(0, &mut bytes).await.unwrap();
                assert_eq!(bytes.pop(), Some(0), "the browser goes on");
                let answer: Value = serde_json::from_slice(&bytes).unwrap();
                if answer["id"] == self.last_id {
                    assert_eq!(answer["error"], Value::Null, "{method}");
                    return answer["result"].clone();
                }
            }
        })
        .await
        .expect("the browser answers")
    }
}
