//! Where a command's output goes: pieces of text with a tone, or JSON.
//!
//! Invariant: a piece is printed without control characters, so that what a receiver answered cannot
//! steer the terminal of whoever reads it. Colours only where the caller says so. Read `table.rs` next.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use super::pretty;

/// Where output goes, and whether with colours.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    colour: bool,
}

impl<'a> Screen<'a> {
    /// Prints to `out`.
    pub fn new(out: &'a mut dyn Write, colour: bool) -> Self {
        Self { out, colour }
    }

    /// Prints to standard output: with colours where it is a terminal and `NO_COLOR` is not set.
    pub fn stdout(out: &'a mut io::Stdout) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = out.is_terminal() && !no_colour;
        Self::new(out, colour)
    }

    /// Prints one line.
    pub(super) fn line(&mut self, pieces: &[Piece<'_>]) -> io::Result<()> {
        let mut line = String::new();
        for piece in pieces {
            piece.paint(self.colour, &mut line);
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    /// Prints a name and its value, where values stand below each other.
    pub(super) fn field(&mut self, name: &str, value: Piece<'_>) -> io::Result<()> {
        self.line(&[dim(format!("  {name:<13}")), value])
    }

    /// Prints JSON text, indented, with everything spelled as it came.
    pub(super) fn json(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", pretty::indent(text))
    }
}

/// How a piece is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Waiting,
    Dim,
    Strong,
}

impl Tone {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Waiting => Some("33"),
            Self::Dim => Some("2"),
            Self::Strong => Some("1"),
        }
    }
}

/// Some text of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) tone: Tone,
    pub(super) text: Cow<'a, str>,
}

impl Piece<'_> {
    fn paint(&self, colour: bool, line: &mut String) {
        let code = self.tone.code().filter(|_| colour);
        if let Some(code) = code {
            line.push_str("\u{1b}[");
            line.push_str(code);
            line.push('m');
        }
        line.extend(self.text.chars().map(|c| if c.is_control() { ' ' } else { c }));
        if code.is_some() {
            line.push_str("\u{1b}[0m");
        }
    }
}

impl<'a> From<&'a str> for Piece<'a> {
    fn from(text: &'a str) -> Self {
        Self { tone: Tone::Plain, text: text.into() }
    }
}

impl From<String> for Piece<'_> {
    fn from(text: String) -> Self {
        Self { tone: Tone::Plain, text: text.into() }
    }
}

/// A piece in a tone.
pub(super) fn toned<'a>(tone: Tone, text: impl Into<Cow<'a, str>>) -> Piece<'a> {
    Piece { tone, text: text.into() }
}

/// A piece that stands back.
pub(super) fn dim<'a>(text: impl Into<Cow<'a, str>>) -> Piece<'a> {
    toned(Tone::Dim, text)
}

/// A piece that stands out.
pub(super) fn strong<'a>(text: impl Into<Cow<'a, str>>) -> Piece<'a> {
    toned(Tone::Strong, text)
}

/// The first `chars_max` characters; where more are cut off, the last of them is an ellipsis.
pub(super) fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    if text.chars().count() <= chars_max {
        return text.into();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(colour: bool, pieces: &[Piece<'_>]) -> String {
        let mut out = Vec::new();
        Screen::new(&mut out, colour).line(pieces).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_cannot_steer_the_terminal() {
        let hostile = Piece::from("a\u{1b}[2Jb\r\nc\u{9b}d\u{7}");
        assert_eq!(printed(false, &[hostile]), "a [2Jb  c d\n");
    }

    #[test]
    fn there_are_colours_only_where_they_are_wanted() {
        let good = toned(Tone::Good, "yes");
        assert_eq!(printed(false, std::slice::from_ref(&good)), "yes\n");
        assert_eq!(printed(true, &[good]), "\u{1b}[32myes\u{1b}[0m\n");
    }

    #[test]
    fn text_is_cut_by_characters() {
        assert_eq!(cut("șțăîâ", 5), "șțăîâ");
        assert_eq!(cut("șțăîâx", 5), "șțăî…");
        assert_eq!(cut("x", 0), "…");
    }
}
