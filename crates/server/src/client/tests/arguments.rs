//! Arguments: the help is good, and what clap takes is what the commands mean.

use clap::{CommandFactory, Parser};

use crate::client::{
    Call, EventCommand, EventTypesCommand, KeyCommand, TransformCommand, VerifyArgs, WebhookCommand,
};

/// The command line as the binary has it, as far as this client is concerned.
#[derive(Parser)]
#[command(name = "vai-webhooks")]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Webhooks
    Webhook(Call<WebhookCommand>),
    /// Events
    Event(Call<EventCommand>),
    /// Event types
    EventTypes(Call<EventTypesCommand>),
    /// Transformations
    Transform(Call<TransformCommand>),
    /// Keys
    Key(Call<KeyCommand>),
    /// Check a signature by hand
    Verify(VerifyArgs),
}

fn help(path: &[&str]) -> String {
    let args = std::iter::once("vai-webhooks").chain(path.iter().copied()).chain(["--help"]);
    Line::try_parse_from(args).err().unwrap().to_string()
}

#[test]
fn clap_finds_no_fault_in_the_commands() {
    Line::command().debug_assert();
}

#[test]
fn each_command_says_what_it_does_and_not_what_its_type_is() {
    for (path, first) in [
        (&["webhook"][..], "Webhooks"),
        (&["webhook", "add"], "Register a webhook; its secret is shown this once"),
        (&["webhook", "list"], "List webhooks, newest first"),
        (&["event", "send"], "Send an event; answered once it is on the server's disk"),
        (&["event", "list"], "List events, newest first"),
        (&["event-types", "list"], "List event types"),
        (
            &["event-types", "mode"],
            "Say, or set, what happens to events that are not as their schemas have them",
        ),
        (
            &["key", "create"],
            "Make a key for the tenant that --tenant names, or for `default`; it is shown this once",
        ),
        (&["transform", "try"], "Run a script over an event; nothing is stored or sent"),
        (&["verify"], "Check a signature by hand"),
    ] {
        let help = help(path);
        assert_eq!(help.lines().next(), Some(first), "{help}");
    }
    for path in [
        &["webhook", "add"][..],
        &["event-types", "set"],
        &["event", "send"],
        &["transform", "try"],
        &["key", "create"],
        &["verify"],
    ] {
        assert!(help(path).contains("Examples:"), "{path:?}");
    }
}

#[test]
fn connection_options_are_taken_before_and_after_the_command() {
    for line in ["webhook --url http://a --json list", "webhook list --url http://a --json"] {
        let Command::Webhook(call) =
            Line::parse_from(["vai-webhooks"].into_iter().chain(line.split(' '))).command
        else {
            panic!("{line}");
        };
        assert_eq!(call.connection.url, "http://a");
        assert!(call.connection.json);
    }
}

#[test]
fn wait_does_not_take_the_data_for_its_span() {
    let line = Line::parse_from(["vai-webhooks", "event", "send", "a.b", "--wait", "{}"]);
    let Command::Event(Call { command: EventCommand::Send(args), .. }) = line.command else {
        panic!("no send")
    };
    assert_eq!((args.data.as_str(), args.wait.map(|span| span.0.as_secs())), ("{}", Some(30)));
    let line = Line::parse_from(["vai-webhooks", "event", "send", "a.b", "--wait=5s"]);
    let Command::Event(Call { command: EventCommand::Send(args), .. }) = line.command else {
        panic!("no send")
    };
    assert_eq!(args.wait.map(|span| span.0.as_secs()), Some(5));
}
