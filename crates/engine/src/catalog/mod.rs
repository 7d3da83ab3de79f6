//! The catalog: event types with the schemas of their data.
//!
//! A schema comes from outside and is run on every event, so that the room is about bounds first: what a schema may
//! say (`outline.rs`), how much work it can make (`work.rs`), then compiling and checking (`schema.rs`,
//! `violations.rs`). `breaks/` compares two schemas from where a consumer stands; `typed.rs` has the six events that
//! come with one; `input.rs` is what a tenant puts. All of that is a function of values: no store, no clock, no network.
//! `live.rs` holds what is checked as events come in, `check.rs` does it for one type, `documents/` shows the catalog to consumers. Read `keywords.rs` next.

mod breaks;
mod check;
mod documents;
mod input;
mod keywords;
mod live;
mod outline;
mod schema;
mod typed;
mod violations;
mod work;

pub use breaks::breaks;
pub use check::Mismatches;
pub(crate) use check::{Check, Mismatch};
pub use documents::{Described, asyncapi, openapi};
pub use input::{DESCRIPTION_CHARS_MAX, EXAMPLES_MAX, NewEventType};
pub(crate) use live::LiveCatalog;
pub use live::{CatalogChange, CheckMode};
pub use schema::{SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, Schema};
pub use typed::{TypedEventType, typed};
pub use violations::VIOLATIONS_MAX;
