//! A condition over an event's fields, as configuration spells it: `data.confidence < 0.6 and data.agentId != "test"`.
//!
//! It exists so that what an event must be like is written in one way, wherever it is asked. The
//! invariant is about what is missing: a comparison with a field that is not there (or is `null`, or is of
//! another kind) is neither true nor false, as in SQL, and stays so under `not`; a condition holds only
//! where it is true. So a missing score is not low, and it is not high either. Read `parse.rs` next.

mod parse;
mod path;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number, Value};

pub use parse::ConditionError;
pub use path::{Path, PathError};

/// Where a condition looks its fields up.
pub trait Fields {
    /// The value at `path`; `None` where there is none.
    fn field(&self, path: &Path) -> Option<Cow<'_, Value>>;
}

/// What a condition says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A field that it needs is missing, or is of another kind.
    Unknown,
}

impl Truth {
    fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// A condition that was read. Equal where it is spelled equally.
#[derive(Clone, PartialEq)]
pub struct Condition {
    text: String,
    root: Node,
}

impl Condition {
    /// Reads a condition. The grammar stands on top of `parse.rs`.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        Ok(Self { root: parse::parse(text)?, text: text.to_owned() })
    }

    /// What it says of these fields.
    pub fn truth(&self, fields: &dyn Fields) -> Truth {
        self.root.truth(fields)
    }

    /// Whether it is true of these fields.
    pub fn holds(&self, fields: &dyn Fields) -> bool {
        self.truth(fields) == Truth::True
    }

    /// Whether it names this field anywhere.
    pub fn names(&self, path: &Path) -> bool {
        self.root.names(path)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.text)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Compare(Operand, Op, Operand),
    Present { path: Path, is: bool },
    In(Operand, Vec<Value>),
    Contains(Operand, Operand),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Field(Path),
    Constant(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Node {
    fn truth(&self, fields: &dyn Fields) -> Truth {
        match self {
            Self::Any(nodes) => first_or(nodes, fields, Truth::True, Truth::False),
            Self::All(nodes) => first_or(nodes, fields, Truth::False, Truth::True),
            Self::Not(node) => node.truth(fields).negated(),
            Self::Compare(left, op, right) => {
                both(left, right, fields, |left, right| compare(left, *op, right))
            }
            Self::Present { path, is } => {
                Truth::of(fields.field(path).is_some_and(|value| !value.is_null()) == *is)
            }
            Self::In(left, list) => match left.value(fields) {
                Some(value) => is_among(&value, list),
                None => Truth::Unknown,
            },
            Self::Contains(left, right) => both(left, right, fields, contains),
        }
    }

    fn names(&self, path: &Path) -> bool {
        let is = |operand: &Operand| matches!(operand, Operand::Field(field) if field == path);
        match self {
            Self::Any(nodes) | Self::All(nodes) => nodes.iter().any(|node| node.names(path)),
            Self::Not(node) => node.names(path),
            Self::Compare(left, _, right) | Self::Contains(left, right) => is(left) || is(right),
            Self::Present { path: field, .. } => field == path,
            Self::In(left, _) => is(left),
        }
    }
}

impl Operand {
    /// `null` counts as missing.
    fn value<'a>(&'a self, fields: &'a dyn Fields) -> Option<Cow<'a, Value>> {
        match self {
            Self::Field(path) => fields.field(path).filter(|value| !value.is_null()),
            Self::Constant(value) => Some(Cow::Borrowed(value)),
        }
    }
}

/// `decisive` where any node says so, else unknown where any node does, else `otherwise`.
fn first_or(nodes: &[Node], fields: &dyn Fields, decisive: Truth, otherwise: Truth) -> Truth {
    let mut result = otherwise;
    for node in nodes {
        match node.truth(fields) {
            truth if truth == decisive => return decisive,
            Truth::Unknown => result = Truth::Unknown,
            _ => {}
        }
    }
    result
}

fn both(
    left: &Operand,
    right: &Operand,
    fields: &dyn Fields,
    decide: impl Fn(&Value, &Value) -> Truth,
) -> Truth {
    match (left.value(fields), right.value(fields)) {
        (Some(left), Some(right)) => decide(&left, &right),
        _ => Truth::Unknown,
    }
}

fn compare(left: &Value, op: Op, right: &Value) -> Truth {
    let ordered = |holds: fn(Ordering) -> bool| match order(left, right) {
        Some(ordering) => Truth::of(holds(ordering)),
        None => Truth::Unknown,
    };
    match op {
        Op::Less => ordered(Ordering::is_lt),
        Op::LessOrEqual => ordered(Ordering::is_le),
        Op::Greater => ordered(Ordering::is_gt),
        Op::GreaterOrEqual => ordered(Ordering::is_ge),
        Op::Equal => equal(left, right),
        Op::NotEqual => equal(left, right).negated(),
    }
}

/// Numbers by size, texts by their characters; values of different kinds have no order.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => order_numbers(left, right),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Whole numbers exactly, others as what a double holds of them.
fn order_numbers(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// 1 and 1.0 are equal; values of different kinds are neither equal nor different.
fn equal(left: &Value, right: &Value) -> Truth {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Truth::of(order_numbers(left, right) == Some(Ordering::Equal))
        }
        _ if std::mem::discriminant(left) == std::mem::discriminant(right) => Truth::of(left == right),
        _ => Truth::Unknown,
    }
}

fn is_among(value: &Value, items: &[Value]) -> Truth {
    Truth::of(items.iter().any(|item| equal(value, item) == Truth::True))
}

/// A text in a text, or a value in a list.
fn contains(whole: &Value, part: &Value) -> Truth {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => Truth::of(whole.contains(part.as_str())),
        (Value::Array(items), part) => is_among(part, items),
        _ => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    struct Data(Value);

    impl Fields for Data {
        fn field(&self, path: &Path) -> Option<Cow<'_, Value>> {
            path.in_data(&self.0).map(Cow::Borrowed)
        }
    }

