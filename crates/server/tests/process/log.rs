//! Nothing secret is logged or printed, whatever is logged.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::producer::Producer;
use crate::server::{ADMIN_KEY, binary};

#[tokio::test]
async fn the_log_holds_no_secret_at_any_level() {
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .env("VAI_ADMIN_KEY", ADMIN_KEY)
        .env("VAI_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    let reading = tokio::spawn(async move {
        let mut log = String::new();
        errors.read_to_string(&mut log).await.unwrap();
        log
    });
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    out.read_line(&mut said).await.unwrap();
    let url = said.trim().rsplit(' ').next().unwrap().to_owned();

    let producer = Producer::new();
    let secret = "whsec_aHVudGVyMmh1bnRlcjI=";
    let webhook = json!({"id": "w", "url": "https://192.0.2.1/?token=query-secret", "events": ["*"], "secret": secret,
        "headers": {"Authorization": "Bearer header-secret"}, "verify": false});
    let mut bodies = vec![webhook.to_string()];
    let mut good = webhook.clone();
    good["url"] = json!("http://nowhere.invalid/?token=query-secret");
    bodies.push(good.to_string());
    for body in &bodies {
        producer.call("POST", &format!("{url}/v1/webhooks"), body).await.unwrap();
    }
    let event = r#"{"event":"a","data":{"said":"private words"}}"#;
    producer.call("POST", &format!("{url}/v1/events"), event).await.unwrap();
    producer.call("POST", &format!("{url}/v1/webhooks/w/test"), "").await.unwrap();
    let (status, made) = producer.call("POST", &format!("{url}/v1/keys"), "{}").await.unwrap();
    assert_eq!(status, 201);
    let key = made["key"].as_str().unwrap().to_owned();

    Command::new("kill").arg(child.id().unwrap().to_string()).status().await.unwrap();
    out.read_to_string(&mut said).await.unwrap();
    child.wait().await.unwrap();
    let log = reading.await.unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "everything was logged");
    for hidden in [ADMIN_KEY, secret, "query-secret", "header-secret", "private words", key.as_str()] {
        assert!(!log.contains(hidden) && !said.contains(hidden), "{hidden} is in the log:\n{log}\n{said}");
    }
}
