//! Reads a condition's text.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | "(" or ")" | test
//! test    = operand ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) operand
//!         | operand "contains" operand
//!         | operand [ "not" ] "in" "[" constants "]"
//!         | field [ "is" [ "not" ] ] ( "missing" | "present" | "exists" )
//!         | field ( "==" | "!=" ) "null"
//! operand = field | number | "text" | 'text' | true | false
//! ```
//!
//! Invariant: an error names the column where reading stopped; nothing is guessed. Read `path.rs` for
//! the fields' names.

use serde_json::Value;

use super::path::is_name_char;
use super::{Node, Op, Operand, Path};

/// The longest condition, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;
/// How deep brackets and `not` may be nested.
const DEPTH_MAX: usize = 32;

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct ConditionError {
    /// The character at which reading stopped, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

pub(super) fn parse(text: &str) -> Result<Node, ConditionError> {
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("a condition may have {TEXT_BYTES_MAX} bytes at most");
        return Err(ConditionError { column: 1, what });
    }
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader { tokens: tokens(&chars)?, at: 0, end: chars.len() };
    let node = reader.or(0)?;
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.error("expected `and`, `or`, or the end")),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A field's name or a keyword.
    Word(String),
    Number(Value),
    Text(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 11] = ["<=", ">=", "==", "!=", "<", ">", "(", ")", "[", "]", ","];

/// The tokens, each with its column.
fn tokens(chars: &[char]) -> Result<Vec<(usize, Token)>, ConditionError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let begin = at;
        let error = |what: String| ConditionError { column: begin + 1, what };
        if char.is_whitespace() {
            at += 1;
            continue;
        }
        let symbol = SYMBOLS.iter().find(|symbol| symbol.chars().eq(peek(chars, at, symbol.len())));
        let token = if let Some(symbol) = symbol {
            at += symbol.len();
            Token::Symbol(symbol)
        } else if matches!(char, '"' | '\'') {
            let inside = &chars[at + 1..];
            let Some(len) = inside.iter().position(|end| *end == char) else {
                return Err(error("this text has no end".to_owned()));
            };
            at += len + 2;
            Token::Text(inside[..len].iter().collect())
        } else if char.is_ascii_digit() || char == '-' {
            at += chars[at..].iter().take_while(|char| is_number_char(**char)).count();
            let spelled: String = chars[begin..at].iter().collect();
            let number: Option<Value> = serde_json::from_str(&spelled).ok().filter(Value::is_number);
            Token::Number(number.ok_or_else(|| error(format!("{spelled:?} is no number")))?)
        } else if is_name_char(char) {
            at += chars[at..].iter().take_while(|char| is_name_char(**char) || **char == '.').count();
            Token::Word(chars[begin..at].iter().collect())
        } else {
            let hint = if char == '=' { "; equal is written ==" } else { "" };
            return Err(error(format!("{char:?} means nothing here{hint}")));
        };
        tokens.push((begin, token));
    }
    Ok(tokens)
}

fn peek(chars: &[char], at: usize, len: usize) -> impl Iterator<Item = char> {
    chars.iter().skip(at).take(len).copied()
}

