//! `vai-webhooks receive --test-rule RULE FILE`: what a rule would have done with past events.
//!
//! It exists so that a rule can be tried before it wakes somebody. It starts nothing and sends nothing. Read the
//! receiver's `rule/trial/` next.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use vai_webhooks_receiver::rule::{Rule, RuleConfig, shipped, trial};

/// Tries the rule `name`: one of the configuration, or else a shipped one.
pub(super) fn run(rules: Vec<Rule>, name: &str, file: &str) -> anyhow::Result<ExitCode> {
    let rule = find(rules, name)?;
    let events: Box<dyn BufRead> = match file {
        "-" => Box::new(io::stdin().lock()),
        path => Box::new(BufReader::new(File::open(path).with_context(|| format!("cannot read {path}"))?)),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    trial::run(rule, trial::lines(events), &mut out).with_context(|| file.to_owned())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn find(rules: Vec<Rule>, name: &str) -> anyhow::Result<Rule> {
    let mut names: Vec<String> = rules.iter().map(|rule| rule.name().to_owned()).collect();
    if let Some(rule) = rules.into_iter().find(|rule| rule.name() == name) {
        return Ok(rule);
    }
    names.extend(shipped().into_iter().filter_map(|rule| rule.name));
    anyhow::ensure!(
        names.iter().any(|known| known == name),
        "no rule {name:?}: there are {}",
        names.join(", ")
    );
    Ok(RuleConfig { r#use: Some(name.to_owned()), ..RuleConfig::default() }.build()?)
}
