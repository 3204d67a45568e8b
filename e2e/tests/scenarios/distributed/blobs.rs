//! Blobs in a bucket that the replicas of the log share.

use fedsx_e2e::{Deployment, Plan, Role};
use fedsx_testing::s3;

use crate::blobs::{file, large, path_of};

async fn get(blog: &Deployment, bytes: &[u8]) {
    let answer = blog.get(&path_of(bytes)).await;
    assert!(answer.status == 200 && answer.body == bytes, "{}", answer.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_one_log_took_is_shown_by_the_others() {
    let server = s3::Server::start().await;
    let plan = Plan::of("blog").replicas(Role::Log, 2).with_blobs(&server);
    let mut blog = plan.started().await;
    let ((_one, poster), (_two, film)) = (file("poster.png", b"poster"), file("film.mp4", &large()));
    let flags = [
        "--actor", "author", "--name", "Gig", "--attach", &poster, "--attach", &film,
    ];
    blog.publish_with(&flags).await;
    for log in [0, 1] {
        // Whichever of them took it, each shows it alone.
        blog.replica(Role::Log, log).kill9();
        get(&blog, b"poster").await;
        get(&blog, &large()).await;
        blog.start().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_without_a_place_for_blobs_refuses_them_and_does_everything_else() {
    let blog = Deployment::blog().await;
    let (_folder, poster) = file("poster.png", b"poster");
    blog.run(&["blobs", "put", &poster])
        .await
        .assert_code(3)
        .assert_says("configure `blobs`");
    blog.publish("author", "Gig").await;
    blog.get(&path_of(b"poster"))
        .await
        .assert_refused(404, "not_found");
}
