//! Beside a real SMTP server.

use fedsx_testing::smtp::{Moment, Security, Server, Setup};
use futures::future::join_all;

use super::*;

const KEY: &str = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy/tell-them_all/3";

fn origin() -> Origin {
    "https://blog.example".parse().unwrap()
}

fn mailer(server: &Server) -> Mailer {
    Mailer::new(&server.url(), Some("The Blog <blog@blog.example>"), &origin()).unwrap()
}

fn mail<'a>(to: &'a str, text: &'a str) -> Mail<'a> {
    Mail {
        to,
        subject: "Gig Night",
        text,
        key: KEY,
        at: "2026-11-21T20:00:00Z".parse().unwrap(),
    }
}

async fn fails(mailer: &Mailer, mail: &Mail<'_>) -> NotSent {
    mailer.send(mail).await.unwrap_err()
}

#[tokio::test]
async fn a_mail_is_what_the_standards_say() {
    let server = Server::start().await;
    let id = mailer(&server)
        .send(&mail("bob@example.org", "Doors at eight.\n"))
        .await
        .unwrap();
    let [sent] = server.mails().try_into().unwrap();
    assert_eq!(
        (&*sent.from, sent.to.join(" ")),
        ("blog@blog.example", "bob@example.org".to_owned())
    );
    assert_eq!(id, format!("<{KEY}@blog.example>"));
    let mut headers = sent.headers();
    headers.sort();
    let id = format!("Message-ID: {id}");
    let expected = [
        "Auto-Submitted: auto-generated",
        "Content-Transfer-Encoding: 7bit",
        "Content-Type: text/plain; charset=utf-8",
        "Date: Sat, 21 Nov 2026 20:00:00 +0000",
        "From: \"The Blog\" <blog@blog.example>",
        "MIME-Version: 1.0",
        &id,
        "Subject: Gig Night",
        "To: bob@example.org",
    ];
    assert_eq!(headers, expected);
    assert_eq!(sent.text(), "Doors at eight.\r\n");
}

#[tokio::test]
async fn any_text_arrives_as_it_is() {
    let server = Server::start().await;
    let mailer = mailer(&server);
    let texts = [
        "Köln, 20 Uhr — 🎸\n".repeat(200),
        "ä".repeat(3000),
        "one line ".repeat(20_000),
        ".\n..\n.dots\n.\r\nQUIT\r\n".to_owned(),
        "x".repeat(256 << 10),
        "From here\nto there=20\t.\n \n".to_owned(),
    ];
    for text in &texts {
        let subject = "Köln: ".to_owned() + &"Ä long night ".repeat(30);
        let mail = Mail {
            subject: &subject,
            ..mail("Bob Bär <bob@example.org>", text)
        };
        mailer.send(&mail).await.unwrap();
        let sent = server.mails().pop().unwrap();
        let lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let arrived = sent.text();
        assert!(
            arrived.trim_end() == lines.trim_end(),
            "{:.200} is {arrived:.200}",
            lines
        );
        assert_eq!(sent.subject(), subject.trim_end());
        assert_eq!(sent.to, ["bob@example.org"]);
    }
    // One after the other, all by one connection.
    assert_eq!((server.mails().len(), server.opened()), (texts.len(), 1));
    let text = "x".repeat((256 << 10) + 1);
    assert!(!fails(&mailer, &mail("bob@example.org", &text)).await.passes);
}

#[tokio::test]
async fn a_subject_that_is_too_long_is_cut_at_a_character() {
    let server = Server::start().await;
    let subject = "夜".repeat(200);
    let long = Mail {
        subject: &subject,
        ..mail("bob@example.org", "x")
    };
    mailer(&server).send(&long).await.unwrap();
    let [sent] = server.mails().try_into().unwrap();
    assert_eq!(sent.subject(), "夜".repeat(166));
}

