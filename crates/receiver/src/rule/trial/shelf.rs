//! States in memory.
//!
//! They exist for trials and tests; the service's are in SQLite. Invariant: what [`Shelf`] says of due
//! states holds, by a second index. Read `judge.rs` for what a shelf must do.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use vai_webhooks_wire::UnixMs;

use crate::rule::{Shelf, State};

type Name = (String, String);

/// States by rule and group.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    states: HashMap<Name, (State, Option<UnixMs>)>,
    due: BTreeSet<(String, UnixMs, String)>,
}

impl Shelf for Memory {
    type Error = Infallible;

    fn get(&mut self, rule: &str, group: &str) -> Result<Option<State>, Infallible> {
        Ok(self.states.get(&(rule.to_owned(), group.to_owned())).map(|(state, _)| state.clone()))
    }

    fn put(
        &mut self,
        rule: &str,
        group: &str,
        state: &State,
        due: Option<UnixMs>,
        _expires: UnixMs,
    ) -> Result<(), Infallible> {
        self.remove(rule, group)?;
        if let Some(due) = due {
            self.due.insert((rule.to_owned(), due, group.to_owned()));
        }
        self.states.insert((rule.to_owned(), group.to_owned()), (state.clone(), due));
        Ok(())
    }

    fn remove(&mut self, rule: &str, group: &str) -> Result<(), Infallible> {
        if let Some((_, Some(due))) = self.states.remove(&(rule.to_owned(), group.to_owned())) {
            self.due.remove(&(rule.to_owned(), due, group.to_owned()));
        }
        Ok(())
    }

    fn due(&mut self, rule: &str, by: UnixMs, max: usize) -> Result<Vec<(String, State)>, Infallible> {
        let begin = (rule.to_owned(), UnixMs(i64::MIN), String::new());
        let due = self.due.range(begin..).take_while(|(of, at, _)| of == rule && *at <= by).take(max);
        let names: Vec<Name> = due.map(|(of, _, group)| (of.clone(), group.clone())).collect();
        let found = |name: Name| self.states.get(&name).map(|(state, _)| (name.1, state.clone()));
        Ok(names.into_iter().filter_map(found).collect())
    }

    fn next_due(&mut self, rule: &str) -> Result<Option<UnixMs>, Infallible> {
        let begin = (rule.to_owned(), UnixMs(i64::MIN), String::new());
        Ok(self.due.range(begin..).next().filter(|(of, ..)| of == rule).map(|(_, at, _)| *at))
    }
}
