//! Tables of what a rule says, and what holds for any events.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rule::RuleConfig;

const S: i64 = 1_000;

fn rule(text: &str) -> Rule {
    let config: RuleConfig =
        toml::from_str(&format!("name = 'r'\nevents = ['*']\nmessage = 'm'\n{text}")).unwrap();
    config.build().expect(text)
}

/// One state through events at these times (in seconds, happened and arrived) with these data.
fn through(rule: &Rule, events: &[(i64, i64, Value)]) -> Vec<Verdict> {
    let mut state = State::default();
    let mut verdicts = Vec::new();
    for (happened, arrived, data) in events {
        let fact = Fact {
            id: "evt",
            event_type: "e",
            timestamp: UnixMs(happened * S),
            arrived: UnixMs(arrived * S),
            data,
            session_agent: None,
        };
        let step = event(rule, state, &fact);
        let kept = serde_json::to_string(&step.state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&kept).unwrap(), step.state, "a state can be kept");
        state = step.state;
        verdicts.push(step.verdict);
    }
    verdicts
}

fn scores(at_and_score: &[(i64, f64)]) -> Vec<(i64, i64, Value)> {
    at_and_score.iter().map(|(at, score)| (*at, *at, json!({"s": score}))).collect()
}

const CLEARED: Verdict = Verdict::Cleared { told: true };

#[test]
fn without_clear_every_event_speaks_but_not_within_the_cooldown() {
    use Verdict::{Fine, Held, Raised};
    let events = scores(&[(0, 0.7), (5, 0.6), (6, 0.9), (10, 0.7), (30, 0.7)]);
    assert_eq!(through(&rule("when = 'data.s < 0.8'"), &events), [Raised, Raised, Fine, Raised, Raised]);
    let cool = rule("when = 'data.s < 0.8'\ncooldown_s = 10");
    assert_eq!(through(&cool, &events), [Raised, Held, Fine, Raised, Raised]);
}

#[test]
fn with_clear_it_speaks_once_until_the_other_threshold_is_passed() {
    use Verdict::{Fine, Late, Missing, Raised, Still};
    let rule = rule("value = 'data.s'\nwhen = 'value < 0.8'\nclear = 'value >= 0.85'");
    let events = scores(&[(0, 0.9), (1, 0.79), (2, 0.7), (3, 0.81), (4, 0.85), (5, 0.81), (6, 0.1)]);
    assert_eq!(through(&rule, &events), [Fine, Raised, Still, Still, CLEARED, Fine, Raised]);
    let late = [(10, 10, json!({"s": 0.7})), (5, 11, json!({"s": 0.9})), (12, 12, json!({}))];
    assert_eq!(through(&rule, &late), [Raised, Late, Still]);
    let nothing = [(0, 0, json!({})), (1, 1, json!({"s": null})), (2, 2, json!({"s": "low"}))];
    assert_eq!(through(&rule, &nothing), [Missing, Missing, Missing]);
}

#[test]
fn a_window_needs_its_samples_and_forgets_old_ones() {
    use Verdict::{Fine, Missing, Raised, Still, TooFew};
    let mean = rule(
        "value = 'data.s'\naggregate = 'mean'\nwindow_s = 60\nsample_min = 3\nwhen = 'value < 0.6'\nclear = 'value > 0.7'",
    );
    let events = scores(&[(0, 0.1), (1, 0.2), (2, 0.3), (3, 0.9), (70, 0.9), (71, 0.9), (72, 0.9)]);
    // At 70 all that was low has left: the raise is over without a word, and samples are too few again.
    assert_eq!(through(&mean, &events), [TooFew, TooFew, Raised, Still, TooFew, TooFew, Fine]);
    let missing = [(0, 0, json!({"s": 0.1})), (1, 1, json!({})), (2, 2, json!({"s": 0.1}))];
    assert_eq!(through(&mean, &missing), [TooFew, Missing, TooFew]);
    let cleared = scores(&[(0, 0.5), (1, 0.5), (2, 0.5), (3, 1.0), (4, 1.0), (5, 1.0)]);
    assert_eq!(through(&mean, &cleared), [TooFew, TooFew, Raised, Still, Still, CLEARED]);
}

#[test]
fn counts_and_rates_speak_of_what_is_in_the_window() {
    use Verdict::{Fine, Missing, Raised, Still};
    let count = rule("aggregate = 'count'\nwindow_s = 60\nwhen = 'value > 2'");
    let many: Vec<_> = [0, 1, 2, 3, 65].iter().map(|at| (*at, *at, json!({}))).collect();
    assert_eq!(through(&count, &many), [Fine, Fine, Raised, Still, Fine]);
    let rate = rule(
        "aggregate = 'rate'\nrate_of = 'data.ok == false'\nwindow_s = 60\nsample_min = 1\nwhen = 'value >= 0.5'",
    );
    let of = |ok: Value| json!({"ok": ok});
    let events: Vec<_> = [
        of(json!(true)),
        of(json!(true)),
        of(json!(false)),
        of(json!(null)),
        of(json!(false)),
        of(json!(true)),
    ]
    .into_iter()
    .map(|data| (0, 0, data))
    .collect();
    assert_eq!(through(&rate, &events), [Fine, Fine, Fine, Missing, Raised, CLEARED]);
}

