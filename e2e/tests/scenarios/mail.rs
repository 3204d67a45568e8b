//! Mails of flows reach an SMTP server, whoever is killed meanwhile.

use fedsx_e2e::{
    Domain, Node, eventually,
    smtp::{Moment, Security, Server, Setup},
};

use crate::{
    genesis::{folder, path},
    steps::SOON,
};

pub(crate) const MANIFEST: &str = "name: site\ntitle: A site\nsummary: For tests.\nincludes: [core]\nactors:\n  \
                        - {name: ann, type: Person}\n";
pub(crate) const BEHAVIOUR: &str = "
name: tell
on:
  verbs: [Create]
when: activity.object.type == 'Note'
steps:
  - id: letters
    each: \"['anna@example.org', 'bob@example.org']\"
    effect: mail
    with:
      to: =item
      subject: \"='New: ' + activity.object.name\"
      text: =activity.object.content
";

/// How the only flow stands after its last transition.
async fn status(domain: &Domain) -> String {
    let log = domain.log().await;
    let last = log.iter().rfind(|entry| entry.stream.starts_with("flow/"));
    let status = last.and_then(|entry| entry.activity["status"].as_str());
    status.unwrap_or("no flow").to_owned()
}

async fn completes(domain: &Domain) {
    eventually("the flow is over", SOON, async || {
        let status = status(domain).await;
        (status == "completed").then_some(()).ok_or(status)
    })
    .await;
}

#[tokio::test]
async fn a_domain_that_is_killed_while_it_mails_goes_on_and_no_mail_comes_more_than_twice() {
    // Known by an authority of its own, and only to who has a password.
    let setup = Setup {
        security: Security::StartTls,
        credentials: Some(("site", "secret")),
    };
    let server = Server::start_with(setup).await;
    let bundle = folder(&[("bundle.yaml", MANIFEST), ("behaviours/tell.yaml", BEHAVIOUR)]);
    let mut site = Node::stopped(path(&bundle).leak())
        .with(&["--mail-from", "The site <site@example.org>"])
        .with_variable("FEDSX_SMTP", &server.url())
        .with_variable("SSL_CERT_FILE", &server.authority().display().to_string())
        .started()
        .await;

    let held = server.holds(Moment::Message);
    site.publish_with(&[
        "--actor",
        "ann",
        "--name",
        "Gig Night",
        "--content",
        "Doors at eight.",
    ])
    .await;
    held.reached().await;
    site.kill9();
    site.start().await;
    eventually("it is mailed again", SOON, async || {
        let mails = server.mails().len();
        (mails == 2).then_some(()).ok_or(mails)
    })
    .await;
    drop(held);
    completes(&site).await;

    let mails = server.mails();
    let told: Vec<String> = mails.iter().map(|mail| mail.to.join(" ")).collect();
    assert_eq!(told, ["anna@example.org", "anna@example.org", "bob@example.org"]);
    let ids: Vec<String> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    for mail in &mails {
        assert_eq!(
            (&*mail.from, mail.subject()),
            ("site@example.org", "New: Gig Night".to_owned())
        );
        assert_eq!((mail.encrypted, mail.user.as_deref()), (true, Some("site")));
    }

    site.restart().await;
    completes(&site).await;
    assert_eq!(
        server.mails().len(),
        3,
        "whoever reads the log again mails nothing"
    );
}
