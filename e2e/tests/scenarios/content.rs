//! What a blog and an events site are made of: articles with addresses of their own, objects of the first day, and events that
//! take place again.

use fedsx_e2e::{Node, Output, settle};
use serde_json::{Value, json};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder, files);
    folder
}

fn write(folder: &TempDir, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

/// An object as the domain has it now.
async fn object(node: &Node, path: &str) -> Value {
    let id = node.url(&format!("/objects/{path}"));
    let rows = node.json(&["views", "rows", "objects", &id]).await;
    let row = rows.as_array().and_then(|rows| rows.first()).cloned();
    row.unwrap_or_else(|| panic!("no object {id}"))["value"]["object"].clone()
}

/// Publishes an activity about an object of an actor, with an id below `/objects/`.
async fn say(node: &Node, actor: &str, verb: &str, path: &str, mut object: Value) -> Output {
    object["id"] = node.url(&format!("/objects/{path}")).into();
    object["attributedTo"] = node.actor(actor).into();
    let public = "https://www.w3.org/ns/activitystreams#Public";
    let followers = format!("{}/followers", node.actor(actor));
    let draft = json!({ "type": verb, "object": object, "to": [public], "cc": [followers] });
    node.publish_draft(Some(actor), &draft).await
}

#[tokio::test]
async fn the_welcome_article_is_there_from_the_first_day() {
    let mut blog = Node::blog().await;
    let welcome = object(&blog, "welcome").await;
    assert_eq!(
        (&welcome["name"], &welcome["slug"]),
        (&"Welcome".into(), &"welcome".into())
    );
    assert_eq!(welcome["source"]["mediaType"], "text/markdown");
    let content = welcome["content"].as_str().expect("HTML");
    assert!(content.contains("<h2>What you can do now</h2>"), "{content}");
    assert_eq!(
        blog.get("/objects/welcome").await.assert_status(200).json()["name"],
        "Welcome"
    );
    let head = blog.head().await;
    blog.restart().await;
    assert_eq!(blog.head().await, head);

    // What its author says of it since stays.
    let mine = json!({ "type": "Article", "name": "Hello" });
    say(&blog, "author", "Update", "welcome", mine)
        .await
        .assert_code(0);
    blog.restart().await;
    let welcome = object(&blog, "welcome").await;
    assert_eq!(
        (&welcome["name"], &welcome["slug"]),
        (&"Hello".into(), &"welcome".into())
    );
    assert_eq!(blog.head().await, head + 1);
}

#[tokio::test]
async fn a_newer_file_is_published_unless_somebody_has_changed_the_object() {
    let manifest = "name: site\ntitle: A site\nsummary: For tests.\nincludes: [core]\nactors: [{name: ann, type: Person}]\n";
    let file = |text: &str| format!("actor: ann\nobject: {{type: Note, content: {text}}}\n");
    let (first, second, third) = (file("first"), file("second"), file("third"));
    let bundle = folder(&[
        ("bundle.yaml", manifest),
        ("objects/kept.yaml", &first),
        ("objects/changed.yaml", &first),
    ]);
    let path = bundle.path().display().to_string();
    let mut site = Node::stopped(path.clone().leak()).started().await;
    let head = site.head().await;

    write(
        &bundle,
        &[("objects/kept.yaml", &second), ("objects/changed.yaml", &second)],
    );
    site.restart().await;
    assert_eq!(site.head().await, head + 2);
    assert_eq!(object(&site, "kept").await["content"], "second");

    let mine = json!({ "type": "Note", "content": "mine" });
    say(&site, "ann", "Update", "changed", mine).await.assert_code(0);
    write(
        &bundle,
        &[("objects/kept.yaml", &third), ("objects/changed.yaml", &third)],
    );
    site.restart().await;
    assert_eq!(object(&site, "kept").await["content"], "third");
    assert_eq!(object(&site, "changed").await["content"], "mine");

    // An older version that starts takes nothing back.
    let head = site.head().await;
    write(&bundle, &[("objects/kept.yaml", &first)]);
    site.restart().await;
    assert_eq!(site.head().await, head);

    // An operator's word goes through.
    let changed = site.json(&["genesis", "diff", &path]).await;
    let states: Vec<_> = changed
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["state"].clone())
        .collect();
    assert_eq!(states, ["changed", "changed"], "{changed}");
    site.json(&["genesis", "apply", &path]).await;
    assert_eq!(object(&site, "changed").await["content"], "third");
    assert_eq!(object(&site, "kept").await["content"], "first");
    assert_eq!(site.json(&["genesis", "diff", &path]).await, json!([]));
}

#[tokio::test]
async fn two_articles_of_one_title_have_two_addresses() {
    let blog = Node::blog().await;
    let markdown = folder(&[("gig.md", "Doors at **eight**. <script>alert(1)</script>\n")]);
    let file = markdown.path().join("gig.md").display().to_string();
    let flags = [
        "--actor",
        "author",
        "--type",
        "Article",
        "--name",
        "Gig Night",
        "--markdown",
        &file,
    ];
    blog.publish_with(&flags).await;
    blog.publish_with(&flags).await;
    let id = blog.url("/objects/gig-night-");
    let rows = blog.json(&["views", "rows", "objects", "--prefix", &id]).await;
    let rows = rows.as_array().expect("rows");
    let mut slugs: Vec<_> = rows
        .iter()
        .map(|row| row["value"]["object"]["slug"].as_str().expect("a slug"))
        .collect();
    slugs.sort_unstable();
    assert_eq!(slugs, ["gig-night", "gig-night-2"]);
    for row in rows {
        let content = row["value"]["object"]["content"].as_str().expect("HTML");
        assert!(
            content.contains("<strong>eight</strong>") && !content.contains("<script"),
            "{content}"
        );
    }
    let taken = json!({ "type": "Article", "name": "Another", "slug": "gig-night" });
    let refused = say(&blog, "author", "Create", "another", taken).await;
    refused
        .assert_code(3)
        .assert_says("the field `slug`: another object of this domain has \"gig-night\"");
}

