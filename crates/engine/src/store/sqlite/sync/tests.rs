//! What getting commits to the disk promises, with real files; `/dev/null` is one that cannot be synced.

use std::sync::mpsc;

use rusqlite::Connection;

use super::*;
use crate::tenant::TenantId;

/// What was told and answered, in order.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Pending(u32),
    Answered(u32, bool),
    Failed,
}

struct Told(mpsc::SyncSender<Said>);

impl Hooks for Told {
    fn route(&self, _: &crate::store::AcceptEvent) -> crate::store::Route {
        unreachable!("nothing is accepted here")
    }
    fn is_crowded(&self, _: TenantId) -> bool {
        false
    }
    fn webhook_changed(&self, _: StoredWebhook) {}
    fn catalog_changed(&self, _: CatalogChange) {}
    fn pending_changed(&self, webhook: WebhookNo, _: i64) {
        self.0.send(Said::Pending(webhook.0)).unwrap();
    }
    fn committed(&self, _: Committed) {}
    fn failed(&self, _: &StoreError) {
        self.0.send(Said::Failed).unwrap();
    }
}

struct Numbered(u32, mpsc::SyncSender<Said>);

impl Write for Numbered {
    fn apply(&mut self, _: &Connection, _: &mut Group) -> rusqlite::Result<()> {
        Ok(())
    }
    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        self.1.send(Said::Answered(self.0, result.is_ok())).unwrap();
    }
}

/// Groups that are told and answered by a number.
fn syncing(log: File) -> (Sync, mpsc::Receiver<Said>, impl Fn(u32) -> Unsynced) {
    let (say, said) = mpsc::sync_channel(1_000);
    let sync = Sync::over(Log(log), Arc::default(), Arc::new(Told(say.clone()))).unwrap();
    let group = move |number| Unsynced {
        webhooks: Vec::new(),
        catalog: Vec::new(),
        pending: vec![(WebhookNo(number), 1)],
        committed: Committed::default(),
        written: vec![Box::new(Numbered(number, say.clone()))],
        since: None,
    };
    (sync, said, group)
}

#[test]
fn groups_are_told_and_answered_in_order_whoever_syncs_them() {
    let (sync, said, group) = syncing(tempfile::tempfile().unwrap());
    for number in 0..200 {
        sync.push(group(number), number % 3 == 0).unwrap();
    }
    sync.drain().unwrap();
    let expected = (0..200).flat_map(|number| [Said::Pending(number), Said::Answered(number, true)]);
    assert_eq!(said.try_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn what_is_handed_over_is_answered_before_the_thread_ends() {
    let (sync, said, group) = syncing(tempfile::tempfile().unwrap());
    sync.push(group(1), false).unwrap();
    drop(sync);
    assert_eq!(said.try_iter().collect::<Vec<_>>(), [Said::Pending(1), Said::Answered(1, true)]);
}

#[test]
fn after_a_failed_sync_everything_is_answered_with_it_and_nothing_is_told() {
    let (sync, said, group) = syncing(File::open("/dev/null").unwrap());
    assert!(sync.push(group(1), true).is_err());
    assert!(sync.push(group(2), false).is_err());
    assert!(sync.drain().is_err());
    let expected = [Said::Failed, Said::Answered(1, false), Said::Answered(2, false)];
    assert_eq!(said.try_iter().collect::<Vec<_>>(), expected);
}
