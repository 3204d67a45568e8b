//! A message that a server has taken.

use mail_parser::{Message, MessageParser};

/// A message and its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The reverse path.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// Headers and body as they came, without the dots that SMTP adds.
    pub raw: Vec<u8>,
    /// Whether it came by TLS.
    pub encrypted: bool,
    /// Who sent it, where the server asks for that.
    pub user: Option<String>,
}

impl Mail {
    /// The lines of its header.
    pub fn headers(&self) -> Vec<String> {
        let raw = String::from_utf8_lossy(&self.raw);
        let head = raw.split("\r\n\r\n").next().unwrap_or_default().to_owned();
        // A line that begins with a space goes on with the one before.
        head.replace("\r\n ", " ")
            .replace("\r\n\t", " ")
            .split("\r\n")
            .map(str::to_owned)
            .collect()
    }

    /// A header's value as it stands there, and of nothing but one header.
    pub fn header(&self, name: &str) -> String {
        let headers = self.headers();
        let mut found = headers.iter().filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        let value = found.next().unwrap_or_else(|| panic!("no {name} in {headers:?}"));
        assert_eq!(found.next(), None, "two of {name}");
        value
    }

    /// The subject, decoded.
    pub fn subject(&self) -> String {
        self.parsed().subject().unwrap_or_default().to_owned()
    }

    /// The text, decoded.
    pub fn text(&self) -> String {
        self.parsed().body_text(0).unwrap_or_default().into_owned()
    }

    fn parsed(&self) -> Message<'_> {
        MessageParser::default().parse(&self.raw).expect("a message")
    }
}
