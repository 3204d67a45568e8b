use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

/// Says these lines one after the other, and collects what is answered.
async fn dialogue(server: &Server, lines: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(server.port.address()).await.unwrap();
    let mut answers = Vec::new();
    for line in [""].iter().chain(lines) {
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n") {
            let mut some = [0; 1024];
            let size = stream.read(&mut some).await.unwrap();
            assert_ne!(size, 0, "closed after {line:?}");
            answer.push_str(std::str::from_utf8(&some[..size]).unwrap());
        }
        answers.push(answer[..3].to_owned());
    }
    answers
}

const BEFORE: [&str; 4] = [
    "EHLO here\r\n",
    "MAIL FROM:<a@here.example>\r\n",
    "RCPT TO:<b@there.example>\r\n",
    "DATA\r\n",
];

#[tokio::test]
async fn a_message_is_kept_whole() {
    let server = Server::start().await;
    let message = "Subject: Gig\r\n Night\r\n\r\n..dots\r\n.\r\n";
    let lines: Vec<&str> = BEFORE.into_iter().chain([message, "QUIT\r\n"]).collect();
    let answers = dialogue(&server, &lines).await;
    assert_eq!(answers, ["220", "250", "250", "250", "354", "250", "221"]);
    let mails = server.mails();
    assert_eq!((mails.len(), server.opened()), (1, 1));
    assert_eq!(
        (&*mails[0].from, &mails[0].to),
        ("a@here.example", &vec!["b@there.example".to_owned()])
    );
    assert_eq!(mails[0].headers(), ["Subject: Gig Night"]);
    assert_eq!(mails[0].subject(), "Gig Night");
    assert_eq!(mails[0].text().trim_end(), ".dots");
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let server = Server::start().await;
    let long = format!("{}\r\n.\r\n", "x".repeat(1000));
    for message in ["half\nof an end\r\n.\r\n", "eight bits: \u{e9}\r\n.\r\n", &long] {
        let lines: Vec<&str> = BEFORE.into_iter().chain([message]).collect();
        assert_eq!(dialogue(&server, &lines).await[5], "554", "{message:?}");
    }
    assert_eq!(
        dialogue(&server, &["MAIL FROM:<a@here.example>\r\n"]).await,
        ["220", "503"]
    );
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn it_goes_away_and_comes_back_on_its_port() {
    let server = Server::start().await;
    server.goes_away().await;
    assert!(TcpStream::connect(server.port.address()).await.is_err());
    server.comes_back().await;
    assert_eq!(dialogue(&server, &["NOOP\r\n"]).await, ["220", "250"]);
}

#[tokio::test]
async fn an_answer_is_held_back_and_given() {
    let server = Server::start().await;
    let held = server.holds(Moment::Message);
    let lines: Vec<&str> = BEFORE.into_iter().chain(["Subject: x\r\n\r\n.\r\n"]).collect();
    let (answers, ()) = tokio::join!(dialogue(&server, &lines), async {
        held.reached().await;
        assert_eq!(server.mails().len(), 1);
        drop(held);
    });
    assert_eq!(answers[5], "250");
}
