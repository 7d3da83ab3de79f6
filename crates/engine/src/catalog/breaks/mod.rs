//! What a change of a schema breaks, from where a consumer stands.
//!
//! A consumer was written against the old schema: whatever the new one lets through must be something that the old
//! one announced. New members where others were possible break nobody; whatever is taken away, made optional or
//! widened does. The rules stand in `docs/catalog.md`. Invariant: what cannot be judged counts as a break, so that
//! nothing passes by mistake; the work is bounded by [`COMPARED_MAX`]. Two schemas are compared as they are after
//! their references and `allOf` were put in (`flat.rs`); read that next, then `members.rs` and `values.rs`.

mod flat;
mod members;
mod values;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use self::flat::Flat;
use super::outline::Outline;
use crate::error::FieldProblem;

/// The most breaks that are named of one change.
pub const BREAKS_MAX: usize = 100;
/// The most pairs of schemas that are compared.
const COMPARED_MAX: usize = 5_000;
/// How deep pairs may lie in each other.
const DEPTH_MAX: usize = 100;

/// What a consumer of `old` may meet under `new` without having been told: each with its place in the new schema, which
/// begins with `pointer`. Both are schemas that compile; `None` for `new` is no schema at all, under which anything
/// may come.
#[must_use]
pub fn breaks(old: &str, new: Option<&str>, pointer: &str) -> Vec<FieldProblem> {
    let unread =
        || vec![FieldProblem::at(pointer, "not_comparable", "cannot be compared with the schema before it")];
    let (Ok(old), Ok(new)) = (serde_json::from_str::<Value>(old), serde_json::from_str(new.unwrap_or("{}")))
    else {
        return unread();
    };
    let mut compare = Compare {
        old: Outline::known(&old),
        new: Outline::known(&new),
        found: Vec::new(),
        compared: 0,
        depth: 0,
        seen: HashSet::new(),
        too_much: false,
    };
    compare.schemas(&old, &new, pointer);
    let mut found = compare.found;
    found.truncate(BREAKS_MAX);
    if compare.too_much {
        let detail = "are too many parts to compare with the schema before it";
        found.push(FieldProblem::at(pointer, "not_comparable", detail));
    }
    found
}

struct Compare<'a> {
    old: Outline<'a>,
    new: Outline<'a>,
    found: Vec<FieldProblem>,
    compared: usize,
    depth: usize,
    /// Pairs that were compared, or are being: a schema that refers to itself ends here.
    seen: HashSet<u64>,
    too_much: bool,
}

impl Compare<'_> {
    fn broken(&mut self, place: &str, code: &'static str, detail: impl Into<String>) {
        if self.found.len() < BREAKS_MAX {
            self.found.push(FieldProblem::at(place, code, detail));
        }
    }

    /// Compares two schemas at one place.
    fn schemas(&mut self, old: &Value, new: &Value, place: &str) {
        if old == new && self.old.root() == self.new.root() {
            return;
        }
        self.compared += 1;
        self.too_much |= self.compared > COMPARED_MAX || self.depth > DEPTH_MAX;
        if self.too_much || !self.seen.insert(pair(old, new)) {
            return;
        }
        let (Some(old), Some(new)) = (Flat::of(old, &self.old), Flat::of(new, &self.new)) else {
            self.too_much = true;
            return;
        };
        self.depth += 1;
        self.flat(&old, &new, place);
        self.depth -= 1;
    }

    fn flat(&mut self, old: &Flat, new: &Flat, place: &str) {
        if new.never || old.takes_anything() {
            return;
        }
        if old.never {
            return self.broken(place, "opened", "was never to be there, and may be there now");
        }
        if self.alternatives(old, new, place) {
            return;
        }
        self.values(old, new, place);
        self.members(old, new, place);
        self.elements(old, new, place);
    }

    /// Compares where there are alternatives on either side; answers whether that was all there is to compare.
    fn alternatives(&mut self, old: &Flat, new: &Flat, place: &str) -> bool {
        for keyword in ["anyOf", "oneOf"] {
            match (old.list(keyword), new.list(keyword)) {
                (None, None) => {}
                (Some(before), Some(now)) => self.each_was_there(before, now, &format!("{place}/{keyword}")),
                // Each is what may come now: the rest of the schema and the alternative.
                (None, Some(now)) => {
                    for (at, one) in now.iter().enumerate() {
                        let rest = new.without(keyword);
                        match Flat::of(one, &self.new).map(|one| rest.and(&one)) {
                            Some(whole) => self.flat(old, &whole, &format!("{place}/{keyword}/{at}")),
                            None => self.too_much = true,
                        }
                    }
                    return true;
                }
                (Some(before), None) => {
                    let rest = new.to_value();
                    if !before.iter().any(|one| self.would_pass(one, &rest)) {
                        let detail = "was one of several alternatives, and now is as none of them has it";
                        self.broken(place, "alternative_added", detail);
                    }
                }
            }
        }
        false
    }

    /// Each alternative that may come now was one before.
    fn each_was_there(&mut self, before: &[Value], now: &[Value], place: &str) {
        for (at, one) in now.iter().enumerate() {
            if before.iter().any(|old| self.would_pass(old, one)) {
                continue;
            }
            let place = format!("{place}/{at}");
            match before.get(at).filter(|_| before.len() == now.len()) {
                // As many as before: this is the one that was changed, and what was changed in it is more to the point.
                Some(old) => self.schemas(old, one, &place),
                None => self.broken(&place, "alternative_added", "is an alternative that there was not"),
            }
        }
    }

    /// Whether `new` breaks nobody who knows `old`.
    fn would_pass(&mut self, old: &Value, new: &Value) -> bool {
        let mut trial = Compare {
            old: self.old.clone(),
            new: self.new.clone(),
            found: Vec::new(),
            compared: self.compared,
            depth: self.depth + 1,
            seen: HashSet::new(),
            too_much: self.too_much,
        };
        trial.schemas(old, new, "");
        self.compared = trial.compared;
        self.too_much |= trial.too_much;
        trial.found.is_empty() && !trial.too_much
    }
}

fn pair(old: &Value, new: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    (old.to_string(), new.to_string()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
