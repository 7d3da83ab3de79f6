//! The headers of a request, as the lines that HTTP/1.1 sends.
//!
//! It exists because most attempts send them as they stand: they are written once, in one piece. Invariants: names are
//! lower case and there is one of each; names and values have no line ends. Who pushes one sees to both.
//! Read `render.rs` again.

use http::HeaderMap;

/// Header lines in the order in which they are sent.
#[derive(Clone, Default)]
pub struct Headers(String);

impl Headers {
    /// None yet, with room for so many bytes of lines.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// One more. Its name is in lower case and not there yet; name and value are visible ASCII, blanks and tabs.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.push_with(name, |text| text.push_str(value));
    }

    /// One more, whose value is what `write` puts behind the text.
    pub(crate) fn push_with(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.0.push_str(name);
        self.0.push_str(": ");
        write(&mut self.0);
        self.0.push_str("\r\n");
    }

    /// All of these behind those.
    pub(crate) fn append(&mut self, more: &Self) {
        self.0.push_str(&more.0);
    }

    /// All lines, each with its end.
    #[must_use]
    pub fn lines(&self) -> &str {
        &self.0
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split_terminator("\r\n").filter_map(|line| line.split_once(": "))
    }

    /// The value of the header with this name, in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(its, value)| (its == name).then_some(value))
    }
}

/// Those whose values are text.
impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        let mut headers = Self::default();
        for (name, value) in map {
            if let Ok(value) = value.to_str() {
                headers.push(name.as_str(), value);
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_back_as_they_were_pushed() {
        let mut headers = Headers::default();
        headers.push("x-key", "a: b");
        headers.push_with("x-empty", |_| {});
        headers.append(&Headers::from(&HeaderMap::from_iter([(
            "x-more".parse().unwrap(),
            "c".parse().unwrap(),
        )])));
        assert_eq!(headers.lines(), "x-key: a: b\r\nx-empty: \r\nx-more: c\r\n");
        assert_eq!(headers.get("x-key"), Some("a: b"));
        assert_eq!(headers.get("x-empty"), Some(""));
        assert_eq!(headers.iter().count(), 3);
        assert_eq!(headers.get("x-none"), None);
    }
}
