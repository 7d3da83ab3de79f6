//! The catalog and each tenant's mode are on disk: they are there after a restart.

use vai_webhooks_engine::catalog::{CheckMode, NewEventType};
use vai_webhooks_engine::{Engine, EngineError, EngineOptions, NewEvent, TenantId};

use crate::patience::patiently;

async fn open(dir: &std::path::Path) -> (Engine, TenantId, TenantId) {
    let engine = Engine::open(EngineOptions::new(dir)).await.ok().unwrap();
    let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
    let one = patiently(|| engine.tenant(&one)).await.unwrap();
    let two = patiently(|| engine.tenant(&two)).await.unwrap();
    (engine, one, two)
}

async fn close(engine: Engine) {
    assert!(engine.shutdown(std::time::Duration::from_secs(300)).await);
}

#[tokio::test]
async fn what_is_enforced_is_enforced_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, one, two) = open(dir.path()).await;
    let schema = |text: &str| NewEventType { schema: Some(text.to_owned()), ..NewEventType::default() };
    let text = schema(r#"{"type":"string"}"#);
    let put = patiently(|| engine.put_event_type(one, "order.paid", text.clone())).await.unwrap();
    assert!(put.created && put.breaks.is_empty());
    let breaking = NewEventType { force: true, ..schema(r#"{"type":"integer"}"#) };
    let put = patiently(|| engine.put_event_type(one, "order.paid", breaking.clone())).await.unwrap();
    assert_eq!(put.breaks.len(), 1);
    patiently(|| engine.set_check_mode(one, CheckMode::Enforce)).await.unwrap();
    close(engine).await;

    let (engine, one, two_again) = open(dir.path()).await;
    assert_eq!((engine.check_mode(one), engine.check_mode(two_again)), (CheckMode::Enforce, CheckMode::Off));
    assert_eq!(two, two_again);
    let (it, versions) = engine.event_type(one, "order.paid", None).await.unwrap();
    assert_eq!((it.version, versions.len()), (Some(2), 2));
    assert!(versions[0].breaks.contains("type_widened") && versions[1].breaks == "[]", "{versions:?}");
    let trigger = |tenant, data| {
        let event = NewEvent::new("order.paid", data);
        let engine = &engine;
        async move { patiently(|| engine.trigger(tenant, event.clone())).await }
    };
    let refused = trigger(one, "\"x\"").await;
    assert!(matches!(&refused, Err(EngineError::Violates(all)) if all[0].pointer == "/data"), "{refused:?}");
    assert!(trigger(one, "7").await.is_ok());
    assert!(trigger(two, "\"x\"").await.is_ok());
    patiently(|| engine.set_check_mode(one, CheckMode::Off)).await.unwrap();
    close(engine).await;

    let (engine, one, _) = open(dir.path()).await;
    let event = NewEvent::new("order.paid", "\"x\"");
    assert!(patiently(|| engine.trigger(one, event.clone())).await.is_ok());
    close(engine).await;
}

#[tokio::test]
async fn of_two_that_put_at_once_one_is_told_to_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, one, _) = open(dir.path()).await;
    let calls = (0..8).map(|n| {
        let new = NewEventType { description: Some(format!("the {n}th")), ..NewEventType::default() };
        let engine = &engine;
        async move { patiently(|| engine.put_event_type(one, "order.paid", new.clone())).await }
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
