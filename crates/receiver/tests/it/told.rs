//! A sink that tells the test what it got, and waits until every sink is done.

use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use vai_webhooks_receiver::sink::{Sink, SinkError, Stored};

use crate::client::status;

/// What a sink in these tests answers to a batch of ids.
type Answer = Box<dyn FnMut(&[String]) -> Result<(), SinkError> + Send>;

/// Tells each batch, and answers as the test wants.
pub struct Told {
    tell: mpsc::UnboundedSender<Vec<String>>,
    answer: Answer,
}

impl Told {
    pub fn new(
        answer: impl FnMut(&[String]) -> Result<(), SinkError> + Send + 'static,
    ) -> (Self, mpsc::UnboundedReceiver<Vec<String>>) {
        let (tell, told) = mpsc::unbounded_channel();
        (Self { tell, answer: Box::new(answer) }, told)
    }
}

impl Sink for Told {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let ids: Vec<String> = batch.iter().map(|stored| stored.event.id.clone()).collect();
        let answer = (self.answer)(&ids);
        self.tell.send(ids).ok();
        Box::pin(async { answer })
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async { Ok("there".to_owned()) })
    }
}

/// Waits until every sink of the service is done with all that is stored.
pub async fn until_done(address: SocketAddr) {
    loop {
        let status = status(address).await;
        if status["sinks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|sink| sink["waiting"] == 0 && sink["replaying"] == 0)
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}
