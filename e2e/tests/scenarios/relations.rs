//! How objects are related, by what they say and by what follows from it.

use fedsx_e2e::{Node, Stranger, settle};
use serde_json::{Value, json};

const PUBLIC: &str = fedsx_kernel::activity::PUBLIC;

/// An activity about a public note of the blog's author, with these tags.
async fn say(blog: &Node, verb: &str, path: &str, tags: &[&str], more: &Value) {
    let author = blog.actor("author");
    let tags: Vec<Value> = tags
        .iter()
        .map(|tag| json!({"type": "Hashtag", "name": tag}))
        .collect();
    let mut object = json!({
        "id": blog.url(&format!("/objects/{path}")), "type": "Note", "attributedTo": author, "content": path, "tag": tags,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    let draft = json!({"type": verb, "object": object, "to": [PUBLIC]});
    blog.publish_draft(Some("author"), &draft).await.assert_code(0);
}

/// What `fedsx relations` finds: the other ends, marked where rules alone lead there.
async fn related(blog: &Node, relation: &str, end: &str, of: &str) -> Vec<String> {
    let edges = blog.json(&["relations", "--relation", relation, end, of]).await;
    let other = if end == "--to" { "from" } else { "to" };
    let edge = |edge: &Value| {
        let name = edge[other].as_str().unwrap_or_default();
        let name = name.strip_prefix(&blog.url("/objects/")).unwrap_or(name);
        let mark = if edge["derived"] == true { "*" } else { "" };
        format!("{name}{mark}")
    };
    edges.as_array().expect("a list").iter().map(edge).collect()
}

#[tokio::test]
async fn a_tag_page_follows_what_objects_say() {
    let mut blog = Node::blog().await;
    say(&blog, "Create", "gig", &["#jazz", "#live"], &Value::Null).await;
    say(&blog, "Create", "record", &["#jazz"], &Value::Null).await;
    assert_eq!(related(&blog, "tag", "--to", "#jazz").await, ["gig", "record"]);
    assert_eq!(
        related(&blog, "tag", "--from", &blog.url("/objects/gig")).await,
        ["#jazz", "#live"]
    );
    let page = blog
        .json(&["relations", "--relation", "tag", "--to", "#jazz", "--limit", "1"])
        .await;
    let first = page[0]["from"].as_str().expect("an edge").to_owned();
    let next = [
        "relations",
        "--relation",
        "tag",
        "--to",
        "#jazz",
        "--after",
        &first,
    ];
    assert_eq!(blog.json(&next).await[0]["from"], blog.url("/objects/record"));

    // As JSON, for whoever has a role's token.
    let of = |query: &str| format!("/views/relations/edges?relation=tag{query}");
    let page = blog.internal(&of("&to=%23jazz&limit=1"), None).await.json();
    assert_eq!(
        page["edges"],
        json!([{"relation": "tag", "from": blog.url("/objects/gig"), "to": "#jazz", "derived": false}])
    );
    assert_eq!(page["next"], page["edges"][0]["from"], "{page}");
    blog.internal(&of(""), None)
        .await
        .assert_refused(400, "malformed");

    say(&blog, "Update", "record", &["#blues"], &Value::Null).await;
    assert_eq!(related(&blog, "tag", "--to", "#jazz").await, ["gig"]);
    assert_eq!(related(&blog, "tag", "--to", "#blues").await, ["record"]);
    say(&blog, "Delete", "gig", &[], &Value::Null).await;
    assert_eq!(related(&blog, "tag", "--to", "#jazz").await, [""; 0]);
    blog.restart().await;
    assert_eq!(related(&blog, "tag", "--to", "#blues").await, ["record"]);
}

#[tokio::test]
async fn what_follows_by_rules_is_found_and_goes_with_what_it_follows_from() {
    let blog = Node::blog().await;
    let [gig, question, answer] =
        ["gig", "question", "answer"].map(|path| blog.url(&format!("/objects/{path}")));
    let mut cids = Vec::new();
    for name in ["Concert", "Performance", "Occasion"] {
        let draft = json!({"type": "DefineType", "object": {"name": name}, "to": [PUBLIC]});
        blog.publish_draft(None, &draft).await.assert_code(0);
        let types = blog.json(&["types", "list"]).await;
        let defined = types
            .as_array()
            .expect("a list")
            .iter()
            .find(|row| row["name"] == name);
        cids.push(
            defined.expect("a type")["cid"]
                .as_str()
                .expect("a CID")
                .to_owned(),
        );
    }
    for link in cids.windows(2) {
        let object = json!({"childTypeCid": link[0], "parentTypeCid": link[1]});
        let draft = json!({"type": "SubtypeOf", "object": object, "to": [PUBLIC]});
        blog.publish_draft(None, &draft).await.assert_code(0);
    }
    let above = related(&blog, "subtypeOf", "--from", &cids[0]).await;
    let mut expected = [cids[1].clone(), format!("{}*", cids[2])];
    expected.sort_unstable();
    assert_eq!(above, expected);

    let concert = json!({"type": "Concert", "typeCid": cids[0]});
    say(&blog, "Create", "gig", &[], &concert).await;
    assert_eq!(related(&blog, "instanceOf", "--to", &cids[2]).await, ["gig*"]);

    say(&blog, "Create", "question", &[], &json!({"inReplyTo": gig})).await;
    say(&blog, "Create", "answer", &[], &json!({"inReplyTo": question})).await;
    assert_eq!(related(&blog, "replies", "--from", &gig).await, ["question*"]);
    assert_eq!(
        related(&blog, "relatesTo", "--from", &question).await,
        ["answer*", "gig*"]
    );
    say(&blog, "Delete", "answer", &[], &Value::Null).await;
    assert_eq!(related(&blog, "relatesTo", "--from", &question).await, ["gig*"]);
    assert_eq!(related(&blog, "relatesTo", "--from", &answer).await, [""; 0]);
}

#[tokio::test]
async fn nobody_tags_what_is_anothers_nor_stops_the_view() {
    let (blog, stranger) = tokio::join!(Node::blog(), Stranger::new());
    say(&blog, "Create", "gig", &["#jazz"], &Value::Null).await;
    let base = blog.base();
    let tagged = |id: String, tag: Value| {
        let object = json!({"id": id, "type": "Note", "content": "x", "tag": tag});
        stranger.seal(
            "mallory",
            &json!({"type": "Create", "object": object, "to": [PUBLIC, base]}),
        )
    };
    let own = |name: &str| format!("{}/objects/{name}", stranger.origin());
    let hashtag = |name: Value| json!([{"type": "Hashtag", "name": name}]);
    let said = [
        tagged(blog.url("/objects/gig"), hashtag(json!("#spam"))),
        tagged(own("number"), hashtag(json!(7))),
        tagged(own("long"), hashtag(json!("#".repeat(100_000)))),
        tagged(own("single"), json!({"type": "Hashtag", "name": "#jazz"})),
        tagged(own("text"), json!("#jazz")),
        tagged(
            own("many"),
            json!(vec![json!({"type": "Hashtag", "name": "#jazz"}); 2000]),
        ),
        tagged(own("good"), hashtag(json!("#jazz"))),
    ];
    for activity in &said {
        stranger.post(&blog, activity).await;
    }
    settle(&[&blog]).await;
    assert_eq!(
        related(&blog, "tag", "--to", "#jazz").await,
        ["gig".to_owned(), own("good")]
    );
    assert_eq!(related(&blog, "tag", "--to", "#spam").await, [""; 0]);
    let views = blog.json(&["views"]).await;
    let halted = views
        .as_array()
        .expect("a list")
        .iter()
        .filter(|view| view["halted"] != 0);
    assert_eq!(halted.count(), 0, "{views}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_name() {
    let blog = Node::blog().await;
    let ask = |view: &'static str| ["relations", view, "--relation", "tag", "--to", "#jazz"];
    blog.run(&ask("followers"))
        .await
        .assert_code(3)
        .assert_says("the rows of \"followers\" are no edges");
    blog.run(&ask("relation"))
        .await
        .assert_code(3)
        .assert_says("there is no view \"relation\"");
    blog.run(&["relations", "--relation", "tag"])
        .await
        .assert_code(2)
        .assert_says("--from <OBJECT>|--to <OBJECT>");
}
