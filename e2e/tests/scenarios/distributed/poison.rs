//! An entry that a view cannot fold.

use fedsx_e2e::eventually;

use super::Pair;
use crate::steps::SOON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_stands_still_says_so_and_goes_on_where_an_operator_says_so() {
    let Pair { blog, events } = Pair::of(fedsx_e2e::Deployment::blog()).await;
    let author = blog.actor("author");
    // As a faulty version, or a faulty disk, would have left it.
    let damage = "UPDATE projection.view_row SET value = '[]'
                  WHERE view = (SELECT id FROM projection.projection WHERE name = 'followers')";
    blog.database().execute(damage).await;
    events.json(&["unfollow", &author, "--actor", "main"]).await;
    let followers = async || {
        let views = blog.json(&["views"]).await;
        let rows = views.as_array().cloned().unwrap_or_default();
        rows.into_iter()
            .find(|row| row["view"] == "followers")
            .expect("the view")
    };
    let halted = eventually("a shard stands still", SOON, async || {
        let row = followers().await;
        let is_halted = row["halted"] == 1;
        is_halted.then(|| row.clone()).ok_or_else(|| row.to_string())
    })
    .await;
    let why = halted["why"].as_str().unwrap_or_default();
    assert!(why.contains("cannot be folded"), "{halted}");
    let position = halted["position"].as_u64().expect("a position") + 1;

    // Only what a view stands before is passed over, and it is written down why.
    let skip = async |view: &str, position: u64| {
        let position = position.to_string();
        blog.run(&["views", "skip", view, &position, "--reason", "a faulty disk"])
            .await
    };
    skip("followers", position + 1).await.assert_code(3);
    skip("nothing", position).await.assert_code(3);
    let told = skip("followers", position).await.assert_code(0).json();
    assert_eq!(told["inForce"], true, "{told}");
    let row = followers().await;
    assert_eq!((&row["halted"], &row["why"]), (&0.into(), &"".into()), "{row}");
    let decided = blog.json(&["entries", "--stream", "domain"]).await;
    assert_eq!(decided["activity"]["summary"], "a faulty disk", "{decided}");
    assert_eq!(decided["activity"]["position"], position);
}
