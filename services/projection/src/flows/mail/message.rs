//! What a mail looks like (RFC 5322, MIME).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::{
    Message,
    message::{
        Mailbox,
        header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};

use super::Mail;

/// Most bytes of a mailbox. Of them, an address has 254 at most (RFC 5321, section 4.5.3.1.3).
const MAX_MAILBOX: usize = 500;
const MAX_ADDRESS: usize = 254;
/// Most bytes of a subject; what is longer is cut at a character.
const MAX_SUBJECT: usize = 500;
/// Most bytes of a text.
const MAX_TEXT: usize = 256 << 10;

/// Says that no person has written it, so that nobody's machine answers (RFC 3834, section 5).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message of a mail, or what is wrong with it.
pub(super) fn compose(mail: &Mail<'_>, from: &Mailbox, id: &str) -> Result<Message, String> {
    let to = mailbox(mail.to).map_err(|problem| format!("`to` {problem}"))?;
    let mut subject = in_one_line(mail.subject);
    subject.truncate(subject.floor_char_boundary(MAX_SUBJECT));
    if mail.text.len() > MAX_TEXT {
        return Err(format!("`text` has more than {MAX_TEXT} bytes"));
    }
    let message = Message::builder()
        .from(from.clone())
        .to(to)
        .subject(subject)
        .message_id(Some(id.to_owned()))
        .date(system_time(mail.at))
        .header(AutoSubmitted)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(lines(mail.text));
    message.map_err(|error| error.to_string())
}

/// A single mailbox: `bob@example.org` or `Bob <bob@example.org>`. Strangers write some of them, so nothing that needs quoting
/// is taken in an address, and nothing beside it.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, String> {
    let text = text.trim();
    if text.len() > MAX_MAILBOX || text.contains(char::is_control) {
        return Err(format!(
            "has control characters, or more than {MAX_MAILBOX} bytes"
        ));
    }
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name);
    let odd = |letter: char| letter.is_whitespace() || "\"<>,;".contains(letter);
    if address.contains(odd) || address.len() > MAX_ADDRESS || name.contains(['"', '<', '>', '\\', '@']) {
        return Err("is no single mailbox".to_owned());
    }
    let address = address
        .parse()
        .map_err(|error| format!("is no mailbox: {error}"))?;
    let name = (!name.is_empty()).then(|| name.to_owned());
    Ok(Mailbox::new(name, address))
}

/// Without what would begin another header.
fn in_one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Each line's end whole, and no other control characters: servers disagree about half ends, and read commands after them. SMTP
/// itself ends the last line.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.strip_suffix('\n')
        .unwrap_or(&text)
        .chars()
        .map(|letter| match letter {
            '\n' | '\t' => letter,
            letter if letter.is_control() => ' ',
            letter => letter,
        })
        .collect::<String>()
        .replace('\n', "\r\n")
}

fn system_time(at: Timestamp) -> SystemTime {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
