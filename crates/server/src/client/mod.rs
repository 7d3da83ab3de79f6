//! The command line client: what a person or a script says to a running server.
//!
//! It knows the public HTTP API and nothing of the engine: what it can do, any program can. The way of a
//! command: `connection` finds the server and the key, a file for each resource (`webhook` with `add`,
//! `event` with `send` and `fate`, `event_types`, `transform`, `key`) calls `http` and shows the `answers` through `screen` and
//! `table`. `verify` needs no server. Invariants: every wait and every answer that is read has a bound;
//! what a server says reaches a terminal without its control characters; no secret stands in an error or
//! in `Debug`. Read `connection.rs` next.

mod add;
mod answers;
mod connection;
mod event;
mod event_types;
mod fate;
mod hidden;
mod http;
mod input;
mod key;
mod pretty;
mod refusal;
mod screen;
mod send;
mod table;
#[cfg(test)]
mod tests;
mod transform;
mod verify;
mod webhook;
mod when;

use std::io;
use std::process::ExitCode;

use clap::Subcommand;

pub use connection::Connection;
pub use event::EventCommand;
pub use event_types::EventTypesCommand;
pub use key::KeyCommand;
pub use screen::Screen;
pub use transform::TransformCommand;
pub use verify::VerifyArgs;
pub use webhook::WebhookCommand;

#[expect(missing_docs, reason = "clap shows a doc comment here instead of the command's own")]
#[derive(Debug, clap::Args)]
pub struct Call<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    connection: Connection,
}

impl Call<WebhookCommand> {
    /// Makes the call, and prints to standard output.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        webhook(self.connection, self.command, &mut Screen::stdout(&mut io::stdout())).await
    }
}

impl Call<EventCommand> {
    /// Makes the call, and prints to standard output.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        event(self.connection, self.command, &mut Screen::stdout(&mut io::stdout())).await
    }
}

impl Call<EventTypesCommand> {
    /// Makes the call, and prints to standard output.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        event_types(self.connection, self.command, &mut Screen::stdout(&mut io::stdout())).await
    }
}

impl Call<TransformCommand> {
    /// Makes the call, and prints to standard output.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        transform(self.connection, self.command, &mut Screen::stdout(&mut io::stdout())).await
    }
}

impl Call<KeyCommand> {
    /// Makes the call, and prints to standard output.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        key(self.connection, self.command, &mut Screen::stdout(&mut io::stdout())).await
    }
}

/// Runs `webhook …`. A test that was not delivered exits 1.
pub async fn webhook(
    connection: Connection,
    command: WebhookCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    ended(webhook::run(&connection, command, out).await)
}

/// Runs `event …`. `event send --wait` exits 1 where a delivery failed or was not final in time.
pub async fn event(
    connection: Connection,
    command: EventCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    ended(event::run(&connection, command, out).await)
}

/// Runs `event-types …`.
pub async fn event_types(
    connection: Connection,
    command: EventTypesCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    ended(event_types::run(&connection, command, out).await)
}

/// Runs `transform …`. A script that fails exits 1.
pub async fn transform(
    connection: Connection,
    command: TransformCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    ended(transform::run(&connection, command, out).await)
}

/// Runs `key …`.
pub async fn key(
    connection: Connection,
    command: KeyCommand,
    out: &mut Screen<'_>,
) -> anyhow::Result<ExitCode> {
    ended(key::run(&connection, command, out).await)
}

/// Runs `verify`, and prints to standard output. Exits 1 where the signature is not good.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    ended(verify::run(args, &mut Screen::stdout(&mut io::stdout())))
}

/// Whoever reads our output may stop reading (`| head`): that is no failure.
fn ended(result: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    match result {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
