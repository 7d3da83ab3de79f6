//! Texts with places in braces, as `Agent {data.agentId} ended: {data.summary|no summary}`, cut into pieces.
//!
//! It exists so that the messages of sinks and of rules are written in one way. A place is a name, and after `|` what
//! stands there where it has no value, else [`MISSING`]; `{{` is a brace. Which names there are, and how values are
//! shown, is the business of `sink/template.rs` and `rule/template.rs`.

/// What stands where a value is missing and the text does not say what does.
pub(crate) const MISSING: &str = "(none)";

/// A place has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoEnd;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it is; never empty.
    Text(String),
    /// A value, or what stands there without one.
    Place { name: &'a str, missing: &'a str },
}

/// Cuts a text into its pieces.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, NoEnd> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('{') {
            plain.push('{');
            rest = after;
            continue;
        }
        let (inside, after) = after.split_once('}').ok_or(NoEnd)?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        let (name, missing) = inside.split_once('|').unwrap_or((inside, MISSING));
        pieces.push(Piece::Place { name: name.trim(), missing });
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_places() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let place = |name, missing| Piece::Place { name, missing };
        for (whole, cut) in [
            ("", vec![]),
            ("plain } ș", vec![text("plain } ș")]),
            ("{a}{ b |not given}{c|}", vec![place("a", MISSING), place("b", "not given"), place("c", "")]),
            ("{{a} {b}{{", vec![text("{a} "), place("b", MISSING), text("{")]),
        ] {
            assert_eq!(pieces(whole), Ok(cut), "{whole}");
        }
        assert_eq!(pieces("a {b"), Err(NoEnd));
    }
}
