//! The catalog and each tenant's mode are on disk: they are there after a restart.

use vai_webhooks_engine::catalog::{CheckMode, NewEventType};
use vai_webhooks_engine::{Engine, EngineError, EngineOptions, NewEvent, TenantId};

async fn open(dir: &std::path::Path) -> (Engine, TenantId, TenantId) {
    let engine = Engine::open(EngineOptions::new(dir)).await.ok().unwrap();
    let one = engine.tenant(&"one".parse().unwrap()).await.unwrap();
    let two = engine.tenant(&"two".parse().unwrap()).await.unwrap();
    (engine, one, two)
}

async fn close(engine: Engine) {
    assert!(engine.shutdown(std::time::Duration::from_secs(10)).await);
}

#[tokio::test]
async fn what_is_enforced_is_enforced_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, one, two) = open(dir.path()).await;
    let schema = |text: &str| NewEventType { schema: Some(text.to_owned()), ..NewEventType::default() };
    let put = engine.put_event_type(one, "order.paid", schema(r#"{"type":"string"}"#)).await.unwrap();
    assert!(put.created && put.breaks.is_empty());
    let breaking = NewEventType { force: true, ..schema(r#"{"type":"integer"}"#) };
    assert_eq!(engine.put_event_type(one, "order.paid", breaking).await.unwrap().breaks.len(), 1);
    engine.set_check_mode(one, CheckMode::Enforce).await.unwrap();
    close(engine).await;

    let (engine, one, two_again) = open(dir.path()).await;
    assert_eq!((engine.check_mode(one), engine.check_mode(two_again)), (CheckMode::Enforce, CheckMode::Off));
    assert_eq!(two, two_again);
    let (it, versions) = engine.event_type(one, "order.paid", None).await.unwrap();
    assert_eq!((it.version, versions.len()), (Some(2), 2));
    assert!(versions[0].breaks.contains("type_widened") && versions[1].breaks == "[]", "{versions:?}");
    let refused = engine.trigger(one, NewEvent::new("order.paid", "\"x\"")).await;
    assert!(matches!(&refused, Err(EngineError::Violates(all)) if all[0].pointer == "/data"), "{refused:?}");
    assert!(engine.trigger(one, NewEvent::new("order.paid", "7")).await.is_ok());
    assert!(engine.trigger(two, NewEvent::new("order.paid", "\"x\"")).await.is_ok());
    engine.set_check_mode(one, CheckMode::Off).await.unwrap();
    close(engine).await;

    let (engine, one, _) = open(dir.path()).await;
    assert!(engine.trigger(one, NewEvent::new("order.paid", "\"x\"")).await.is_ok());
    close(engine).await;
}

#[tokio::test]
async fn of_two_that_put_at_once_one_is_told_to_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, one, _) = open(dir.path()).await;
    let calls = (0..8).map(|n| {
        let new = NewEventType { description: Some(format!("the {n}th")), ..NewEventType::default() };
        engine.put_event_type(one, "order.paid", new)
    });
    let results = futures_util::future::join_all(calls).await;
    let done = results.iter().filter(|it| it.is_ok()).count();
    let told = results
        .iter()
        .filter(|it| matches!(it, Err(EngineError::Conflict { code, .. }) if *code == "changed_meanwhile"));
    assert!(done >= 1 && done + told.count() == 8, "{results:?}");
    let (it, _) = engine.event_type(one, "order.paid", None).await.unwrap();
    assert!(it.description.unwrap().starts_with("the "));
    close(engine).await;
}
