//! One connection.

use std::{io, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use smtp_proto::{
    AUTH_PLAIN, EXT_8BIT_MIME, EXT_AUTH, EXT_ENHANCED_STATUS_CODES, EXT_SIZE, EXT_SMTP_UTF8, EXT_START_TLS,
    EhloResponse, MAIL_BODY_8BITMIME, MAIL_SMTPUTF8, MailFrom, Request,
};
use tokio::net::TcpStream;

use super::{
    Mail, Moment, Security, State, lock,
    stream::{MAX_MESSAGE, Stream},
};

/// Most octets of a line of a message, without its end (RFC 5322, section 2.1.1).
const MAX_LINE: usize = 998;
const HOST: &str = "smtp.test";

#[derive(Debug, Default)]
struct Session {
    greeted: bool,
    encrypted: bool,
    user: Option<String>,
    from: Option<MailFrom<String>>,
    to: Vec<String>,
}

/// What follows a command.
enum Then {
    Say(String),
    Hello,
    StartTls,
    Authenticate(u64, String),
    Message,
    Quit,
}

/// Speaks until the other side is gone.
pub(super) async fn run(wire: TcpStream, state: Arc<State>) -> io::Result<()> {
    let (mut stream, mut session) = (Stream::new(wire), Session::default());
    if let (Some(authority), Security::Tls) = (&state.authority, state.setup.security) {
        stream = stream.encrypted(&authority.acceptor).await?;
        session.encrypted = true;
    }
    state.holds.pass(&Moment::Greeting).await;
    if let Some(told) = state.told(&Moment::Greeting) {
        return stream.say(&told).await;
    }
    stream.say(&format!("220 {HOST} ESMTP")).await?;
    while let Some(line) = stream.line().await? {
        match session.command(&state, &line).await {
            Then::Say(reply) => stream.say(&reply).await?,
            Then::Hello => stream.write(&session.hello(&state)?).await?,
            Then::StartTls => {
                let Some(authority) = &state.authority else {
                    continue;
                };
                stream.say("220 2.0.0 go ahead").await?;
                stream = stream.encrypted(&authority.acceptor).await?;
                // Nothing is left of what was said in the clear (RFC 3207, section 4.2).
                session = Session {
                    encrypted: true,
                    ..Session::default()
                };
            }
            Then::Authenticate(mechanism, response) => {
                let reply = session
                    .authenticate(&state, &mut stream, mechanism, response)
                    .await?;
                stream.say(reply).await?;
            }
            Then::Message => {
                stream.say("354 end with a dot").await?;
                let Some(message) = stream.message().await? else {
                    break;
                };
                let reply = session.message(&state, message).await;
                stream.say(&reply).await?;
            }
            Then::Quit => return stream.say("221 2.0.0 bye").await,
        }
    }
    Ok(())
}

impl Session {
    async fn command(&mut self, state: &State, line: &[u8]) -> Then {
        let say = |reply: &str| Then::Say(reply.to_owned());
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request.into_owned(),
            Err(error) => return Then::Say(format!("501 5.5.2 {error:?}")),
        };
        let starts = state.setup.security == Security::StartTls;
        match request {
            Request::Ehlo { .. } | Request::Helo { .. } => Then::Hello,
            Request::Noop { .. } => say("250 2.0.0 ok"),
            Request::Quit => Then::Quit,
            Request::Rset => {
                self.from = None;
                say("250 2.0.0 ok")
            }
            Request::StartTls if starts && !self.encrypted => Then::StartTls,
            _ if !self.greeted => say("503 5.5.1 EHLO first"),
            _ if starts && !self.encrypted => say("530 5.7.0 STARTTLS first"),
            Request::Auth {
                mechanism,
                initial_response,
            } if state.setup.credentials.is_some() => Then::Authenticate(mechanism, initial_response),
            Request::Mail { .. } if state.setup.credentials.is_some() && self.user.is_none() => {
                say("530 5.7.0 AUTH first")
            }
            Request::Mail { from } if !from.address.is_ascii() && from.flags & MAIL_SMTPUTF8 == 0 => {
                say("553 5.6.7 SMTPUTF8 first")
            }
            Request::Mail { from } => {
                self.from = Some(from);
                self.to.clear();
                say("250 2.1.0 ok")
            }
            Request::Rcpt { to } => Then::Say(self.recipient(state, to.address).await),
            Request::Data if self.from.is_some() && !self.to.is_empty() => Then::Message,
            Request::Data => say("503 5.5.1 MAIL and RCPT first"),
            _ => say("502 5.5.1 not here"),
        }
    }

    fn hello(&mut self, state: &State) -> io::Result<Vec<u8>> {
        self.greeted = true;
        let mut hello = EhloResponse::new(HOST);
        hello.size = MAX_MESSAGE;
        hello.capabilities = EXT_8BIT_MIME | EXT_SMTP_UTF8 | EXT_SIZE | EXT_ENHANCED_STATUS_CODES;
        let starts = state.setup.security == Security::StartTls && !self.encrypted;
        if starts {
            hello.capabilities |= EXT_START_TLS;
        }
        if state.setup.credentials.is_some() && !starts {
            hello.capabilities |= EXT_AUTH;
            hello.auth_mechanisms = AUTH_PLAIN;
        }
        let mut reply = Vec::new();
        hello.write(&mut reply)?;
        Ok(reply)
    }

    /// PLAIN (RFC 4616), whose response comes with the command or after a challenge.
    async fn authenticate(
        &mut self,
        state: &State,
        stream: &mut Stream,
        mechanism: u64,
        mut response: String,
    ) -> io::Result<&'static str> {
        if mechanism != AUTH_PLAIN {
            return Ok("504 5.5.4 PLAIN alone");
        }
        if response.is_empty() {
            stream.say("334 ").await?;
            let line = stream.line().await?.unwrap_or_default();
            response = String::from_utf8_lossy(&line).trim().to_owned();
        }
        let said = BASE64_STANDARD.decode(response).unwrap_or_default();
        let (name, secret) = state.setup.credentials.unwrap_or_default();
        if said != format!("\0{name}\0{secret}").as_bytes() {
            return Ok("535 5.7.8 wrong name or password");
        }
        self.user = Some(name.to_owned());
        Ok("235 2.7.0 welcome")
    }

    async fn recipient(&mut self, state: &State, address: String) -> String {
        let Some(from) = &self.from else {
            return "503 5.5.1 MAIL first".to_owned();
        };
        if !address.is_ascii() && from.flags & MAIL_SMTPUTF8 == 0 {
            return "553 5.6.7 SMTPUTF8 first".to_owned();
        }
        let moment = Moment::Recipient(address);
        state.holds.pass(&moment).await;
        if let Some(told) = state.told(&moment) {
            return told;
        }
        if let Moment::Recipient(address) = moment {
            self.to.push(address);
        }
        "250 2.1.5 ok".to_owned()
    }

    async fn message(&mut self, state: &State, raw: Vec<u8>) -> String {
        let Some(from) = self.from.take() else {
            return "503 5.5.1 MAIL first".to_owned();
        };
        if let Some(told) = state.told(&Moment::Message) {
            return told;
        }
        if let Err(problem) = sound(&raw, from.flags) {
            return format!("554 5.6.0 {problem}");
        }
        lock(&state.mails).push(Mail {
            from: from.address,
            to: std::mem::take(&mut self.to),
            raw,
            encrypted: self.encrypted,
            user: self.user.clone(),
        });
        state.holds.pass(&Moment::Message).await;
        "250 2.0.0 taken".to_owned()
    }
}

/// Whether a message is one by RFC 5321 and RFC 5322.
fn sound(raw: &[u8], flags: u64) -> Result<(), &'static str> {
    if raw.len() > MAX_MESSAGE {
        return Err("too large");
    }
    if !raw.is_ascii() && flags & MAIL_BODY_8BITMIME == 0 {
        return Err("8BITMIME first");
    }
    if raw.contains(&0) {
        return Err("NUL");
    }
    // The last line has lost its end to the dot.
    let text = String::from_utf8_lossy(raw);
    for line in text.split("\r\n") {
        if line.len() > MAX_LINE {
            return Err("a line is too long");
        }
        if line.contains(['\r', '\n']) {
            return Err("a line ends in half");
        }
    }
    Ok(())
}
