//! Bundles that are written here, and what becomes of them.

mod names;
mod notifications;
mod plan;

use std::path::Path;

use fedsx_kernel::definition::Kind;
use tempfile::TempDir;

use super::*;

const BUNDLE: &str = "name: site\ntitle: A site\nsummary: For tests.\nincludes: [core]\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn open(folder: &Path) -> anyhow::Result<Bundle> {
    Bundle::open(&folder.display().to_string())
}

/// What is wrong, without the folder's name.
fn problems(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let error = format!("{:#}", open(folder.path()).unwrap_err());
    error.replace(&folder.path().display().to_string(), "site")
}

fn own(bundle: &Bundle) -> Vec<(Kind, &str)> {
    let own = bundle.records.iter().filter(|record| record.is_own);
    own.map(|record| (record.kind, record.name.as_str())).collect()
}

#[test]
fn types_name_each_other_by_name_in_any_order() {
    let folder = folder(&[
        ("bundle.yaml", BUNDLE),
        (
            "types/a.yaml",
            "name: Review\ninstanceType: Post\nsubtypeOf: [Post]\n",
        ),
        (
            "types/b.yaml",
            "name: Post\ninstanceType: Article\nfields:\n  - name: title\n",
        ),
        ("types/c.yaml", "name: Article\ninstanceType: Article\n"),
        ("verbs/praise.yaml", "name: Praise\n"),
    ]);
    let bundle = open(folder.path()).unwrap();
    let expected = [
        (Kind::Type, "Article"),
        (Kind::Verb, "Praise"),
        (Kind::Type, "Post"),
        (Kind::Type, "Review"),
        (Kind::Subtype, "Review:Post"),
    ];
    assert_eq!(own(&bundle), expected);
    let named = |name: &str| bundle.records.iter().find(|record| record.name == name).unwrap();
    let (article, post, review) = (named("Article"), named("Post"), named("Review"));
    assert_eq!(
        article.document["instanceType"], "Article",
        "a type's own name is ActivityStreams'"
    );
    assert_eq!(post.document["instanceType"], article.cid.as_str());
    assert_eq!(review.document["instanceType"], post.cid.as_str());
    assert_eq!(named("Review:Post").document["childTypeCid"], review.cid.as_str());
    assert!(!review.document.contains_key("subtypeOf"));
    // What it stands on comes first, and is not its own.
    assert!(bundle.records.first().is_some_and(|record| !record.is_own));
    assert!(named("Follow").kind == Kind::Verb);
}

#[test]
fn everything_that_is_wrong_is_told_by_file_line_and_key() {
    let article = "\
name: Article
instanceTyp: Post
fields:
  - name: title
    type: string
    maxItems: 3
  - name: two words
  - name: stars
    type: integer
    minimum: 5
    maximum: 1
  - name: title
  - title
refinementSchema: object.stars >
";
    let manifest = "\
name: site
titel: A site
summary: For tests.
includes: [core, shop]
actors:
  - name: No Name
    type: Robot
    grants: [define, rule]
  - type: Person
";
    insta::assert_snapshot!(problems(&[
        ("bundle.yaml", manifest),
        ("types/article.yaml", article),
        ("types/list.yaml", "- x\n"),
        ("types/note.yml", "name: Note\n"),
        (
            "types/post.yaml",
            "name: Post\nrefinementSchema: size(object.title\n"
        ),
        ("types/second.yaml", "name: Post\n"),
        ("types/link.yaml", "name: Link2\nsubtypeOf: [Post, Nothing]\n"),
        ("verbs/follow.yaml", "name: Follow\n"),
        ("verbs/broken.yaml", "name: [\n"),
    ]));
    insta::assert_snapshot!(problems(&[
        ("types/a.yaml", "name: A\ninstanceType: B\n"),
        ("types/b.yaml", "name: B\ninstanceType: C\n"),
        ("types/c.yaml", "name: C\n\ninstanceType: A\n"),
        ("types/d.yaml", "name: D\ninstanceType: Nothing\n"),
        ("types/e.yaml", "name: E\ninstanceType: A\nfields: 7\n"),
    ]));
}

#[test]
fn a_chain_is_no_longer_than_a_log_takes_it() {
    let mut files = vec![("t0.yaml".to_owned(), "name: T0\n".to_owned())];
    for number in 1..9 {
        let text = format!("name: T{number}\ninstanceType: T{}\n", number - 1);
        files.push((format!("t{number}.yaml"), text));
    }
    let paths: Vec<_> = files
        .iter()
        .map(|(path, text)| (format!("types/{path}"), text))
        .collect();
    let files: Vec<_> = paths
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let told = problems(&files);
    assert_eq!(
        told,
        "site/types/t8.yaml:2: `instanceType` stands on more than 8 records"
    );
    assert!(open(folder(&files[..8]).path()).is_ok());
}

#[test]
fn bundles_that_stand_on_each_other_are_refused() {
    let other = "name: b\ntitle: B\nsummary: B.\nincludes: [a]\n";
    let this = "name: a\ntitle: A\nsummary: A.\nincludes: [b]\n";
    let folder = folder(&[("a/bundle.yaml", this), ("b/bundle.yaml", other)]);
    let error = format!("{:#}", open(&folder.path().join("a")).unwrap_err());
    assert!(
        error.contains("is there a circle?") && error.contains("bundle.yaml:4: `includes[0]`"),
        "{error}"
    );
}

