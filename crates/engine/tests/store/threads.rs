//! The engine's threads: what calls it from there is answered as from anywhere, and holds up nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use vai_webhooks_engine::catalog::{CheckMode, NewEventType};
use vai_webhooks_engine::{Engine, EngineError, EngineOptions, NewEvent, TenantId};

use crate::patience::patiently;

async fn open(dir: &std::path::Path) -> (Arc<Engine>, TenantId) {
    let options = EngineOptions { shards: 2, disk_reserve_bytes: 0, ..EngineOptions::new(dir) };
    let engine = Engine::open(options).await.unwrap();
    let name = "default".parse().unwrap();
    let tenant = patiently(|| engine.tenant(&name)).await.unwrap();
    (Arc::new(engine), tenant)
}

#[tokio::test]
async fn callers_on_the_threads_are_answered_until_a_shutdown_ends_them() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, tenant) = open(dir.path()).await;
    let threads = engine.threads();
    assert_eq!(threads.len(), 2);
    let calls = threads.iter().cycle().take(200).map(|thread| {
        let engine = Arc::clone(&engine);
        thread.spawn(async move { patiently(|| engine.trigger(tenant, NewEvent::new("a.b", "{}"))).await })
    });
    for answered in futures_util::future::join_all(calls).await {
        answered.unwrap().unwrap();
    }
    let (held, dropped) = oneshot::channel::<()>();
    threads[1].spawn(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    assert!(engine.shutdown(Duration::from_secs(300)).await);
    dropped.await.unwrap_err();
    assert!(engine.threads().is_empty());
}

#[tokio::test]
async fn a_long_check_is_not_made_on_a_thread_that_sends() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, tenant) = open(dir.path()).await;
    let schema = r#"{"type":"array","items":{"type":"integer"}}"#;
    let event_type = NewEventType { schema: Some(schema.to_owned()), ..NewEventType::default() };
    patiently(|| engine.put_event_type(tenant, "list.made", event_type.clone())).await.unwrap();
    patiently(|| engine.set_check_mode(tenant, CheckMode::Enforce)).await.unwrap();
    // Refused with nothing to wait for but the check.
    let call = |data: String| {
        let engine = Arc::clone(&engine);
        async move { engine.trigger(tenant, NewEvent::new("list.made", data)).await }
    };
    // It is compiled with the first one.
    assert!(call("[]".to_owned()).await.is_ok());
    let (short, long) = ("[\"\"]".to_owned(), format!("[{}\"\"]", "1,".repeat(50_000)));
    let checked = {
        let (short, long) = (call(short.clone()), call(long.clone()));
        engine.threads()[0].spawn(async move {
            let mut long = long.boxed();
            (short.now_or_never(), (&mut long).now_or_never(), long.await)
        })
    };
    let (short, at_once, later) = checked.await.unwrap();
    assert!(matches!(short, Some(Err(EngineError::Violates(_)))), "{short:?}");
    assert!(at_once.is_none(), "{at_once:?}");
    assert!(matches!(later, Err(EngineError::Violates(_))), "{later:?}");
    // Anywhere else it is made where it is asked for.
    assert!(call(long).now_or_never().is_some());
    assert!(engine.shutdown(Duration::from_secs(300)).await);
}
