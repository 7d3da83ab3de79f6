//! Whole rules over whole files, and what they would have written.

use std::io::BufReader;

use super::*;
use crate::rule::RuleConfig;

fn shipped(name: &str) -> Rule {
    let config: RuleConfig = toml::from_str(&format!("use = '{name}'\ntarget = 'team'")).unwrap();
    config.build().unwrap()
}

fn try_out(rule: Rule, file: &str) -> (Counts, String) {
    let mut out = Vec::new();
    let counts = run(rule, lines(BufReader::new(file.as_bytes())), &mut out).unwrap();
    (counts, String::from_utf8(out).unwrap())
}

fn line(minute: u32, event: &str, data: &str) -> String {
    format!(r#"{{"event":"{event}","timestamp":"2026-03-01T10:{minute:02}:00.000Z","data":{data}}}"#) + "\n"
}

#[test]
fn the_seeds_alert_speaks_once_and_a_missing_score_is_not_low() {
    let score = |minute, score: &str| {
        let data = format!(r#"{{"agentId":"agent-1","metrics":{{"satisfactionScore":{score}}}}}"#);
        line(minute, "agent.metrics", &data)
    };
    let missing = line(0, "agent.metrics", r#"{"agentId":"agent-2","metrics":{}}"#);
    let other = line(0, "message.sent", r#"{"sessionId":"s"}"#);
    let file = [
        score(0, "0.9"),
        missing,
        other,
        "nonsense\n".to_owned(),
        score(1, "0.72"),
        score(2, "0.8"),
        score(3, "0.86"),
        score(4, "0.7"),
    ]
    .concat();
    let (counts, text) = try_out(shipped("low-satisfaction"), &file);
    let expected = Counts {
        events: 7,
        of_its_types: 6,
        unreadable: 1,
        judged: 6,
        raised: 1,
        cleared: 1,
        held: 1,
        still: 1,
        missing: 1,
        groups: 2,
        ..Counts::default()
    };
    assert_eq!(counts, expected, "{text}");
    assert_eq!(
        text,
        "\
2026-03-01T10:01:00.000Z  RAISED        0.72  agent-1
    Low satisfaction: agent-1
    The satisfaction score of agent-1 is 0.72.
2026-03-01T10:03:00.000Z  over          0.86  agent-1

low-satisfaction would have spoken once.
  events                7 from 2026-03-01T10:00:00.000Z to 2026-03-01T10:04:00.000Z
  of its types          6 (0 left out by `where` or without a group)
  groups                2
  value                 lowest 0.7, mean 0.796, highest 0.9
  over again            1
  still raised          1
  held by the cooldown  1
  without the value     1
  unreadable lines      1
  the first of them     line 4: not good JSON: a value was expected (line 1, column 1)
  messages about        agent-1: 1
"
    );
}

#[test]
fn a_low_mean_needs_its_samples_and_is_kept_apart_by_agent() {
    let sent = |agent: &str, confidence: &str| {
        line(
            0,
            "message.sent",
            &format!(r#"{{"agentId":"{agent}","sessionId":"s","confidence":{confidence}}}"#),
        )
    };
    let nine_low = sent("unsure", "0.3").repeat(9);
    let (counts, text) =
        try_out(shipped("low-confidence"), &(nine_low.clone() + &sent("sure", "0.9").repeat(20)));
    assert_eq!((counts.raised, counts.groups), (0, 2), "{text}");
    let (counts, text) = try_out(shipped("low-confidence"), &(nine_low + &sent("unsure", "0.3")));
    assert_eq!(counts.raised, 1, "{text}");
    let slow = line(0, "message.sent", r#"{"agentId":"a","sessionId":"s","processingTime":9000}"#).repeat(10);
    assert_eq!(try_out(shipped("long-processing"), &slow).0.raised, 1);
}

#[test]
fn endings_know_their_agent_by_the_session() {
    let file = [
        line(0, "conversation.started", r#"{"sessionId":"s-1","agentId":"agent-7"}"#),
        line(1, "conversation.ended", r#"{"sessionId":"s-1","resolved":false,"satisfaction":0.4}"#),
        line(2, "conversation.ended", r#"{"sessionId":"s-2","resolved":true}"#),
        line(3, "conversation.ended", r#"{"sessionId":"s-3"}"#),
    ]
    .concat();
    let (counts, text) = try_out(shipped("unresolved-ending"), &file);
    assert_eq!(counts.raised, 1, "{text}");
    assert!(text.contains("Conversation s-1 with agent-7 ended unresolved. Satisfaction: 0.4."), "{text}");
    let (counts, text) = try_out(shipped("follow-up"), &file);
    assert_eq!(counts.raised, 1, "{text}");
    assert!(text.contains("Conversation s-2 with (none) ended resolved. Satisfaction: (none)."), "{text}");
}

#[test]
fn silence_is_found_in_the_time_of_the_events() {
    let sent = |minute, agent: &str| {
        line(minute, "message.sent", &format!(r#"{{"agentId":"{agent}","sessionId":"s"}}"#))
    };
    let file = [sent(0, "a"), sent(5, "b"), sent(29, "b"), sent(31, "b"), sent(40, "a")].concat();
    let (counts, text) = try_out(shipped("silent-agent"), &file);
    assert_eq!((counts.raised, counts.cleared), (1, 1), "{text}");
    assert!(text.contains("T10:31:00.000Z  RAISED          31  a\n"), "{text}");
    assert!(text.contains("Nothing was heard of a for 31 minutes."), "{text}");
    assert!(
        text.contains("T10:40:00.000Z  over            40  a\n    Silent: a (over)\n    a is heard again."),
        "{text}"
    );
}

#[test]
fn when_an_event_arrived_is_taken_from_its_line() {
    let at = |minute: u32| {
        let body = line(0, "message.sent", r#"{"agentId":"a","sessionId":"s"}"#);
        body.replace(
            "{\"event\"",
            &format!("{{\"receivedAt\":\"2026-03-01T11:{minute:02}:00.000Z\",\"event\""),
        )
    };
    let (counts, _) = try_out(shipped("silent-agent"), &[at(0), at(31)].concat());
    assert_eq!(counts.raised, 1);
}

#[test]
fn nothing_in_a_file_is_said_to_be_nothing() {
    let (counts, text) = try_out(shipped("follow-up"), "\n\n");
    assert_eq!(counts, Counts::default());
    assert!(text.starts_with("follow-up would never have spoken.\n  events                none\n"), "{text}");
}
