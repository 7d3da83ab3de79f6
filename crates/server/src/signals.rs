//! The signals that end a process: the first asks, the second does not.
//!
//! Made at the very start, so that a signal that comes while the process starts is not missed. Read
//! `serve.rs` next.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell shows for a process that an interrupt ended.
const INTERRUPTED: i32 = 130;

/// SIGINT and SIGTERM, from the moment this is made.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen. Must be called within a runtime.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Resolves with the name of the first signal. From then on another one ends the process.
    pub async fn first(mut self) -> &'static str {
        let name = self.next().await;
        tokio::spawn(async move {
            self.next().await;
            eprintln!("ended at once");
            std::process::exit(INTERRUPTED);
        });
        name
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Interrupted",
            _ = self.terminate.recv() => "Asked to end",
        }
    }
}