#[tokio::test]
async fn an_event_takes_place_at_the_same_time_of_day() {
    let events = Node::events().await;
    assert_eq!(object(&events, "main").await["type"], "Calendar");
    let event = json!({
        "type": "Event", "name": "Jam", "startTime": "2026-03-15T20:00:00+01:00",
        "endTime": "2026-03-15T22:00:00+01:00", "timezone": "Europe/Zurich", "rrule": "FREQ=WEEKLY",
    });
    for (field, value) in [
        ("timezone", "Europe/Bern"),
        ("rrule", "FREQ=SECONDLY"),
        ("eventStatus", "CONFIRMED"),
    ] {
        let mut wrong = event.clone();
        wrong[field] = value.into();
        say(&events, "main", "Create", "jam", wrong)
            .await
            .assert_code(3)
            .assert_says(&format!("the field `{field}` of `Event`"));
    }
    let mut wrong = event.clone();
    wrong["rrule"] = "FREQ=DAILY;COUNT=1;UNTIL=20270101".into();
    let refused = say(&events, "main", "Create", "jam", wrong).await.assert_code(3);
    refused.assert_says("is a string that is no rrule: it has COUNT and UNTIL");
    say(&events, "main", "Create", "jam", event).await.assert_code(0);
    let window = ["--from", "2026-03-20T00:00:00Z", "--to", "2026-04-01T00:00:00Z"];
    let told = events
        .json(&[&["occurrences", "jam"], &window[..]].concat())
        .await;
    let expected = json!([
        { "startTime": "2026-03-22T20:00:00+01:00", "endTime": "2026-03-22T22:00:00+01:00" },
        { "startTime": "2026-03-29T20:00:00+02:00", "endTime": "2026-03-29T22:00:00+02:00" },
    ]);
    assert_eq!(told, expected);
    let url = "/objects/jam/occurrences?from=2026-03-20T00:00:00Z&to=2026-04-01T00:00:00Z";
    let answer = events.get(url).await;
    assert_eq!(answer.assert_status(200).json()["occurrences"], expected);
    assert_eq!(
        events
            .json(&["occurrences", "jam"])
            .await
            .as_array()
            .map(Vec::len),
        Some(10)
    );
    events
        .run(&["occurrences", "main"])
        .await
        .assert_code(3)
        .assert_says("`startTime` is missing");
    let unknown = events.run(&["occurrences", "nothing"]).await.assert_code(3);
    unknown.assert_says("there is no object");
    let never = [
        "occurrences",
        "jam",
        "--from",
        "2026-03-16T00:00:00Z",
        "--to",
        "2026-03-17T00:00:00Z",
    ];
    assert_eq!(events.json(&never).await, json!([]));
    let misspelt = events.get("/objects/jam/occurrences?frm=now").await;
    misspelt.assert_refused(400, "malformed");
}

/// The terms that an activity, or an object on its own, brings with it.
fn terms(document: &Value) -> &Value {
    let context = document["@context"].as_array().expect("a context");
    context.last().expect("terms")
}

#[tokio::test]
async fn what_an_articles_words_mean_goes_with_it() {
    let (blog, events) = tokio::join!(Node::blog(), Node::events());
    events.follow("main", &blog.actor("author")).await;
    let article = json!({
        "type": "Article", "name": "Gig Night", "category": "review", "tags": ["jazz"], "language": "en",
    });
    say(&blog, "author", "Create", "gig", article)
        .await
        .assert_code(0);
    settle(&[&blog, &events]).await;
    let received = events.received(&blog.actor("author")).await;
    let theirs = received.iter().find(|entry| entry.name() == "Gig Night");
    let theirs = theirs.expect("the article");
    assert_eq!(theirs.verified_by, "proof");
    assert_eq!(theirs.remarks, [""; 0]);
    for (term, iri) in [
        ("schema", "http://schema.org/"),
        ("slug", "fedsx:slug"),
        ("category", "schema:articleSection"),
        ("tags", "schema:keywords"),
        ("language", "schema:inLanguage"),
        ("Hashtag", "as:Hashtag"),
    ] {
        assert_eq!(terms(&theirs.activity)[term], iri, "{term}");
    }
    assert_eq!(
        theirs.activity["object"]["tag"],
        json!([{"type": "Hashtag", "name": "#jazz"}])
    );
    // Found by its hashtag here and there, and the same on its own.
    for domain in [&blog, &events] {
        let found = domain
            .json(&["relations", "--relation", "tag", "--to", "#jazz"])
            .await;
        assert_eq!(found[0]["from"], blog.url("/objects/gig"), "{found}");
    }
    let shown = blog.get("/objects/gig").await.assert_status(200).json();
    assert_eq!(shown["@context"], theirs.activity["@context"]);

    let event = json!({"type": "Event", "name": "Jam", "startTime": "2026-03-15T20:00:00+01:00",
        "endTime": "2026-03-15T22:00:00+01:00", "joinMode": "free"});
    say(&events, "main", "Create", "jam", event).await.assert_code(0);
    settle(&[&events]).await;
    let event = events.get("/objects/jam").await.assert_status(200).json();
    assert_eq!(
        (&terms(&event)["fep"], &terms(&event)["joinMode"]),
        (&"https://w3id.org/fep/8a8e/".into(), &"fep:joinMode".into())
    );
    let calendar = events.get("/objects/main").await.assert_status(200).json();
    assert_eq!(terms(&calendar)["Calendar"], "fedsx:Calendar");
}
