//! `vai-webhooks`: reads the command line and calls a room of the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use mimalloc::MiMalloc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;
use vai_webhooks::client::{
    self, Call, EventCommand, EventTypesCommand, KeyCommand, TransformCommand, VerifyArgs, WebhookCommand,
};
use vai_webhooks::config::ServeArgs;
use vai_webhooks::demo::DemoArgs;
use vai_webhooks::receive::ReceiveArgs;
use vai_webhooks::{demo, receive, serve};

/// Events are allocated by one thread and freed by another: measured in `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Accepts events, keeps them, signs and delivers them, retries, and tells what became of each
#[derive(Debug, Parser)]
#[command(
    name = "vai-webhooks",
    version,
    arg_required_else_help = true,
    after_help = "Begin with `vai-webhooks demo`, or with:
  vai-webhooks serve --egress-allow 127.0.0.0/8
  vai-webhooks webhook add http://127.0.0.1:3004/webhooks/vai --event '*' --no-verify
  VAI_WEBHOOK_SECRET=<the secret> vai-webhooks receive
  vai-webhooks event send webhook.test

The log goes to the standard error; VAI_LOG says how much (error, warn, info, debug)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Run a receiver: verifies events, stores each once, gives them to sinks and rules
    Receive(ReceiveArgs),
    /// Watch events flow: server, receiver and made-up conversations in one terminal
    Demo(DemoArgs),
    /// Register, list, show, test and remove webhooks
    Webhook(Call<WebhookCommand>),
    /// Send and list events, and see what became of one
    Event(Call<EventCommand>),
    /// Say what events look like, and hold them to it
    EventTypes(Call<EventTypesCommand>),
    /// Try transformations out
    Transform(Call<TransformCommand>),
    /// Make, list and revoke API keys (with an admin key)
    Key(Call<KeyCommand>),
    /// Check a signature by hand
    Verify(VerifyArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(matches!(cli.command, Command::Demo(_)));
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The demo shows events itself: its log has errors only, if nothing else was asked for.
fn start_log(quiet: bool) {
    let default = if quiet { "error" } else { "info" };
    let filter = EnvFilter::try_from_env("VAI_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// Connections are files. The soft limit, 1,024 by custom, is there for programs that use `select`; the hard one
/// is the administrator's word.
fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, soft_limit = limit.current, "the limit on open files stays as it is");
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if matches!(command, Command::Serve(_) | Command::Receive(_) | Command::Demo(_)) {
        open_as_many_files_as_allowed();
    }
    match command {
        Command::Serve(args) => runtime.block_on(serve::run(args.resolve()?)),
        Command::Receive(args) => runtime.block_on(receive::run(args)),
        Command::Demo(args) => runtime.block_on(demo::run(args)),
        Command::Webhook(call) => runtime.block_on(call.run()),
        Command::Event(call) => runtime.block_on(call.run()),
        Command::EventTypes(call) => runtime.block_on(call.run()),
        Command::Transform(call) => runtime.block_on(call.run()),
        Command::Key(call) => runtime.block_on(call.run()),
        Command::Verify(args) => client::verify(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vai-webhooks", &mut script);
            std::io::Write::write_all(&mut std::io::stdout(), &script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
