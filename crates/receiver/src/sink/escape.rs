//! Text for other people's markup, and texts that end at a limit.
//!
//! It exists because what users say to an agent ends in messages: without it a customer could ring a whole Slack
//! channel or put HTML into a mail. Invariant: a text never ends inside an escaped character. Read `message.rs` next.

/// For where a value is escaped. Everywhere but in `None`, control characters become spaces: what somebody typed must
/// not look like a line of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Nowhere: plain text, or the author's own markup.
    None,
    /// Slack's mrkdwn. Source: Slack, "Formatting text for app surfaces": `&`, `<` and `>` are its control
    /// characters; without them there is no mention, no link and no date.
    Slack,
    /// The text of an HTML element or of an attribute in quotes.
    Html,
    /// Plain text, as of a mail's subject.
    Line,
}

impl Escape {
    fn of(self, char: char) -> Option<&'static str> {
        match (self, char) {
            (Self::Slack | Self::Html, '&') => Some("&amp;"),
            (Self::Slack | Self::Html, '<') => Some("&lt;"),
            (Self::Slack | Self::Html, '>') => Some("&gt;"),
            (Self::Html, '"') => Some("&quot;"),
            (Self::Html, '\'') => Some("&#39;"),
            (Self::None, _) => None,
            (_, char) if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => Some(" "),
            _ => None,
        }
    }
}

/// What a text that was cut ends in.
const CUT: char = '…';

/// A text with a limit. What goes over it is left out, and the text then ends in `…`.
#[derive(Debug)]
pub(crate) struct Limited {
    text: String,
    chars: usize,
    chars_max: usize,
    /// Where `…` can stand, if anything has to be left out.
    cut_at: usize,
    full: bool,
}

impl Limited {
    /// An empty text of at most `chars_max` characters.
    pub(crate) fn new(chars_max: usize) -> Self {
        Self { text: String::new(), chars: 0, chars_max, cut_at: 0, full: false }
    }

    /// Appends a text, escaped, as far as there is room.
    pub(crate) fn push(&mut self, text: &str, escape: Escape) {
        for char in text.chars() {
            if self.full {
                return;
            }
            let mut buffer = [0; 4];
            let unit = escape.of(char).unwrap_or_else(|| char.encode_utf8(&mut buffer));
            let unit_chars = unit.chars().count();
            if self.chars + unit_chars > self.chars_max {
                self.full = true;
                self.text.truncate(self.cut_at);
                if self.chars_max > 0 {
                    self.text.push(CUT);
                }
                return;
            }
            self.text.push_str(unit);
            self.chars += unit_chars;
            if self.chars < self.chars_max {
                self.cut_at = self.text.len();
            }
        }
    }

    /// Appends a text of several lines, each escaped.
    pub(crate) fn push_lines(&mut self, text: &str, escape: Escape) {
        for (at, line) in text.lines().enumerate() {
            if at > 0 {
                self.push("\n", Escape::None);
            }
            self.push(line, escape);
        }
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str, escape: Escape, chars_max: usize) -> String {
        let mut out = Limited::new(chars_max);
        out.push(text, escape);
        out.finish()
    }

    #[test]
    fn each_place_gets_its_own_escapes() {
        let text = "<!channel> \"a\" & 'b'\r\nBcc: x";
        assert_eq!(escaped(text, Escape::Slack, 99), "&lt;!channel&gt; \"a\" &amp; 'b'  Bcc: x");
        assert_eq!(
            escaped(text, Escape::Html, 99),
            "&lt;!channel&gt; &quot;a&quot; &amp; &#39;b&#39;  Bcc: x"
        );
        assert_eq!(escaped(text, Escape::Line, 99), "<!channel> \"a\" & 'b'  Bcc: x");
    }

    #[test]
    fn a_cut_text_says_so_and_ends_outside_an_escape() {
        assert_eq!(escaped("abcd", Escape::None, 4), "abcd");
        assert_eq!(escaped("abcde", Escape::None, 4), "abc…");
        assert_eq!(escaped("ab&c", Escape::Slack, 7), "ab…");
        assert_eq!(escaped("a&&", Escape::Slack, 6), "a…");
        assert_eq!(escaped("a", Escape::None, 0), "");
    }

    proptest! {
        #[test]
        fn no_text_goes_over_its_limit(text in ".{0,40}", chars_max in 0_usize..30) {
            for escape in [Escape::None, Escape::Slack, Escape::Html, Escape::Line] {
                let out = escaped(&text, escape, chars_max);
                prop_assert!(out.chars().count() <= chars_max);
                if escape == Escape::Slack || escape == Escape::Html {
                    prop_assert!(!out.contains(['<', '>']));
                    let whole = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
                    let entities: usize = whole.iter().map(|entity| out.matches(entity).count()).sum();
                    prop_assert_eq!(out.matches('&').count(), entities);
                }
            }
        }
    }
}
