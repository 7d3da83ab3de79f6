//! The demo shows deliveries, retries and their success, and ends by itself or at Ctrl-C.

use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::server::binary;

/// What it prints where it is piped: no colours, and no line over 80 columns.
fn check(text: &str) {
    assert!(!text.contains('\x1b'), "{text}");
    let steps = text.lines().filter(|line| !line.contains("vaik_") && !line.contains("$VAI_URL"));
    for line in steps {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    for event_type in vai_webhooks_wire::types::ALL {
        assert!(text.contains(event_type), "{event_type} is named");
    }
    assert!(text.contains("none was lost"), "{text}");
}

#[tokio::test]
async fn it_ends_by_itself_and_what_failed_was_delivered() {
    let command = Command::new(binary()).args(["demo", "--for", "10s"]).stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } = command.await.unwrap();
    let (said, errors) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{said}\n{errors}");
    assert_eq!(errors, "");
    check(&said);
    let failed = said.lines().filter(|line| line.contains("receiver fails:")).count();
    let recovered = said.lines().filter(|line| line.contains("received at try")).count();
    assert!(failed >= 1 && failed == recovered, "{failed} failed, {recovered} recovered:\n{said}");
    assert!(said.contains("curl"), "it says what to try");
}

#[tokio::test]
async fn it_ends_cleanly_at_ctrl_c() {
    let mut child =
        Command::new(binary()).arg("demo").stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("accepted") {
        assert!(out.read_line(&mut said).await.unwrap() > 0, "{said}");
    }
    let pid = child.id().unwrap().to_string();
    Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    out.read_to_string(&mut said).await.unwrap();
    assert!(child.wait().await.unwrap().success(), "{said}");
    check(&said);
}
