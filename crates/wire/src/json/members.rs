//! The members of an object, as they were spelled.
//!
//! It exists for whoever looks at a few members and leaves the rest alone. It is on the way of every event, so that
//! it looks for where things end and at nothing else: what they are was checked before. Read `../defaults.rs` next.

use std::borrow::Cow;

use super::string::{plain_len, unescaped};

/// A name, and its value as it is spelled.
pub type Member<'a> = (Cow<'a, str>, &'a str);

/// The members of an object in their order, each with its value as it is spelled; `None` where `json` is no object.
/// To be given JSON that was checked (by [`check`](super::check), or a parser): of anything else, some part is given
/// back, or none.
#[must_use]
pub fn members(json: &str) -> Option<Vec<Member<'_>>> {
    let mut text = Text { json, at: 0 };
    text.blanks();
    text.step(b'{')?;
    text.blanks();
    let mut members = Vec::with_capacity(8);
    if text.step(b'}').is_some() {
        return Some(members);
    }
    loop {
        text.blanks();
        let (name, escapes) = text.string()?;
        text.blanks();
        text.step(b':')?;
        text.blanks();
        let value = text.value()?;
        members.push((unquoted(name, escapes)?, value));
        text.blanks();
        if text.step(b',').is_none() {
            return text.step(b'}').map(|()| members);
        }
    }
}

/// What a name in quotes says.
fn unquoted(name: &str, escapes: bool) -> Option<Cow<'_, str>> {
    let raw = name.get(1..name.len() - 1)?;
    if !escapes {
        return Some(Cow::Borrowed(raw));
    }
    String::from_utf8(unescaped(raw.as_bytes())).ok().map(Cow::Owned)
}

/// A place in a text that is JSON.
struct Text<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn step(&mut self, over: u8) -> Option<()> {
        (self.peek()? == over).then(|| self.at += 1)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A string, with its quotes, and whether there are escapes in it.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        let start = self.at;
        let mut escapes = false;
        self.step(b'"')?;
        loop {
            self.at += plain_len(self.json.as_bytes().get(self.at..)?);
            match self.peek()? {
                b'"' => break,
                // Neither what is escaped nor a backslash ends it.
                _ => {
                    escapes = true;
                    self.at += 2;
                }
            }
        }
        self.at += 1;
        Some((self.json.get(start..self.at)?, escapes))
    }

    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        let mut open = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => self.word(),
            }
            if open == 0 {
                return self.json.get(start..self.at);
            }
        }
    }

    /// A number, or one of JSON's three words.
    fn word(&mut self) {
        let rest = self.json.as_bytes().get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Checked, Limits, checked};
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { depth_max: 9 };

    fn of<'a>(checked: &Checked<'a>, object: &str) -> Option<Vec<Member<'a>>> {
        checked.members_of(object).map(|members| members.cloned().collect())
    }

    #[test]
    fn members_come_in_their_order_as_they_were_spelled() {
        let json = " { \"a\" : 1.50 ,\"b\\\"\\u0041\":[{}, \"]}\\\\\"] , \"\":{ \"x\":{} }\n,\"ă\":null} ";
        let expected = [("a", "1.50"), ("b\"A", "[{}, \"]}\\\\\"]"), ("", "{ \"x\":{} }"), ("ă", "null")];
        let found = members(json).unwrap();
        assert_eq!(found.iter().map(|(name, value)| (&**name, *value)).collect::<Vec<_>>(), expected);
        assert_eq!(members("{ }"), Some(Vec::new()));
        for none in ["", "1", "[{}]", "null", "\"{}\"", "{", "{\"a", "{\"a\":", "{\"a\":1", "{\"a\":]}"] {
            assert_eq!(members(none), None, "{none}");
            let checked = checked(none.as_bytes(), LIMITS, 3);
            assert!(checked.is_err() || checked.is_ok_and(|it| of(&it, it.text()).is_none()), "{none}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json_on_what_is_json(
            names in proptest::collection::vec("[a-ză\"\\\\]{0,20}", 0..5), text in "[a-z{}\\[\\]\",:\\\\ ă]{0,40}", blank in "[ \n]{0,2}"
        ) {
            let value = serde_json::json!([{"t": text, "n": [1, -2.5e3, true]}, null]);
            let inside: Vec<String> = names.iter().enumerate().map(|(at, name)| {
                let name = serde_json::to_string(&format!("{name}{at}")).unwrap();
                format!("{blank}{name}{blank}:{blank}{value}{blank}")
            }).collect();
            let json = format!("{blank}{{{}}}{blank}", inside.join(","));
            let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
            let found = members(&json).unwrap();
            prop_assert_eq!(found.len(), names.len());
            let outer = format!("[{{\"a\":{json},\"b\":{{\"c\":{json},\"d\":{{}}}}}},1]");
            let (alone, whole) = (checked(json.as_bytes(), LIMITS, 1).unwrap(), checked(outer.as_bytes(), LIMITS, 9).unwrap());
            prop_assert_eq!(of(&alone, alone.text()), Some(found.clone()));
            let b = members(&outer[1..]).unwrap()[1].1;
            let c = &b[b.find(':').unwrap() + 1..][..json.len()].trim();
            prop_assert_eq!(of(&whole, c), Some(found.clone()));
            prop_assert_eq!(of(&whole, b), members(b));
            prop_assert_eq!(of(&whole, whole.text()), None);
            for (name, spelled) in found {
                prop_assert_eq!(spelled, value.to_string());
                prop_assert_eq!(&read[&*name], &value);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]\":,\\\\a1ă ]{0,24}") {
            let _members = members(&text);
            let _members = members(&format!("{{\"a\":{text}"));
        }
    }
}
