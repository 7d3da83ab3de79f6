//! What is refused and why; what is shipped and documented can run.

use super::*;

#[derive(Deserialize)]
struct File {
    rule: Vec<RuleConfig>,
}

fn build(text: &str) -> Result<Rule, RuleError> {
    let file: File = toml::from_str(&format!("[[rule]]\n{text}")).expect(text);
    file.rule[0].build()
}

#[test]
fn every_shipped_rule_can_be_used_by_its_name_alone() {
    let names: Vec<String> = shipped().into_iter().filter_map(|rule| rule.name).collect();
    assert_eq!(
        names,
        [
            "low-satisfaction",
            "low-confidence",
            "long-processing",
            "unresolved-ending",
            "silent-agent",
            "follow-up"
        ]
    );
    for name in names {
        let rule = build(&format!("use = {name:?}\ntarget = 'team'")).expect(&name);
        assert_eq!((rule.name(), rule.targets()), (name.as_str(), &["team".to_owned()][..]));
    }
}

#[test]
fn a_key_beside_use_replaces_that_key_and_no_other() {
    let plain = build("use = 'low-satisfaction'").unwrap();
    let other = build("use = 'low-satisfaction'\nname = 'very-low'\nwhen = 'value < 0.5'").unwrap();
    assert_eq!(other.name(), "very-low");
    assert_eq!((other.cooldown_ms, &other.group_by), (plain.cooldown_ms, &plain.group_by));
    let Kind::Each { when, clear, .. } = &other.kind else { panic!("{other:?}") };
    assert_eq!(when.to_string(), "value < 0.5");
    assert_eq!(clear.as_ref().map(ToString::to_string).as_deref(), Some("value >= 0.85"));
}

#[test]
fn what_could_never_work_is_refused_with_its_key() {
    let rest = "name = 'r'\nevents = ['a']\nmessage = 'm'";
    for (text, key, says) in [
        ("events = ['a']\nwhen = 'data.a < 1'\nmessage = 'm'".to_owned(), "name", "missing"),
        (rest.replace("'r'", "'r r'") + "\nwhen = 'data.a < 1'", "name", "letters"),
        ("use = 'low'".to_owned(), "use", "low-satisfaction, low-confidence"),
        (rest.replace("['a']", "[]") + "\nwhen = 'data.a < 1'", "events", "missing"),
        (rest.replace("['a']", "['a.*.b']") + "\nwhen = 'data.a < 1'", "events", "a.*.b"),
        (rest.to_owned(), "when", "missing"),
        (format!("{rest}\nwhen = 'data.a <'"), "when", "column"),
        (format!("{rest}\nwhen = 'value < 1'"), "when", "value"),
        (format!("{rest}\nwhen = 'data.a < 1'\nclear = 'value > 1'"), "clear", "value"),
        (format!("{rest}\nwhen = 'data.a < 1'\nwhere = 'value < 1'"), "where", "before"),
        (format!("{rest}\nwhen = 'data.a < 1'\nwindow_s = 5"), "window_s", "aggregate"),
        (format!("{rest}\nwhen = 'data.a < 1'\nsample_min = 5"), "sample_min", "aggregate"),
        (format!("{rest}\nwhen = 'data.a < 1'\nmessage_cleared = 'x'"), "message_cleared", "clear"),
        (format!("{rest}\nwhen = 'value < 1'\naggregate = 'mean'\nvalue = 'data.a'"), "window_s", "missing"),
        (format!("{rest}\nwhen = 'value < 1'\naggregate = 'mean'\nwindow_s = 5"), "value", "missing"),
        (format!("{rest}\nwhen = 'value < 1'\naggregate = 'rate'\nwindow_s = 5"), "rate_of", "missing"),
        (format!("{rest}\nwhen = 'data.a < 1'\naggregate = 'count'\nwindow_s = 5"), "when", "value"),
        (format!("{rest}\nwhen = 'value < 1'\naggregate = 'count'\nwindow_s = 0"), "window_s", "1 to"),
        (format!("{rest}\nwhen = 'value < 1'\naggregate = 'count'\nwindow_s = 700000"), "window_s", "1 to"),
        (format!("{rest}\nsilence_s = 5\nwhen = 'data.a < 1'"), "when", "silence"),
        (format!("{rest}\nsilence_s = 5\ngroup_by = 'agent'\ntitle = '{{data.x}}'"), "title", "silence"),
        (rest.replace("'m'", "'{a}'") + "\nwhen = 'data.a < 1'", "message", "field"),
        ("name = 'r'\nevents = ['a']\nwhen = 'data.a < 1'".to_owned(), "message", "missing"),
        (format!("{rest}\nwhen = 'data.a < 1'\ngroup_by = 'agentId'"), "group_by", "data.<name>"),
        (format!("{rest}\nwhen = 'data.a < 1'\ntarget = ['a', 'a']"), "target", "twice"),
        (format!("{rest}\nwhen = 'data.a < 1'\ncooldown_s = 604801"), "cooldown_s", "604800"),
    ] {
        let error = build(&text).expect_err(&text);
        assert_eq!(error.key, key, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
    let misspelt: Result<File, _> = toml::from_str("[[rule]]\nname = 'r'\ncooldown = 5");
    assert!(misspelt.is_err());
}

#[test]
fn every_rule_that_the_documents_show_can_run() {
    let document = include_str!("../../../../../docs/rules.md");
    let examples: Vec<&str> =
        document.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 4, "{}", examples.len());
    for example in examples {
        #[derive(Deserialize)]
        struct Whole {
            #[serde(default)]
            rule: Vec<RuleConfig>,
        }
        let file: Whole = toml::from_str(example).expect(example);
        for rule in file.rule {
            rule.build().expect(example);
        }
    }
}
