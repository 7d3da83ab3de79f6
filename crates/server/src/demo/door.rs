//! The door before the demo's receiver: it fails now and then, as the world does.
//!
//! A tenth of first attempts is answered 500 or 503, so that retries can be watched; the first three
//! events show one for certain. Read `screen.rs` next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use rand::RngExt as _;

use super::screen::Screen;

/// The share of first attempts that fail.
const FAILING: f64 = 0.1;
/// This event's first attempt fails for certain.
const FAILS_FOR_CERTAIN: u32 = 3;

/// Lets requests through, or does not.
pub(super) struct Door {
    screen: Arc<Screen>,
    /// Before that, everything goes through: the registration's test.
    open: AtomicBool,
    first_attempts: AtomicU32,
}

impl Door {
    pub(super) fn new(screen: Arc<Screen>) -> Self {
        Self { screen, open: AtomicBool::new(false), first_attempts: AtomicU32::new(0) }
    }

    /// From now on it fails now and then.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// `router` behind this door.
    pub(super) fn before(self: Arc<Self>, router: Router) -> Router {
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let door = Arc::clone(&self);
            async move {
                match door.refusal(request.headers()) {
                    Some(response) => response,
                    None => next.run(request).await,
                }
            }
        }))
    }

    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first_attempt = text("x-vai-attempt") == "1";
        if !first_attempt || !self.open.load(Ordering::Relaxed) {
            return None;
        }
        let count = self.first_attempts.fetch_add(1, Ordering::Relaxed) + 1;
        if count != FAILS_FOR_CERTAIN && !rand::rng().random_bool(FAILING) {
            return None;
        }
        let status = match rand::rng().random_bool(0.5) {
            true => StatusCode::INTERNAL_SERVER_ERROR,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        self.screen.failed(text("x-vai-event"), text("webhook-id"), status);
        Some((status, "the demo's receiver fails on purpose now and then").into_response())
    }
}
