//! The scanner behind [`super::check`]: a state for each open object and array, on a stack of its own.
//!
//! It is on the way of every event, so that it allocates only for names that are spelled with escapes
//! and for objects of many names. Read `string.rs` next.

use std::borrow::Cow;
use std::collections::HashSet;

use super::string::{plain_len, unescaped, unit};
use super::{Member, ProblemKind};

/// Objects with more names than this are checked with a set, smaller ones by comparing.
const COMPARED_MAX: usize = 16;
/// Room for so many names, and for so many members, is made at once.
const NAMES_USUAL: usize = 10;
const MEMBERS_USUAL: usize = 10;
/// How much of a long pointer is shown, in bytes.
const POINTER_BYTES_MAX: usize = 200;

/// Reads one text.
pub(super) struct Scanner<'a> {
    json: &'a str,
    text: &'a [u8],
    at: usize,
    depth_max: usize,
    open: Vec<Open<'a>>,
    /// Names of all open objects, the innermost's last.
    names: Vec<Cow<'a, str>>,
    /// The members that were read, in the order of their ends, each with how many objects and arrays are open around it.
    members: Vec<(usize, Member<'a>)>,
    /// How deep members are kept.
    levels: usize,
}

/// An object or array that is not closed yet.
enum Open<'a> {
    Array { index: usize },
    Object { first_name: usize, many: Option<HashSet<Cow<'a, str>>>, value_at: usize },
}

type Step = Result<(), ProblemKind>;

const fn expected<T>(what: &'static str) -> Result<T, ProblemKind> {
    Err(ProblemKind::Syntax(what))
}

impl<'a> Scanner<'a> {
    pub(super) fn new(json: &'a str, depth_max: usize) -> Self {
        let (open, names) = (Vec::with_capacity(8), Vec::with_capacity(NAMES_USUAL));
        Self { json, text: json.as_bytes(), at: 0, depth_max, open, names, members: Vec::new(), levels: 0 }
    }

    /// Keeps members, as deep as `levels` says.
    pub(super) fn keeping_members(self, levels: usize) -> Self {
        Self { levels, members: Vec::with_capacity(MEMBERS_USUAL), ..self }
    }

    /// What was kept.
    pub(super) fn into_members(self) -> Vec<(usize, Member<'a>)> {
        self.members
    }

