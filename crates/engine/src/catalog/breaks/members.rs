//! Members of objects and elements of arrays, compared.
//!
//! A member that the old schema knows is one that a consumer may read: it stays, and stays required where it was. A
//! member that is new breaks nobody, unless the old schema said that there would be no others. Read `values.rs` next.

use serde_json::Value;

use super::super::keywords::escaped;
use super::Compare;
use super::flat::Flat;

impl Compare<'_> {
    pub(super) fn members(&mut self, old: &Flat, new: &Flat, place: &str) {
        self.known_members(old, new, place);
        self.new_members(old, new, place);
        self.other_members(old, new, place);
        for (pattern, schema) in old.map("patternProperties").into_iter().flatten() {
            let place = format!("{place}/patternProperties/{}", escaped(pattern));
            match new.map("patternProperties").and_then(|all| all.get(pattern)) {
                Some(now) => self.schemas(schema, now, &place),
                None => {
                    self.broken(&place, "field_removed", "members of these names are not described any more")
                }
            }
        }
    }

    /// Members that the old schema names.
    fn known_members(&mut self, old: &Flat, new: &Flat, place: &str) {
        let none = serde_json::Map::new();
        let (before, now) = (old.map("properties").unwrap_or(&none), new.map("properties").unwrap_or(&none));
        for (name, schema) in before.iter().filter(|(_, schema)| **schema != Value::Bool(false)) {
            let at = format!("{place}/properties/{}", escaped(name));
            match now.get(name).filter(|schema| **schema != Value::Bool(false)) {
                Some(now) => {
                    self.schemas(schema, now, &at);
                    self.still_required(old, new, name, &at);
                }
                None => {
                    let mut added =
                        now.iter().filter(|(other, it)| !before.contains_key(*other) && *it == schema);
                    let renamed = match (added.next(), added.next()) {
                        (Some((other, _)), None) => {
                            format!(" ({other:?} is new and looks the same: was it renamed?)")
                        }
                        _ => String::new(),
                    };
                    self.broken(
                        &at,
                        "field_removed",
                        format!("was a field that consumers read, and is gone{renamed}"),
                    );
                }
            }
        }
        for name in old.list("required").into_iter().flatten().filter_map(Value::as_str) {
            if !before.contains_key(name) {
                self.still_required(old, new, name, &format!("{place}/properties/{}", escaped(name)));
            }
        }
    }

    fn still_required(&mut self, old: &Flat, new: &Flat, name: &str, place: &str) {
        if old.requires(name) && !new.requires(name) {
            self.broken(place, "field_optional", "was always there, and may be missing now");
        }
    }

    /// Members that the new schema names first.
    fn new_members(&mut self, old: &Flat, new: &Flat, place: &str) {
        let others = old.get("additionalProperties").or_else(|| old.get("unevaluatedProperties"));
        let Some(others) = others else { return };
        let known = |name: &str| old.map("properties").is_some_and(|all| all.contains_key(name));
        for (name, schema) in new.map("properties").into_iter().flatten().filter(|(name, _)| !known(name)) {
            // A pattern may be what announced it; which one it matches is not looked at.
            if *schema == Value::Bool(false) || old.map("patternProperties").is_some() {
                continue;
            }
            let place = format!("{place}/properties/{}", escaped(name));
            match others {
                Value::Bool(false) => {
                    let detail = "is new, where the schema said that there are no other members";
                    self.broken(&place, "field_added_to_closed", detail);
                }
                others => self.schemas(others, schema, &place),
            }
        }
    }

    /// Members that no schema names.
    fn other_members(&mut self, old: &Flat, new: &Flat, place: &str) {
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            let Some(before) = old.get(keyword) else { continue };
            let now = new.get(keyword).or_else(|| new.get("additionalProperties"));
            let place = format!("{place}/{keyword}");
            match (before, now) {
                (before, Some(now)) => self.schemas(before, now, &place),
                (Value::Bool(false), None) => {
                    self.broken(
                        &place,
                        "opened",
                        "members that the schema does not name could not come, and can now",
                    );
                }
                (before, None) => self.schemas(before, &Value::Bool(true), &place),
            }
        }
    }

    pub(super) fn elements(&mut self, old: &Flat, new: &Flat, place: &str) {
        let anything = Value::Bool(true);
        let (first_before, first_now) =
            (old.list("prefixItems").unwrap_or_default(), new.list("prefixItems").unwrap_or_default());
        let (before, now) = (old.get("items"), new.get("items"));
        for at in 0..first_before.len().max(first_now.len()) {
            let old = first_before.get(at).or(before);
            let new = first_now.get(at).or(now).unwrap_or(&anything);
            if let Some(old) = old {
                self.schemas(old, new, &format!("{place}/prefixItems/{at}"));
            }
        }
        if let Some(before) = before {
            self.schemas(before, now.unwrap_or(&anything), &format!("{place}/items"));
        }
    }
}