    fn truth(condition: &str, data: Value) -> Truth {
        Condition::parse(condition).expect(condition).truth(&Data(data))
    }

    #[test]
    fn a_condition_says_what_it_reads_like() {
        use Truth::{False, True, Unknown};
        let data = json!({"score": 0.79, "n": 3, "agent": {"id": "a-1"}, "resolved": false, "nothing": null,
            "tags": ["vip", 7], "text": "Bună ziua"});
        for (condition, expected) in [
            ("data.score < 0.8", True),
            ("data.score >= 0.8", False),
            ("data.n == 3.0", True),
            ("data.n != 3", False),
            ("-1 < data.n", True),
            ("data.agent.id == 'a-1'", True),
            (r#"data.agent.id == "b" or data.n > 2 and data.score < 1e0"#, True),
            ("(data.agent.id == 'b' or data.n > 2) and data.score > 1", False),
            ("not data.resolved == true", True),
            ("data.resolved == false", True),
            ("data.tags contains 'vip' and data.tags contains 7", True),
            ("data.text contains 'zi'", True),
            ("data.tags.1 == 7", True),
            ("data.n in [1, 2, 3]", True),
            ("data.n in []", False),
            ("data.n not in [1]", True),
            ("data.score is present", True),
            ("data.nothing is missing", True),
            ("data.nowhere.deep is not missing", False),
            // What is not there, is null, or is of another kind, is neither.
            ("data.nowhere < 1", Unknown),
            ("not data.nowhere < 1", Unknown),
            ("data.nothing == 1", Unknown),
            ("data.agent.id < 1", Unknown),
            ("data.n contains 3", Unknown),
            ("data.nowhere in [1]", Unknown),
            ("data.nowhere < 1 or data.n == 3", True),
            ("data.nowhere < 1 and data.n == 4", False),
            ("data.nowhere < 1 and data.n == 3", Unknown),
            ("data.n == '3'", Unknown),
            ("data.n != '3'", Unknown),
            ("data.nothing == null and data.n != null and data.nowhere missing and data.n exists", True),
        ] {
            assert_eq!(truth(condition, data.clone()), expected, "{condition}");
        }
    }

    #[test]
    fn whole_numbers_are_compared_exactly() {
        let big = json!({"n": 9_007_199_254_740_993_u64});
        assert_eq!(truth("data.n == 9007199254740992", big.clone()), Truth::False);
        assert_eq!(truth("data.n == 9007199254740993", big), Truth::True);
    }

    #[test]
    fn a_condition_knows_the_fields_it_names() {
        let condition = Condition::parse("value < 1 and not (data.a in [1] or id contains 'x')").unwrap();
        for (path, named) in [("value", true), ("data.a", true), ("id", true), ("data.b", false)] {
            assert_eq!(condition.names(&Path::parse(path).unwrap()), named, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_missing_value_is_neither_low_nor_high(threshold in any::<i32>(), op in "<|<=|>|>=|==|!=") {
            for spelled in [format!("data.x {op} {threshold}"), format!("not data.x {op} {threshold}")] {
                prop_assert_eq!(truth(&spelled, json!({})), Truth::Unknown);
            }
        }

        #[test]
        fn not_turns_every_known_answer_round(x in any::<i32>(), y in any::<i32>(), op in "<|<=|>|>=|==|!=") {
            let plain = truth(&format!("data.x {op} {y}"), json!({"x": x}));
            prop_assert_eq!(truth(&format!("not data.x {op} {y}"), json!({"x": x})), plain.negated());
            prop_assert_ne!(plain, Truth::Unknown);
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,80}") {
            let _either: Result<_, _> = Condition::parse(&text);
        }
    }
}
