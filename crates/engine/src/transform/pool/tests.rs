//! Turns and classes: no script holds up another webhook's.

use super::*;
use crate::clock::SystemClock;
use crate::transform::Made;

fn pool() -> Pool {
    Pool::new(Arc::new(SystemClock::new()), 1)
}

fn script(webhook: u32, code: &str) -> Script {
    Script {
        owner: Owner::Webhook(TenantId(webhook.into()), WebhookNo(webhook)),
        version: Some(1),
        code: code.into(),
    }
}

fn input() -> Input {
    Input { body: r#"{"n":1}"#.into(), seed: [0; 4], webhook_id: "w".to_owned() }
}

async fn body(pool: &Pool, script: Script) -> String {
    match pool.run(script, input()).await.result.unwrap() {
        Made::Body(shaped) => String::from_utf8(shaped.body.to_vec()).unwrap(),
        dropped => panic!("{dropped:?}"),
    }
}

#[tokio::test]
async fn each_script_gets_its_own_result_and_none_sees_another() {
    let pool = pool();
    let scripts = (0..100).map(|n| script(n, &format!("e => [{n}, typeof globalThis.x, e.n]")));
    let bodies = futures_util::future::join_all(scripts.map(|script| body(&pool, script))).await;
    let expected: Vec<String> = (0..100).map(|n| format!(r#"[{n},"undefined",1]"#)).collect();
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn a_changed_script_is_another_version_and_runs_as_such() {
    let pool = pool();
    assert_eq!(body(&pool, script(1, "() => 1")).await, "1");
    assert_eq!(body(&pool, Script { version: Some(2), ..script(1, "() => 2") }).await, "2");
    assert_eq!(body(&pool, script(1, "() => 1")).await, "1");
}

/// Whether `this` ends before `other` does.
async fn ends_before<T>(this: impl Future<Output = T>, other: impl Future) -> Option<T> {
    match select(Box::pin(other), Box::pin(this)).await {
        Either::Left(_) => None,
        Either::Right((it, _)) => Some(it),
    }
}

#[tokio::test]
async fn quick_scripts_do_not_wait_for_one_that_always_runs_into_its_limit() {
    let pool = pool();
    let flood =
        futures_util::future::join_all((0..40).map(|_| pool.run(script(2, "() => { for (;;); }"), input())));
    let quick = async {
        // Not one of them was ever run before.
        for webhook in 10..30 {
            body(&pool, script(webhook, "() => 1")).await;
        }
    };
    assert!(
        ends_before(quick, flood).await.is_some(),
        "two seconds of endless scripts ended before twenty quick ones"
    );
}

#[tokio::test]
async fn a_run_that_takes_longer_than_a_quick_one_may_has_all_its_time_among_the_slow_ones() {
    let pool = pool();
    let code = "() => { for (let n = 0; n < 200000; n++); return 1 }";
    assert_eq!(body(&pool, script(1, code)).await, "1");
    let error = pool.run(script(2, "() => { for (;;); }"), input()).await.result.unwrap_err();
    assert!(error.message.contains("50 ms"), "{error}");
    let heavy = "() => { const all = []; for (;;) all.push('x'.repeat(100000) + all.length) }";
    let error = pool.run(script(3, heavy), input()).await.result.unwrap_err();
    assert!(error.message.contains("memory"), "{error}");
}

/// A clock of which every sleep has passed, so that what waits looks again and again.
struct Impatient(SystemClock);

impl Clock for Impatient {
    fn now(&self) -> vai_webhooks_wire::UnixMs {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep_until(&self, _at: vai_webhooks_wire::UnixMs) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(tokio::task::yield_now())
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_broken_off_is_given_up_and_held_against_its_version_and_tenant_alone() {
    let pool = Pool::new(Arc::new(Impatient(SystemClock::new())), 1);
    // No step of it takes long, and the engine asks for time too seldom for it.
    let stuck = "() => { const n = 3n ** 60000n; for (;;) n * n }";
    let error = pool.run(script(1, stuck), input()).await.result.unwrap_err();
    assert_eq!(error.kind, ScriptErrorKind::Limit);
    assert!(error.message.contains("given up"), "{error}");
    let again = pool.run(script(1, stuck), input()).await.result.unwrap_err();
    assert_eq!(again, error, "it is not run again");
    let same_tenant = Script { owner: Owner::Webhook(TenantId(1), WebhookNo(7)), ..script(7, "() => 1") };
    let waits = pool.run(same_tenant, input()).await.result.unwrap_err();
    assert_eq!(waits.kind, ScriptErrorKind::Unavailable, "{waits}");
    for webhook in 2..20 {
        assert_eq!(body(&pool, script(webhook, "() => 1")).await, "1", "another thread took its place");
    }
    let slow = "() => { for (let n = 0; n < 200000; n++); return 1 }";
    assert_eq!(body(&pool, script(30, slow)).await, "1", "among the slow ones too");
}

#[tokio::test]
async fn a_script_that_ran_into_its_limit_rests_and_another_slow_one_goes_on_meanwhile() {
    let pool = pool();
    let hopeless =
        futures_util::future::join_all((0..5).map(|_| pool.run(script(1, "() => { for (;;); }"), input())));
    let slow = async {
        for _ in 0..4 {
            let code = "() => { for (let n = 0; n < 300000; n++); return 1 }";
            assert_eq!(body(&pool, script(2, code)).await, "1");
        }
    };
    assert!(ends_before(slow, hopeless).await.is_some(), "four slow runs waited for five hopeless ones");
}

#[tokio::test]
async fn of_many_scripts_of_both_classes_each_run_ends() {
    let pool = Pool::new(Arc::new(SystemClock::new()), 2);
    let runs = (0..400).map(|n| {
        let code = match n % 40 {
            0 => "() => { for (let n = 0; n < 200000; n++); return 1 }",
            _ => "() => 1",
        };
        body(&pool, script(n % 40, code))
    });
    let bodies = futures_util::future::join_all(runs).await;
    assert!(bodies.iter().all(|body| body == "1"));
}

#[tokio::test]
async fn webhooks_take_turns_however_much_one_of_them_has() {
    let pool = pool();
    let flood =
        futures_util::future::join_all((0..40).map(|_| pool.run(script(1, "() => { for (;;); }"), input())));
    let one = pool.run(script(2, "() => { for (;;); }"), input());
    assert!(ends_before(one, flood).await.is_some(), "one slow run waited for forty of another webhook");
}

#[tokio::test]
async fn what_waits_is_told_when_the_pool_ends() {
    let pool = pool();
    let waiting = pool.0.push(script(1, "() => { for (;;); }"), Some(input())).unwrap();
    let behind = pool.0.push(script(1, "() => 1"), Some(input())).unwrap();
    drop(pool);
    let _either = waiting.1.await;
    assert!(behind.1.await.is_err());
}
