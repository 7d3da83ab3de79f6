//! `kind = "http"`: sends each event on to another URL, signed anew or with no signature.
//!
//! It exists to put a receiver in front of others: it takes events in safely and carries them on for as long as it takes.
//! Sessions share a few connections, so that order holds in each and a slow answer does not set the pace of all. The
//! body is always the one that was received. With `secret` it is signed at each try, as our own sender signs; without
//! it, it goes unsigned: the signature it came with names a time that is over. Invariants: an event of a session is sent after the one before it
//! was answered; what was answered 2xx is not sent again by this process, though others of its batch failed.
//! Read `lane.rs` next.

mod lane;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use futures_util::future::{BoxFuture, join_all};
use serde::Deserialize;
use vai_webhooks_wire::Secret;

use super::client::{Client, Target};
use super::settings::{Settings, SettingsError};
use super::{Sink, SinkError, Stored};
use lane::{Lane, Sent};

/// Connections at once, by default and at most.
const CONNECTIONS: usize = 4;
const CONNECTIONS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// Where events are posted to.
    url: String,
    /// Signs each event with this secret; without it, events go unsigned.
    secret: Option<String>,
    /// Further headers.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How many sessions are sent at once.
    #[serde(default = "connections")]
    connections: usize,
    /// A PEM file of further authorities.
    ca_file: Option<PathBuf>,
}

fn connections() -> usize {
    CONNECTIONS
}

/// Makes the sink.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let members: Members = settings.read()?;
    if !(1..=CONNECTIONS_MAX).contains(&members.connections) {
        return Err(SettingsError(format!("connections must be 1 to {CONNECTIONS_MAX}")));
    }
    let secret = members.secret.as_deref().map(Secret::parse).transpose();
    let secret = secret.map_err(|error| SettingsError::of("secret", error))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &members.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| SettingsError::of("headers", format!("has no header's name: {name:?}")))?;
        let value: HeaderValue = value
            .parse()
            .map_err(|_| SettingsError::of("headers", format!("has no value that {name} can have")))?;
        headers.insert(name, value);
    }
    let lanes = (0..members.connections).map(|_| {
        let target = Target::parse("url", &members.url)?;
        let path = target.path_and_query().to_owned();
        let client = Client::new(target, members.ca_file.as_deref())?;
        Ok(Lane::new(client, path, headers.clone(), secret.clone()))
    });
    let lanes = lanes.collect::<Result<Vec<Lane>, SettingsError>>()?;
    Ok(Box::new(Http { lanes, taken: BTreeSet::new(), refused: HashMap::new(), replays: false }))
}

struct Http {
    lanes: Vec<Lane>,
    /// Of a batch that comes again: what was answered 2xx,
    taken: BTreeSet<i64>,
    /// and what will never be.
    refused: HashMap<i64, String>,
    /// Whether it is one of replays.
    replays: bool,
}

impl Sink for Http {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.put_all(batch))
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async {
            let lane = self.lanes.first_mut().ok_or_else(|| SinkError::again("there is no connection"))?;
            lane.reach().await
        })
    }
}

impl Http {
    async fn put_all(&mut self, batch: &[Stored]) -> Result<(), SinkError> {
        let replays = batch.iter().any(|stored| stored.replay);
        if replays && !self.replays {
            // Asked for again: whether it was taken before does not matter.
            self.taken.clear();
            self.refused.clear();
        }
        self.replays = replays;
        let count = self.lanes.len();
        let mut shares: Vec<Vec<&Stored>> = vec![Vec::new(); count];
        for stored in batch {
            if !self.taken.contains(&stored.seq) && !self.refused.contains_key(&stored.seq) {
                shares[share_of(stored, count)].push(stored);
            }
        }
        let sent = self.lanes.iter_mut().zip(&shares).map(|(lane, share)| lane.send_all(share));
        let mut again: Option<(String, Option<Duration>)> = None;
        for Sent { taken, refused, stopped } in join_all(sent).await {
            self.taken.extend(taken);
            self.refused.extend(refused);
            if let Some(error) = stopped {
                let (detail, after) = match error {
                    SinkError::Again { detail, after } => (detail, after),
                    SinkError::Refused { detail, .. } => (detail, None),
                };
                let longest = again.as_ref().and_then(|(_, after)| *after).max(after);
                again = Some((detail, longest));
            }
        }
        if let Some((detail, after)) = again {
            return Err(SinkError::Again { detail, after });
        }
        if let Some((at, seq)) = batch
            .iter()
            .enumerate()
            .map(|(at, stored)| (at, stored.seq))
            .find(|(_, seq)| self.refused.contains_key(seq))
        {
            let detail = self.refused.remove(&seq).unwrap_or_default();
            self.taken = self.taken.split_off(&(seq + 1));
            return Err(SinkError::Refused { at, detail });
        }
        // What lies behind was taken in a larger batch, of which this is a part: it comes yet.
        let behind = batch.last().map_or(0, |last| last.seq + 1);
        self.taken = self.taken.split_off(&behind);
        Ok(())
    }
}

/// Which connection an event takes: always the same for a session.
fn share_of(stored: &Stored, count: usize) -> usize {
    #[derive(Deserialize)]
    struct Body {
        data: Session,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Session {
        session_id: Option<String>,
    }
    let session =
        serde_json::from_slice::<Body>(&stored.event.body).ok().and_then(|body| body.data.session_id);
    let mut hasher = DefaultHasher::new();
    session.hash(&mut hasher);
    // Below the count, which is a usize.
    usize::try_from(hasher.finish() % count as u64).unwrap_or(0)
}