    /// How far it has come.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Where it is, as a JSON pointer.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for (level, open) in self.open.iter().enumerate() {
            match open {
                Open::Array { index } => pointer.push_str(&format!("/{index}")),
                Open::Object { first_name, .. } => {
                    let end = self.open[level + 1..].iter().find_map(|inner| match inner {
                        Open::Object { first_name, .. } => Some(*first_name),
                        Open::Array { .. } => None,
                    });
                    let names = &self.names[*first_name..end.unwrap_or(self.names.len())];
                    if let Some(name) = names.last() {
                        pointer.push('/');
                        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    }
                }
            }
            if pointer.len() > POINTER_BYTES_MAX {
                let end = pointer.floor_char_boundary(POINTER_BYTES_MAX);
                return format!("{}…", &pointer[..end]);
            }
        }
        pointer
    }

    /// Reads the whole text.
    pub(super) fn run(&mut self) -> Step {
        self.value()?;
        while !self.open.is_empty() {
            self.after_value()?;
        }
        self.blanks();
        if self.at == self.text.len() { Ok(()) } else { expected("the end") }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// One value; of an object or array only what comes before its first member is over.
    fn value(&mut self) -> Step {
        loop {
            self.blanks();
            match self.peek() {
                Some(b'{') => {
                    self.push(Open::Object { first_name: self.names.len(), many: None, value_at: 0 })?;
                    self.blanks();
                    if self.peek() == Some(b'}') {
                        self.pop();
                        return Ok(());
                    }
                    self.name()?;
                }
                Some(b'[') => {
                    self.push(Open::Array { index: 0 })?;
                    self.blanks();
                    if self.peek() == Some(b']') {
                        self.pop();
                        return Ok(());
                    }
                }
                Some(b'"') => return self.string().map(drop),
                Some(b'-' | b'0'..=b'9') => return self.number(),
                Some(b't') => return self.word(b"true"),
                Some(b'f') => return self.word(b"false"),
                Some(b'n') => return self.word(b"null"),
                _ => return expected("a value"),
            }
        }
    }

    /// What follows a value inside an object or array.
    fn after_value(&mut self) -> Step {
        let level = self.open.len();
        if level <= self.levels
            && let (Some(Open::Object { value_at, .. }), Some(name)) = (self.open.last(), self.names.last())
        {
            let value = self.json.get(*value_at..self.at).unwrap_or_default().trim_ascii_start();
            self.members.push((level, (name.clone(), value)));
        }
        self.blanks();
        let next = self.peek();
        match self.open.last_mut() {
            Some(Open::Array { index }) => match next {
                Some(b',') => {
                    *index += 1;
                    self.at += 1;
                    self.value()
                }
                Some(b']') => {
                    self.pop();
                    Ok(())
                }
                _ => expected("',' or ']'"),
            },
            Some(Open::Object { .. }) => match next {
                Some(b',') => {
                    self.at += 1;
                    self.name()?;
                    self.value()
                }
                Some(b'}') => {
                    self.pop();
                    Ok(())
                }
                _ => expected("',' or '}'"),
            },
            None => Ok(()),
        }
    }

    fn push(&mut self, open: Open<'a>) -> Step {
        if self.open.len() == self.depth_max {
            return Err(ProblemKind::TooDeep);
        }
        self.at += 1;
        self.open.push(open);
        Ok(())
    }

    fn pop(&mut self) {
        self.at += 1;
        if let Some(Open::Object { first_name, .. }) = self.open.pop() {
            self.names.truncate(first_name);
        }
    }

    /// A name and its colon.
    fn name(&mut self) -> Step {
        self.blanks();
        if self.peek() != Some(b'"') {
            return expected("a name in quotes");
        }
        let (raw, escapes) = self.string()?;
        let name = match escapes {
            true => Cow::Owned(String::from_utf8(unescaped(raw.as_bytes())).unwrap_or_default()),
            false => Cow::Borrowed(raw),
        };
        let Some(Open::Object { first_name, many, .. }) = self.open.last_mut() else {
            return expected("a value");
        };
        let own = &self.names[*first_name..];
        let twice = match many {
            Some(many) => !many.insert(name.clone()),
            None if own.len() >= COMPARED_MAX => {
                let mut all: HashSet<_> = own.iter().cloned().collect();
                let twice = !all.insert(name.clone());
                *many = Some(all);
                twice
            }
            None => own.contains(&name),
        };
        self.names.push(name);
        if twice {
            return Err(ProblemKind::DuplicateKey);
        }
        self.blanks();
        if self.peek() != Some(b':') {
            return expected("':'");
        }
        self.at += 1;
        if let Some(Open::Object { value_at, .. }) = self.open.last_mut() {
            *value_at = self.at;
        }
        Ok(())
    }

    /// A string; gives what stands between its quotes, and whether there are escapes in it.
    fn string(&mut self) -> Result<(&'a str, bool), ProblemKind> {
        self.at += 1;
        let start = self.at;
        let mut escapes = false;
        loop {
            let text = self.text;
            self.at += plain_len(&text[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((self.json.get(start..self.at - 1).unwrap_or_default(), escapes));
                }
                Some(b'\\') => {
                    escapes = true;
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => return expected("an escape in place of a control character"),
                None => return expected("'\"'"),
            }
        }
    }

    fn escape(&mut self) -> Step {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let unit = self.unit()?;
                match unit {
                    0xd800..=0xdbff if self.text[self.at..].starts_with(b"\\u") => {
                        self.at += 1;
                        if !(0xdc00..=0xdfff).contains(&self.unit()?) {
                            return expected("the second half of a surrogate pair");
                        }
                    }
                    // RFC 7493, 2.1: half a pair stands for no character, and readers differ about it.
                    0xd800..=0xdfff => return expected("a whole surrogate pair"),
                    _ => {}
                }
            }
            _ => return expected("an escape"),
        }
        Ok(())
    }

    /// `u` and its four digits.
    fn unit(&mut self) -> Result<u32, ProblemKind> {
        self.at += 1;
        let start = self.at;
        for _ in 0..4 {
            if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                return expected("four hexadecimal digits");
            }
            self.at += 1;
        }
        Ok(unit(self.text, start))
    }

    fn number(&mut self) -> Step {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return expected("a digit"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Step {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { expected("a digit") } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Step {
        if !self.text[self.at..].starts_with(word) {
            return expected("a value");
        }
        self.at += word.len();
        Ok(())
    }
}