fn is_number_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '+')
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// An error at the next token.
    fn error(&self, what: impl Into<String>) -> ConditionError {
        let column = self.tokens.get(self.at).map_or(self.end, |(column, _)| *column) + 1;
        ConditionError { column, what: what.into() }
    }

    /// An error at the token that was taken last.
    fn error_before(&mut self, what: impl Into<String>) -> ConditionError {
        self.at -= 1;
        self.error(what)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(is);
        is
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.at += usize::from(is);
        is
    }

    fn or(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let mut nodes = vec![self.and(depth)?];
        while self.takes_word("or") {
            nodes.push(self.and(depth)?);
        }
        Ok(one_or(nodes, Node::Any))
    }

    fn and(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let mut nodes = vec![self.not(depth)?];
        while self.takes_word("and") {
            nodes.push(self.not(depth)?);
        }
        Ok(one_or(nodes, Node::All))
    }

    fn not(&mut self, depth: usize) -> Result<Node, ConditionError> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX}")));
        }
        if self.takes_word("not") {
            return Ok(Node::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.takes_symbol("(") {
            let inside = self.or(depth + 1)?;
            return if self.takes_symbol(")") { Ok(inside) } else { Err(self.error("expected `)`")) };
        }
        self.test()
    }

    fn test(&mut self) -> Result<Node, ConditionError> {
        let left = self.operand()?;
        if self.takes_word("contains") {
            return Ok(Node::Contains(left, self.operand()?));
        }
        let presence = |word: &str| matches!(word, "is" | "missing" | "present" | "exists");
        if matches!(self.peek(), Some(Token::Word(word)) if presence(word)) {
            return self.presence(left);
        }
        if self.takes_word("in") {
            return self.list().map(|list| Node::In(left, list));
        }
        if self.takes_word("not") {
            return match self.takes_word("in") {
                true => self.list().map(|list| Node::Not(Box::new(Node::In(left, list)))),
                false => Err(self.error("expected `in` after `not`")),
            };
        }
        let op = match self.next() {
            Some(Token::Symbol("<")) => Op::Less,
            Some(Token::Symbol("<=")) => Op::LessOrEqual,
            Some(Token::Symbol(">")) => Op::Greater,
            Some(Token::Symbol(">=")) => Op::GreaterOrEqual,
            Some(Token::Symbol("==")) => Op::Equal,
            Some(Token::Symbol("!=")) => Op::NotEqual,
            _ => return Err(self.error_before("expected <, <=, >, >=, ==, !=, `in`, `contains` or `is`")),
        };
        if matches!(op, Op::Equal | Op::NotEqual) && self.takes_word("null") {
            // What is `null` counts as missing everywhere.
            return match left {
                Operand::Field(path) => Ok(Node::Present { path, is: op == Op::NotEqual }),
                Operand::Constant(_) => Err(self.error_before("only a field can be null")),
            };
        }
        Ok(Node::Compare(left, op, self.operand()?))
    }

    fn presence(&mut self, left: Operand) -> Result<Node, ConditionError> {
        let Operand::Field(path) = left else {
            return Err(self.error("only a field can be missing or present"));
        };
        let negated = self.takes_word("is") && self.takes_word("not");
        match self.next() {
            Some(Token::Word(word)) if matches!(word.as_str(), "present" | "exists") => {
                Ok(Node::Present { path, is: !negated })
            }
            Some(Token::Word(word)) if word == "missing" => Ok(Node::Present { path, is: negated }),
            _ => Err(self.error_before("expected `missing` or `present`")),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, ConditionError> {
        if !self.takes_symbol("[") {
            return Err(self.error("expected a list as [1, 2] after `in`"));
        }
        let mut list = Vec::new();
        while !self.takes_symbol("]") {
            match self.operand()? {
                Operand::Constant(value) => list.push(value),
                Operand::Field(_) => return Err(self.error_before("a list holds numbers and texts alone")),
            }
            let next = matches!(self.peek(), Some(Token::Symbol("]"))) || self.takes_symbol(",");
            if !next {
                return Err(self.error("expected `,` or `]`"));
            }
        }
        Ok(list)
    }

    fn operand(&mut self) -> Result<Operand, ConditionError> {
        match self.next() {
            Some(Token::Number(value)) => Ok(Operand::Constant(value)),
            Some(Token::Text(text)) => Ok(Operand::Constant(Value::String(text))),
            Some(Token::Word(word)) if word == "true" => Ok(Operand::Constant(Value::Bool(true))),
            Some(Token::Word(word)) if word == "false" => Ok(Operand::Constant(Value::Bool(false))),
            Some(Token::Word(word)) if word == "null" => {
                Err(self.error_before("null counts as missing: write `is missing`"))
            }
            Some(Token::Word(word)) => {
                Path::parse(&word).map(Operand::Field).map_err(|error| self.error_before(error.to_string()))
            }
            _ => Err(self.error_before("expected a field, a number or a text")),
        }
    }
}

fn one_or(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            several(nodes)
        }
        None => several(nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_place_and_what_to_do() {
        for (text, column, says) in [
            ("", 1, "expected a field"),
            ("data.a", 7, "expected <"),
            ("data.a = 1", 8, "=="),
            ("data.a < ", 10, "expected a field"),
            ("data.a < 1 data.b < 2", 12, "`and`"),
            ("score < 0.8", 1, "data.<name>"),
            ("(data.a < 1", 12, "`)`"),
            ("data.a == 'x", 11, "no end"),
            ("data.a == 1.2.3", 11, "no number"),
            ("data.a < null", 10, "is missing"),
            ("1 is missing", 3, "only a field"),
            ("1 == null", 6, "only a field"),
            ("data.a in 3", 11, "a list"),
            ("data.a in [data.b]", 12, "numbers and texts"),
            ("data.a in [1 2]", 14, "`,`"),
            ("data.a not 3", 12, "`in`"),
            ("data.a is 3", 11, "`missing`"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.what.contains(says), "{text}: {error}");
            assert_eq!(error.column, column, "{text}: {error}");
        }
        assert!(parse(&format!("{}data.a < 1", "not ".repeat(DEPTH_MAX + 2))).is_err());
        assert!(parse(&format!("{}data.a < 1{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX))).is_ok());
        assert!(parse(&format!("data.a == '{}'", "x".repeat(TEXT_BYTES_MAX))).is_err());
    }
}
