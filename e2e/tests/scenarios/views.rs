//! Views are data: published while a domain runs, changed, and read.

use fedsx_e2e::{Node, Stranger, eventually, workspace};
use serde_json::{Value, json};

use crate::steps::SOON;

fn bundle(name: &str) -> String {
    workspace().join("genesis/core").join(name).display().to_string()
}

/// The row of an object in `endorsements`, as the log's head has it.
async fn endorsements(domain: &Node, object: &str) -> Value {
    let rows = domain.json(&["views", "rows", "endorsements", object]).await;
    rows[0]["value"].clone()
}

async fn endorsed(stranger: &Stranger, domain: &Node, by: &str, object: &str) {
    let endorse = json!({
        "type": "Endorse", "object": object, "to": [domain.base(), "as:Public"],
    });
    let sealed = stranger.seal(by, &endorse);
    stranger.post(domain, &sealed).await.assert_status(202);
}

#[tokio::test]
async fn a_projection_that_is_published_answers_for_all_that_the_log_has() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let post = blog.base() + "objects/gig-night";
    blog.json(&["genesis", "apply", &bundle("runtime-verbs")]).await;
    for by in ["mallory", "eve"] {
        endorsed(&stranger, &blog, by, &post).await;
    }
    let refused = blog.run(&["views", "rows", "endorsements"]).await.assert_code(3);
    refused.assert_says("there is no view \"endorsements\"; there are actors, allocations,");

    let applied = blog.json(&["genesis", "apply", &bundle("runtime-views")]).await;
    assert_eq!(applied[0]["name"], "endorsements", "{applied}");
    assert_eq!(endorsements(&blog, &post).await["count"], 2);
    endorsed(&stranger, &blog, "mallory", &post).await;
    let row = endorsements(&blog, &post).await;
    assert_eq!(
        (&row["count"], &row["last"]),
        (&json!(3), &json!(stranger.actor("mallory")))
    );

    // Over HTTP, for whoever has a role's token.
    let position = blog.head().await;
    let path = format!("/views/endorsements?prefix=http&limit=10&count=true&at_least={position}");
    let page = blog.internal(&path, None).await.json();
    assert_eq!(
        (&page["total"], &page["rows"][0]["value"]),
        (&json!(1), &row),
        "{page}"
    );
    assert_eq!(page["next"], post);
    let path = format!("/views/endorsements?after={post}");
    assert_eq!(blog.internal(&path, None).await.json()["rows"], json!([]));
    let one = blog
        .internal(&format!("/views/endorsements/row?key={post}"), None)
        .await
        .json();
    assert_eq!(one["value"], row);
    blog.internal("/views", Some("nobody's"))
        .await
        .assert_refused(401, "unauthenticated");
    blog.internal("/views/endorsement", None)
        .await
        .assert_refused(400, "malformed");
    blog.internal("/views/endorsements?limits=1", None)
        .await
        .assert_refused(400, "malformed");
    blog.internal("/views/endorsements/row?key=none", None)
        .await
        .assert_refused(404, "not_found");
    let views = blog.internal("/views", None).await.json();
    let named = views
        .as_array()
        .into_iter()
        .flatten()
        .find(|view| view["view"] == "endorsements");
    assert_eq!(named.expect("the view")["applied"], 3, "{views}");
}

#[tokio::test]
async fn a_changed_projection_takes_over_and_a_restart_keeps_it() {
    let (mut blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let post = blog.base() + "objects/gig-night";
    for folder in ["runtime-verbs", "runtime-views"] {
        blog.json(&["genesis", "apply", &bundle(folder)]).await;
    }
    endorsed(&stranger, &blog, "mallory", &post).await;
    assert_eq!(endorsements(&blog, &post).await["count"], 1);
    let other = tempfile::tempdir().expect("a folder");
    let shipped = std::fs::read_to_string(bundle("runtime-views") + "/projections/endorsements.yaml");
    let changed = shipped
        .expect("the file")
        .replace("state.count + 1", "state.count + 10");
    let folder = other.path().join("projections");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("endorsements.yaml"), changed).expect("a file");
    blog.json(&["genesis", "apply", &other.path().display().to_string()])
        .await;
    eventually("the changed one answers", SOON, async || {
        let row = endorsements(&blog, &post).await;
        (row["count"] == 10).then_some(()).ok_or_else(|| row.to_string())
    })
    .await;
    blog.restart().await;
    endorsed(&stranger, &blog, "eve", &post).await;
    assert_eq!(endorsements(&blog, &post).await["count"], 20);
    eventually("one view of the name is left, and live", SOON, async || {
        let views = blog.json(&["views"]).await;
        let named = views
            .as_array()
            .into_iter()
            .flatten()
            .filter(|view| view["view"] == "endorsements");
        let states: Vec<_> = named.map(|view| view["state"].clone()).collect();
        (states == ["live"])
            .then_some(())
            .ok_or_else(|| views.to_string())
    })
    .await;
}

#[tokio::test]
async fn what_core_declares_beside_federations_own_is_kept() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    let types = blog.json(&["views", "rows", "types"]).await;
    let article = types
        .as_array()
        .into_iter()
        .flatten()
        .find(|row| row["key"] == "Article");
    let article = article.expect("the blog's own type");
    assert!(
        article["value"]["cid"]
            .as_str()
            .is_some_and(|cid| cid.starts_with("baga")),
        "{article}"
    );

    // A stranger's tags, which its Update replaces; another's object it does not touch.
    let object = |id: &str, tags: &[&str]| {
        let tags: Vec<_> = tags
            .iter()
            .map(|name| json!({"type": "Hashtag", "name": name}))
            .collect();
        json!({"id": id, "type": "Note", "tag": tags})
    };
    let own = stranger.actor("mallory") + "/notes/1";
    let tags = async || {
        let rows = blog.json(&["views", "rows", "tags", "--prefix", &own]).await;
        rows[0]["value"]["tags"].clone()
    };
    for (verb, said, expected) in [
        (
            "Create",
            object(&own, &["#jazz", "#gig"]),
            json!(["#jazz", "#gig"]),
        ),
        (
            "Update",
            object(&(blog.base() + "objects/1"), &["#stolen"]),
            json!(["#jazz", "#gig"]),
        ),
        (
            "Update",
            json!({"id": own, "type": "Note", "tag": "#wrong"}),
            json!(["#jazz", "#gig"]),
        ),
        ("Update", object(&own, &["#jazz"]), json!(["#jazz"])),
        ("Delete", json!(own), Value::Null),
    ] {
        let sealed = stranger.seal(
            "mallory",
            &json!({"type": verb, "object": said, "to": [blog.base()]}),
        );
        stranger.post(&blog, &sealed).await.assert_status(202);
        assert_eq!(tags().await, expected, "{verb}");
    }
    let stolen = blog
        .json(&["views", "rows", "tags", "--prefix", &(blog.base() + "objects/1")])
        .await;
    assert_eq!(stolen, json!([]));
}
