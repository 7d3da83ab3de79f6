//! The HTTP API: the engine's calls as the contract spells them.
//!
//! The way of a request: `auth` says for which tenant it is, `input` reads its path, query and body
//! within limits, a file for each resource calls the engine and gives its result a shape (`shapes`), and
//! everything that goes wrong leaves as a `problem`. Invariant: every answer that is not 2xx is
//! `application/problem+json`. The document at `/openapi.json` is made from these same functions.

mod auth;
mod catalog;
mod document;
mod event_types;
mod events;
mod health;
mod input;
mod keys;
mod links;
mod metrics;
mod problem;
mod secrets;
mod settings;
mod shapes;
mod stats;
mod transform;
mod webhooks;

use std::sync::Arc;

use axum::body::HttpBody;
use axum::http::{Method, Request};
use axum::response::Response;
use axum::{BoxError, Router};
use bytes::Bytes;
use tower::Service as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vai_webhooks_engine::Engine;

pub use input::{BATCH_BYTES_MAX, BODY_BYTES_MAX};

/// What every call works with.
#[derive(Clone)]
pub struct Api {
    engine: Arc<Engine>,
}

/// What answers a request.
#[derive(Clone)]
pub struct Service {
    api: Api,
    router: Router,
}

impl Service {
    /// The API over this engine.
    #[must_use]
    pub fn over(engine: Arc<Engine>) -> Self {
        let (router, document) = parts().split_for_parts();
        let document = document::text(&document);
        let api = Api { engine };
        let router = router
            .route("/openapi.json", axum::routing::get(move || document::serve(document.clone())))
            .fallback(problem::unknown_path)
            .method_not_allowed_fallback(problem::wrong_method)
            .with_state(api.clone());
        Self { api, router }
    }

    /// All calls, as a router has them.
    pub fn router(self) -> Router {
        self.router
    }

    /// Answers a request. The one that comes for each event is taken here: the way through the router costs a tenth of
    /// what the whole call does.
    pub async fn answer<B>(mut self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if request.method() == Method::POST && request.uri().path() == events::PATH {
            return events::take(&self.api, request).await;
        }
        let Ok(answer) = self.router.call(request).await;
        answer
    }
}

/// The OpenAPI document, as `/openapi.json` serves it.
#[must_use]
pub fn openapi() -> String {
    document::text(&parts().split_for_parts().1)
}

fn parts() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::base())
        .routes(routes!(webhooks::register, webhooks::list))
        .routes(routes!(webhooks::read, webhooks::change, webhooks::remove))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::pause))
        .routes(routes!(webhooks::resume))
        .routes(routes!(webhooks::attempts))
        .routes(routes!(secrets::read))
        .routes(routes!(secrets::rotate))
        .routes(routes!(stats::of_webhook))
        .routes(routes!(stats::of_tenant))
        .routes(routes!(events::accept, events::list))
        .routes(routes!(events::accept_batch))
        .routes(routes!(events::read))
        .routes(routes!(events::deliveries))
        .routes(routes!(events::resend))
        .routes(routes!(event_types::list))
        .routes(routes!(event_types::read, event_types::put))
        .routes(routes!(catalog::openapi))
        .routes(routes!(catalog::asyncapi))
        .routes(routes!(settings::read, settings::change))
        .routes(routes!(links::read))
        .routes(routes!(transform::attempt))
        .routes(routes!(transform::versions))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(health::read))
        .routes(routes!(metrics::read))
}