#[tokio::test]
async fn nobody_writes_headers_recipients_or_commands_into_a_mail() {
    let server = Server::start().await;
    let mailer = mailer(&server);
    let odd = [
        "bob@example.org, eve@example.org",
        "bob@example.org eve@example.org",
        "bob@example.org\r\nBcc: eve@example.org",
        "Bob <bob@example.org>, Eve <eve@example.org>",
        "Bob <bob@example.org> eve@example.org",
        "Eve <eve@example.org>, <bob@example.org>",
        "\"a> \r\nRCPT TO:<eve\"@example.org",
        "\"a b\"@example.org",
        "friends: bob@example.org;",
        "bob@example.org\u{0}",
        "@example.org",
        "bob",
        "",
        "<>",
        &format!("{}@example.org", "b".repeat(65)),
        &format!("bob@{}.org", "e".repeat(250)),
        &format!("{} <bob@example.org>", "B".repeat(500)),
    ];
    for to in odd {
        let problem = fails(&mailer, &mail(to, "x")).await;
        assert!(
            !problem.passes && problem.cause.starts_with("`to` "),
            "{to:?}: {problem:?}"
        );
    }
    let mail = Mail {
        subject: "Gig\r\nBcc: eve@example.org\r\n\r\nNight",
        ..mail(
            "bob@example.org",
            "one\rtwo\n.\nthree\u{0}\n\n.\r\nMAIL FROM:<eve@example.org>",
        )
    };
    mailer.send(&mail).await.unwrap();
    let [sent] = server.mails().try_into().unwrap();
    assert_eq!(sent.to, ["bob@example.org"]);
    assert_eq!(sent.subject(), "Gig  Bcc: eve@example.org    Night");
    assert_eq!(
        sent.text().trim_end(),
        "one\r\ntwo\r\n.\r\nthree \r\n\r\n.\r\nMAIL FROM:<eve@example.org>"
    );
}

#[tokio::test]
async fn what_the_server_says_tells_whether_to_try_again() {
    let server = Server::start().await;
    let mailer = mailer(&server);
    let bob = || Moment::Recipient("bob@example.org".to_owned());
    let told = [
        (bob(), "550 5.1.1 no such user", false),
        (bob(), "450 4.2.0 greylisted", true),
        (Moment::Message, "452 4.3.1 full", true),
        (Moment::Message, "554 5.6.0 spam", false),
        (Moment::Greeting, "421 4.3.2 not now", true),
        (Moment::Greeting, "554 5.3.2 never", false),
        (Moment::Greeting, "hello", true),
    ];
    for (moment, reply, passes) in told {
        server.relents();
        server.answers(moment, reply);
        let problem = fails(&mailer, &mail("bob@example.org", "x")).await;
        assert_eq!(problem.passes, passes, "{reply}: {problem:?}");
        let said = reply.split_once(' ').map_or("", |(_, said)| said);
        assert!(problem.cause.contains(said), "{reply}: {problem:?}");
    }
    server.relents();
    mailer.send(&mail("bob@example.org", "x")).await.unwrap();
    server.goes_away().await;
    assert!(fails(&mailer, &mail("bob@example.org", "x")).await.passes);
    server.comes_back().await;
    mailer.send(&mail("bob@example.org", "x")).await.unwrap();
    assert_eq!(server.mails().len(), 2);
}

/// What it says late of the one is not taken for what it says of the next.
#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    for moment in [Moment::Greeting, Moment::Message] {
        let server = Server::start().await;
        let mut mailer = mailer(&server);
        let held = server.holds(moment);
        mailer.patience = Duration::from_millis(100);
        let first = mail("bob@example.org", "first");
        assert!(fails(&mailer, &first).await.passes);
        drop(held);
        server.answers(Moment::Message, "554 5.6.0 spam");
        mailer.patience = PATIENCE;
        assert!(!fails(&mailer, &mail("bob@example.org", "next")).await.passes);
        assert_eq!(server.opened(), 2);
    }
}

#[tokio::test]
async fn many_mails_share_a_few_connections() {
    let server = Server::start().await;
    let mailer = mailer(&server);
    let mails: Vec<String> = (0..100)
        .map(|number| format!("bob{number}@example.org"))
        .collect();
    let sent = join_all(mails.iter().map(async |to| mailer.send(&mail(to, "x")).await)).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(server.mails().len(), 100);
    assert!(server.opened() <= 8, "{}", server.opened());
}

