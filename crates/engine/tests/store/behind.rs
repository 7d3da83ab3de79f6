//! The clock is behind what is in the store, as where it was set back: ids are given once all the same.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use vai_webhooks_engine::egress::{EgressOptions, HttpTransport, Policy};
use vai_webhooks_engine::{
    Clock, Engine, EngineOptions, EngineParts, SqliteStore, SystemClock, SystemRng, TenantId,
};
use vai_webhooks_wire::UnixMs;

use crate::patience::patiently;
use crate::receiver::Receiver;
use crate::taken::{PATIENCE, attempts, is_delivered, killed, trigger, until, webhook};

/// A clock that is so many milliseconds behind the machine's.
struct Behind(SystemClock, i64);

impl Clock for Behind {
    fn now(&self) -> UnixMs {
        self.0.now().saturating_add(-self.1)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep_until(&self, at: UnixMs) -> BoxFuture<'static, ()> {
        self.0.sleep_until(at.saturating_add(self.1))
    }
}

async fn open(dir: &Path, behind_ms: i64) -> (Engine, TenantId) {
    let clock: Arc<dyn Clock> = Arc::new(Behind(SystemClock::new(), behind_ms));
    let store = SqliteStore::open(dir, 0, Arc::clone(&clock), &SystemRng).unwrap();
    let policy = Policy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let transport = HttpTransport::new(EgressOptions { policy, ..EgressOptions::default() }).unwrap();
    let parts = EngineParts {
        clock,
        rng: Arc::new(SystemRng),
        transport: Arc::new(transport),
        store: Arc::new(store),
    };
    let egress_allow = vec!["127.0.0.0/8".parse().unwrap()];
    let options = EngineOptions { egress_allow, ..EngineOptions::new(dir) };
    let (engine, shards) = Engine::assemble(parts, &options).await.unwrap();
    shards.into_iter().for_each(|shard| drop(tokio::spawn(shard)));
    let name = "default".parse().unwrap();
    let tenant = patiently(|| engine.tenant(&name)).await.unwrap();
    (engine, tenant)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_after_one_crash_and_another_have_ids_of_their_own() {
    const HOUR_MS: i64 = 3_600_000;
    let receiver = Receiver::start(|_, _, _| Some((200, Vec::new()))).await;
    let mut dir = tempfile::tempdir().unwrap();
    let (mut engine, mut tenant) = open(dir.path(), 0).await;
    let webhook = webhook(&engine, tenant, &receiver, "w", "a").await;
    let event = trigger(&engine, tenant, "a", "e").await;
    until(&engine, tenant, &event, is_delivered).await;
    // No event comes, only attempts.
    for made in 2..=4 {
        let copy = killed(dir.path());
        engine.shutdown(PATIENCE).await;
        dir = copy;
        (engine, tenant) = open(dir.path(), HOUR_MS).await;
        patiently(|| engine.resend(tenant, &event, None, None)).await.unwrap();
        tokio::select! {
            () = until(&engine, tenant, &event, |it| is_delivered(it) && it.attempts.len() == made) => {}
            error = engine.failure() => panic!("the store failed: {error}"),
        }
    }
    let all = attempts(&engine, tenant, &webhook, 250).await;
    assert_eq!(all.len(), 4);
    assert_eq!(all.iter().map(|it| it.id.to_string()).collect::<HashSet<_>>().len(), 4);
    assert!(engine.shutdown(PATIENCE).await);
}
