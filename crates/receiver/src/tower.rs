//! The receivers as tower services over `http` types, for programs that are not axum's.
//!
//! They exist so that any server whose requests are `http::Request` with some body can hand its webhook route over:
//! hyper's own, tonic's, or one in a test. Invariant: the path is the server's business, the method is looked at here.
//! Read `inline/handle.rs` and `intake/receive.rs` next.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tower::{BoxError, Service};

use crate::inline::Inline;
use crate::receiver::Receiver;

/// Takes webhook requests, on whatever path they came. Made by [`Receiver::service`].
#[derive(Clone)]
pub struct ReceiverService(pub(crate) std::sync::Arc<crate::receiver::Shared>);

impl Receiver {
    /// The webhook's route as a tower service: verify, store, answer.
    pub fn service(&self) -> ReceiverService {
        ReceiverService(self.shared_handle())
    }
}

impl<B> Service<Request<B>> for ReceiverService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            Ok(match only_post(request) {
                Ok(request) => crate::intake::answer(&shared, request).await,
                Err(answer) => *answer,
            })
        })
    }
}

impl<B> Service<Request<B>> for Inline
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inline = self.clone();
        Box::pin(async move {
            Ok(match only_post(request) {
                Ok(request) => inline.answer(request).await,
                Err(answer) => *answer,
            })
        })
    }
}

fn only_post<B>(request: Request<B>) -> Result<Request<Body>, Box<Response<Body>>>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if *request.method() == Method::POST {
        return Ok(request.map(Body::new));
    }
    let body = axum::Json(serde_json::json!({"error": "Method not allowed"}));
    let mut answer = (StatusCode::METHOD_NOT_ALLOWED, body).into_response();
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    Err(Box::new(answer))
}