#[tokio::test]
async fn a_server_asks_who_sends() {
    let setup = Setup {
        credentials: Some(("blog", "secret")),
        ..Setup::default()
    };
    let server = Server::start_with(setup).await;
    mailer(&server).send(&mail("bob@example.org", "x")).await.unwrap();
    assert_eq!(server.mails()[0].user.as_deref(), Some("blog"));
    for wrong in [
        server.url().replace("secret", "other"),
        server.url().replace("blog:secret@", ""),
    ] {
        let mailer = Mailer::new(&wrong, None, &origin()).unwrap();
        let problem = fails(&mailer, &mail("bob@example.org", "x")).await;
        assert!(!problem.passes && !problem.cause.contains("other"), "{problem:?}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_no_mail() {
    for security in [Security::StartTls, Security::Tls] {
        let setup = Setup {
            security,
            credentials: Some(("blog", "secret")),
        };
        let server = Server::start_with(setup).await;
        let problem = fails(&mailer(&server), &mail("bob@example.org", "x")).await;
        assert!(
            !problem.passes && problem.cause.contains("certificate"),
            "{problem:?}"
        );
        assert!(server.mails().is_empty());
    }
    // One that does not know STARTTLS gets none in the clear.
    let server = Server::start().await;
    let url = format!("{}?tls=required", server.url());
    let mailer = Mailer::new(&url, None, &origin()).unwrap();
    assert!(!fails(&mailer, &mail("bob@example.org", "x")).await.passes);
    assert!(server.mails().is_empty());
}

#[test]
fn wrong_settings_are_named_and_no_password_is_told() {
    let url = |url: &str| Mailer::new(url, None, &origin()).unwrap_err().to_string();
    let wrong = [
        "",
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example?tls=maybe",
        "smtp://mail.example?tls=opportunistic",
        "smtp://mail.example/inbox",
        "smtps://mail.example?tls=required",
        "smtp://mail.example:none",
        "smtp://blog:secret@mail.example",
        "smtps://blog@mail.example",
        "smtps://:secret@mail.example",
        "smtps://blog:secret%ff@mail.example",
    ];
    for wrong in wrong {
        let error = url(wrong);
        assert!(
            error.starts_with("`smtp` ") && !error.contains("secret"),
            "{wrong}: {error}"
        );
    }
    for right in [
        "smtp://mail.example",
        "smtp://127.0.0.1:2525",
        "smtp://a:b@[::1]:25/",
        "smtps://a%40b:c%3a@mail.example:465",
        "smtp://a:b@mail.example:587?tls=required",
    ] {
        let mailer = Mailer::new(right, None, &origin()).unwrap();
        assert_eq!(mailer.from.to_string(), "no-reply@blog.example");
    }
    for from in [
        "",
        "blog",
        "a@example.org, b@example.org",
        "Blog <blog@example.org",
    ] {
        let error = Mailer::new("smtp://mail.example", Some(from), &origin())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`mail_from` "), "{from}: {error}");
    }
}

#[test]
fn an_origin_without_a_name_has_a_literal_address() {
    for (origin, host, from) in [
        ("http://127.0.0.1:8001", "[127.0.0.1]", "no-reply@localhost"),
        ("http://localhost:8001", "localhost", "no-reply@localhost"),
        ("https://blog.example", "blog.example", "no-reply@blog.example"),
    ] {
        let mailer = Mailer::new("smtp://127.0.0.1", None, &origin.parse().unwrap()).unwrap();
        assert_eq!((&*mailer.host, &*mailer.from.to_string()), (host, from));
    }
}

#[tokio::test]
async fn a_domain_without_a_name_sends_mails_all_the_same() {
    let server = Server::start().await;
    let origin: Origin = "http://127.0.0.1:8001".parse().unwrap();
    let mailer = Mailer::new(&server.url(), None, &origin).unwrap();
    mailer
        .send(&mail("bob@example.org", "Doors at eight."))
        .await
        .unwrap();
    let [sent] = server.mails().try_into().unwrap();
    assert_eq!(sent.from, "no-reply@localhost");
}