#[test]
fn what_claims_to_be_of_the_future_counts_as_now_and_what_is_too_old_not_at_all() {
    use Verdict::{Fine, Raised};
    let max = rule("value = 'data.s'\naggregate = 'max'\nwindow_s = 60\nsample_min = 2\nwhen = 'value > 5'");
    let events = [(9_999, 0, json!({"s": 1})), (1, 1, json!({"s": 1})), (2, 2, json!({"s": 9}))];
    assert_eq!(through(&max, &events), [Verdict::TooFew, Fine, Raised]);
    let old = [(0, 500, json!({"s": 9})), (500, 500, json!({"s": 1})), (501, 501, json!({"s": 1}))];
    assert_eq!(through(&max, &old), [Verdict::TooFew, Verdict::TooFew, Fine]);
}

#[test]
fn silence_speaks_once_and_ends_with_the_next_event() {
    let rule = rule("silence_s = 600\ncooldown_s = 3600");
    let data = json!({});
    let heard = |state: State, at: i64| {
        let arrived = UnixMs(at * S);
        let fact =
            Fact { id: "e", event_type: "e", timestamp: arrived, arrived, data: &data, session_agent: None };
        event(&rule, state, &fact)
    };
    let first = heard(State::default(), 0);
    assert_eq!((first.verdict, first.state.due(&rule)), (Verdict::Fine, Some(UnixMs(600 * S))));
    let early = time(&rule, first.state, UnixMs(600 * S - 1));
    assert_eq!(early.verdict, Verdict::Fine);
    let silent = time(&rule, early.state, UnixMs(660 * S));
    assert_eq!((silent.verdict, silent.value), (Verdict::Raised, Some(11.0)));
    assert_eq!(silent.state.due(&rule), None, "it is said once");
    let again = heard(silent.state, 700);
    assert_eq!(again.verdict, CLEARED);
    let within_cooldown = time(&rule, again.state, UnixMs(1_300 * S));
    assert_eq!(within_cooldown.verdict, Verdict::Held);
    let unsaid = heard(within_cooldown.state, 1_400);
    assert_eq!(unsaid.verdict, Verdict::Cleared { told: false });
}

proptest! {
    #[test]
    fn messages_keep_the_cooldown_and_alternate_with_clearings(
        steps in prop::collection::vec((0_i64..40, prop::option::of(0_u32..100)), 1..120),
        cooldown_s in 0_i64..60,
        windowed in any::<bool>(),
    ) {
        let window = if windowed { "aggregate = 'mean'\nwindow_s = 30\nsample_min = 2\n" } else { "" };
        let rule = rule(&format!(
            "value = 'data.s'\n{window}when = 'value < 50'\nclear = 'value >= 70'\ncooldown_s = {cooldown_s}"
        ));
        let mut at = 0;
        let events: Vec<(i64, i64, Value)> = steps
            .iter()
            .map(|(gap, score)| {
                at += gap;
                (at, at, score.map_or(json!({}), |score| json!({"s": score})))
            })
            .collect();
        let verdicts = through(&rule, &events);
        let mut raised_at: Option<i64> = None;
        let mut up = false;
        for ((at, _, data), verdict) in events.iter().zip(verdicts) {
            match verdict {
                Verdict::Raised => {
                    // A window's raise may have ended without a word, when all of it had left.
                    prop_assert!(!up || windowed);
                    prop_assert!(raised_at.is_none_or(|before| at - before >= cooldown_s));
                    prop_assert!(windowed || data["s"].as_u64().unwrap() < 50);
                    (raised_at, up) = (Some(*at), true);
                }
                Verdict::Cleared { told } => {
                    prop_assert!(up && told);
                    up = false;
                }
                _ => {}
            }
            prop_assert!(data.get("s").is_some() || matches!(verdict, Verdict::Missing | Verdict::Still));
        }
    }

    #[test]
    fn a_state_that_has_expired_acts_as_none(
        steps in prop::collection::vec((0_i64..10, 0_u32..100), 1..40),
        text in prop::sample::select(vec![
            "when = 'data.s < 50'\ncooldown_s = 20",
            "value = 'data.s'\naggregate = 'mean'\nwindow_s = 30\nwhen = 'value < 50'\ncooldown_s = 20",
            "aggregate = 'count'\nwindow_s = 30\nwhen = 'value > 3'",
        ]),
        next in 0_u32..100,
    ) {
        let rule = rule(text);
        let mut state = State::default();
        let mut at = 0;
        for (gap, score) in steps {
            at += gap * S;
            let data = json!({"s": score});
            let fact = Fact { id: "e", event_type: "e", timestamp: UnixMs(at), arrived: UnixMs(at), data: &data,
                session_agent: None };
            state = event(&rule, state, &fact).state;
        }
        let expired = state.expires(&rule).map_or(at, |expires| expires.0.max(at));
        let data = json!({"s": next});
        let fact = Fact { id: "e", event_type: "e", timestamp: UnixMs(expired), arrived: UnixMs(expired),
            data: &data, session_agent: None };
        let (kept, none) = (event(&rule, state, &fact), event(&rule, State::default(), &fact));
        prop_assert_eq!(kept.verdict, none.verdict);
        prop_assert_eq!(kept.value, none.value);
    }
}
