//! A rule can be tried with past events before it wakes somebody, and a wrong one is said.

use std::path::Path;
use std::process::Command;

use crate::server::binary;

/// What is written, and whether it ended well.
fn try_rule(arguments: &[&str], events: &Path) -> (bool, String) {
    let mut command = Command::new(binary());
    let output = command.arg("receive").args(arguments).arg(events).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said)
}

#[test]
fn a_rule_tells_what_it_would_have_said_about_past_events() {
    let place = tempfile::tempdir().unwrap();
    let events = place.path().join("events.jsonl");
    let line = |minute: u32, score: f64| {
        format!(
            r#"{{"id":"e{minute}","event":"agent.metrics","timestamp":"2026-08-01T11:{minute:02}:00.000Z","data":{{"agentId":"a-1","metrics":{{"satisfactionScore":{score}}}}}}}"#
        )
    };
    std::fs::write(&events, [line(10, 0.9), line(11, 0.7), line(12, 0.6), "no event".to_owned()].join("\n"))
        .unwrap();
    let (well, said) = try_rule(&["--test-rule", "low-satisfaction"], &events);
    assert!(well, "{said}");
    for part in [
        "2026-08-01T11:11:00.000Z  RAISED         0.7  a-1",
        "The satisfaction score of a-1 is 0.7.",
        "low-satisfaction would have spoken once.",
        "unreadable lines      1",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    let config = place.path().join("receiver.toml");
    let rule = "[[sink]]\nname = 'team'\nkind = 'slack'\n[[rule]]\nuse = 'low-satisfaction'\nname = 'mine'\n\
        when = 'value < 0.65'\ntarget = 'team'\n";
    std::fs::write(&config, rule).unwrap();
    let config = config.to_str().unwrap();
    let (well, said) = try_rule(&["--config", config, "--test-rule", "mine"], &events);
    assert!(well && said.contains("a-1 is 0.6.") && said.contains("mine would have spoken once."), "{said}");

    let (well, said) = try_rule(&["--config", config, "--test-rule", "yours"], &events);
    assert!(!well && said.contains("no rule \"yours\": there are mine, low-satisfaction"), "{said}");
    let (well, said) = try_rule(&["--test-rule", "low-satisfaction"], Path::new("/no/such/file"));
    assert!(!well && said.contains("cannot read /no/such/file"), "{said}");
}
