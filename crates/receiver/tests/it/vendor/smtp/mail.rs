//! A mail, as it was taken: what its headers must be, and what its text says.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    pub over_tls: bool,
}

impl Mail {
    /// A header's value, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.text.split_once("\r\n\r\n")?;
        let head = head.replace("\r\n ", " ");
        let prefix = format!("{}: ", name.to_ascii_lowercase());
        let found = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&prefix))?;
        Some(found[prefix.len()..].to_owned())
    }

    /// The first part's text, decoded.
    pub fn body(&self) -> String {
        let (head, body) = self.text.split_once("\r\n\r\n").unwrap();
        if head.to_ascii_lowercase().contains("content-transfer-encoding: base64") {
            let bytes = BASE64_STANDARD.decode(body.replace("\r\n", "")).unwrap();
            return String::from_utf8(bytes).unwrap();
        }
        if head.to_ascii_lowercase().contains("quoted-printable") { unquote(body) } else { body.to_owned() }
    }

    /// Whether it is a mail that may be taken.
    pub fn judge(&self, poison: Option<&str>) -> Result<(), &'static str> {
        let Some((head, _)) = self.text.split_once("\r\n\r\n") else { return Err("554 5.6.0 no headers") };
        if !head.is_ascii() {
            return Err("554 5.6.7 headers must be ASCII");
        }
        let names =
            head.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_once(':'));
        let names: Vec<String> = names.map(|(name, _)| name.to_ascii_lowercase()).collect();
        let count = |name: &str| names.iter().filter(|found| *found == name).count();
        if ["from", "date", "message-id"].iter().any(|name| count(name) != 1) {
            return Err("554 5.6.0 From, Date and Message-ID must be there once");
        }
        if ["subject", "to", "bcc", "reply-to"].iter().any(|name| count(name) > 1) {
            return Err("554 5.6.0 a header is there twice");
        }
        match poison {
            Some(poison) if self.body().contains(poison) => Err("554 5.6.0 content refused"),
            _ => Ok(()),
        }
    }
}

fn unquote(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'=' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
