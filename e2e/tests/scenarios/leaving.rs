//! A process that is told to end has left within its promise, whoever it waits for.

use fedsx_e2e::{Fault, Node, Plan, Proxy, Role, eventually, smtp};
use fedsx_runtime::shutdown::PROMISE;
use smtp::Moment;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    genesis::{folder, path},
    mail::{BEHAVIOUR, MANIFEST},
    steps::{SOON, behaves},
};

/// Waits until a process has ended by itself, within the promise, and well.
async fn leaves(ends: impl Future<Output = std::process::ExitStatus>) {
    let status = tokio::time::timeout(PROMISE, ends).await;
    let status = status.expect("it leaves within its promise");
    assert!(status.success(), "it ended with {status}");
}

#[tokio::test]
async fn a_domain_leaves_in_time_though_its_mail_server_a_peer_and_a_client_hang() {
    let (server, proxy) = (smtp::Server::start().await, Proxy::start().await);
    proxy.set(Fault::BlackHole);
    let bundle = folder(&[("bundle.yaml", MANIFEST), ("behaviours/tell.yaml", BEHAVIOUR)]);
    let mut site = Node::stopped(path(&bundle).leak())
        .with_variable("FEDSX_SMTP", &server.url())
        .started()
        .await;
    let peer = format!("{}/actors/somebody", proxy.origin());
    site.json(&["follow", &peer, "--actor", "ann"]).await;
    eventually("the peer is asked", SOON, async || {
        (proxy.asked() > 0).then_some(()).ok_or("not yet")
    })
    .await;
    let mut client = TcpStream::connect(("127.0.0.1", site.port())).await.unwrap();
    let begun = b"POST /inbox HTTP/1.1\r\nhost: site\r\ncontent-type: application/activity+json\r\ncontent-length: 99\r\n\r\n{";
    client.write_all(begun).await.unwrap();
    let held = server.holds(Moment::Message);
    site.publish_with(&["--actor", "ann", "--name", "Gig Night", "--content", "x"])
        .await;
    held.reached().await;
    leaves(site.terminate()).await;

    // Nobody told it that the mail was taken: it comes again, and the flow goes on.
    drop(held);
    site.start().await;
    eventually("both are mailed", SOON, async || {
        let mails = server.mails().len();
        (mails == 3).then_some(()).ok_or(mails)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_leaves_in_time_and_another_mails_in_its_stead() {
    let server = smtp::Server::start().await;
    let plan = Plan::of("blog").set("smtp", &server.url());
    let mut blog = plan.started().await;
    behaves(&blog, BEHAVIOUR).await;
    let held = server.holds(Moment::Message);
    let post = ["--actor", "author", "--name", "Gig Night", "--content", "x"];
    blog.publish_with(&post).await;
    held.reached().await;
    leaves(blog.replica(Role::Projection, 0).terminate()).await;
    drop(held);
    blog.replica(Role::Projection, 0).start().await;
    eventually("both are mailed", SOON, async || {
        let mails = server.mails().len();
        (mails == 3).then_some(()).ok_or(mails)
    })
    .await;
}