#[test]
fn two_bundles_may_share_a_definition_and_not_a_name_alone() {
    let bundle = "name: x\ntitle: X\nsummary: X.\n";
    let both = "name: x\ntitle: X\nsummary: X.\nincludes: [a, b]\n";
    let files = [
        ("a/bundle.yaml", bundle),
        ("b/bundle.yaml", bundle),
        ("both/bundle.yaml", both),
        ("a/verbs/praise.yaml", "name: Praise\n"),
        ("b/verbs/praise.yaml", "# The same.\nname: Praise\n"),
    ];
    let folder = folder(&files);
    let both = folder.path().join("both");
    assert_eq!(open(&both).unwrap().records.len(), 1);
    std::fs::write(
        folder.path().join("b/verbs/praise.yaml"),
        "name: Praise\nfields: []\n",
    )
    .unwrap();
    let error = format!("{:#}", open(&both).unwrap_err());
    assert!(error.contains("`includes[1]` has another verb Praise"), "{error}");
}

#[test]
fn a_domain_needs_a_manifest_and_a_bundle_that_there_is() {
    let error = |name: &str| format!("{:#}", Bundle::of_domain(name).unwrap_err());
    assert!(
        error("shop").contains("(blog, core, events)"),
        "{}",
        error("shop")
    );
    assert!(error("core/runtime-verbs").contains("has no bundle.yaml"));
    for name in ["blog", "core", "events"] {
        assert_eq!(Bundle::of_domain(name).unwrap().1.name, name);
    }
}

#[test]
fn a_stale_lock_tells_what_differs() {
    let folder = folder(&[("verbs/a.yaml", "name: A\n"), ("verbs/b.yaml", "name: B\n")]);
    let bundle = open(folder.path()).unwrap();
    assert!(
        Stale::check(&bundle)
            .unwrap_err()
            .to_string()
            .contains("verb A is not in it")
    );
    std::fs::write(folder.path().join(LOCK), lock_text(&bundle)).unwrap();
    assert_eq!(Stale::check(&open(folder.path()).unwrap()), Ok(()));
    std::fs::write(folder.path().join("verbs/a.yaml"), "name: A\nfields: []\n").unwrap();
    std::fs::rename(
        folder.path().join("verbs/b.yaml"),
        folder.path().join("verbs/c.yaml"),
    )
    .unwrap();
    std::fs::write(folder.path().join("verbs/c.yaml"), "name: C\n").unwrap();
    let told = Stale::check(&open(folder.path()).unwrap())
        .unwrap_err()
        .to_string();
    for part in [
        "verb A is baga",
        "and it says baga",
        "verb C is not in it",
        "verb B is no longer",
        "fedsx genesis lock",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_comment_changes_no_cid() {
    let cid = |text: &str| {
        open(folder(&[("types/a.yaml", text)]).path()).unwrap().records[0]
            .cid
            .clone()
    };
    let bare = cid("name: A\nfields: [{name: x, required: true}]\n");
    assert_eq!(
        cid("# Why.\nfields:\n  - required: true\n    name: x # what\nname: A\n"),
        bare
    );
    assert_ne!(cid("name: A\nfields: [{name: x, required: false}]\n"), bare);
}

#[test]
fn an_object_is_checked_by_its_type_and_locked() {
    let manifest = format!("{BUNDLE}actors: [{{name: ann, type: Person}}]\n");
    let post = "name: Post\nfields:\n  - {name: name, type: string, maxLength: 5}\n  \
                - {name: slug, type: string, format: slug, from: name, required: true}\n";
    let with = |path: &str, text: &str| {
        problems(&[
            ("bundle.yaml", &*manifest),
            ("types/post.yaml", post),
            (path, text),
        ])
    };
    let long = "actor: ann\nobject:\n  type: Post\n  name: Too long\n";
    assert_eq!(
        with("objects/a.yaml", long),
        "site/objects/a.yaml:4: `object.name` breaks its type: the field `name` of `Post` has 8 characters, at most 5 are \
         admitted"
    );
    let stranger = "actor: bob\nto: all\nobject: {type: Post, id: x}\n";
    assert_eq!(
        with("objects/a.yaml", stranger),
        "site/objects/a.yaml:1: `actor` is no actor of bundle.yaml: ann\n\
         site/objects/a.yaml:2: `to` is none of public, followers, nobody\n\
         site/objects/a.yaml:3: `object.id` is given when it is published"
    );
    let sound = "actor: ann\nobject: {type: Post, name: A}\n";
    assert!(with("objects/a b.yaml", sound).contains("is not named by letters"));
    assert!(with("objects/a.yml", sound).contains("is not named `….yaml`"));
    assert!(problems(&[("objects/a.yaml", sound)]).contains("`actor` speaks in a bundle alone"));

    let files = [
        ("bundle.yaml", &*manifest),
        ("types/post.yaml", post),
        ("objects/a.yaml", sound),
    ];
    let folder = folder(&files);
    let bundle = open(folder.path()).unwrap();
    let line = format!("object a {}\n", bundle.objects[0].cid);
    assert!(lock_text(&bundle).contains(&line));
}
