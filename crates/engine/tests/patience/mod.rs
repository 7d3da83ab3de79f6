//! Calls to an engine as its users make them: whoever is told that it is busy tries again.
//!
//! It may be busy at any time, however little is asked of it: where the disk stalls, what waits for a commit waits too
//! long. Test binaries include this file by its path.

use std::time::Duration;

use vai_webhooks_engine::EngineError;

/// How long a caller waits that was told so.
const PAUSE: Duration = Duration::from_millis(50);

/// What a call gives once the engine is not too busy for it.
pub async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    let mut pace = tokio::time::interval(PAUSE);
    loop {
        pace.tick().await;
        match call().await {
            Err(EngineError::Busy) => {}
            answer => return answer,
        }
    }
}
