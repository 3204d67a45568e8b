//! Names that nobody declares.

use super::*;

const SITE: &str =
    "name: site\ntitle: A site\nsummary: For tests.\nincludes: [core]\nactors: [{name: ann, type: Person}]\n";
const SLIPS: &str = "\
name: slips
on:
  verbs: [Create, Crate]
  types: [Post, Article, Ordr]
steps:
  - id: check
    effect: validate
    with: {type: Article}
  - id: rows
    effect: query
    with: {view: folowers}
  - id: say
    effect: emit
    with:
      actor: bob
      activity:
        type: Prase
        object: {type: [Note, Nota]}
  - id: tell
    effect: notify
    with: {to: clark, text: a}
  - id: hook
    effect: webhook
    with: {actor: dora, url: https://a.example/, body: 1}
  - id: wait
    suspend:
      activity: {verbs: [Undo, Redo], key: activity.object, equals: activity.id}
";

fn undeclared(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let problems = open(folder.path())
        .unwrap()
        .stands_alone()
        .unwrap_err()
        .to_string();
    problems.replace(&folder.path().display().to_string(), "site")
}

#[test]
fn names_that_nobody_declares_are_told_by_file_line_and_key() {
    let view =
        "name: praises\non: {verbs: [Praise, Transition, Endorse]}\nkey: activity.object\nfold: 'true'\n";
    insta::assert_snapshot!(undeclared(&[
        ("bundle.yaml", SITE),
        ("types/post.yaml", "name: Post\n"),
        ("verbs/praise.yaml", "name: Praise\n"),
        ("behaviours/slips.yaml", SLIPS),
        ("projections/praises.yaml", view),
    ]));
}

#[test]
fn what_is_declared_below_or_said_by_an_expression_or_an_id_is_no_slip() {
    let behaviour = "\
name: sound
on: {verbs: [Follow], types: [Person]}
steps:
  - id: check
    effect: validate
    with: {type: =activity.object.type}
  - id: rows
    effect: query
    with: {view: followers}
  - id: say
    effect: emit
    with: {actor: ann, activity: {type: Create, object: {type: Post, typeCid: x}}}
  - id: tell
    effect: notify
    with: {to: 'https://b.example/actors/bob', text: a}
";
    let sound = [("bundle.yaml", SITE), ("behaviours/sound.yaml", behaviour)];
    open(folder(&sound).path()).unwrap().stands_alone().unwrap();
    // Definitions alone stand on what the domain has.
    let alone = folder(&[("behaviours/slips.yaml", SLIPS)]);
    let alone = open(alone.path()).unwrap();
    alone.stands_alone().unwrap();
    let told = alone
        .declared(|named| named.what == Named::Verb)
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("no projection of that name") && !told.contains("no verb"),
        "{told}"
    );
}

#[test]
fn a_folder_that_nobody_would_read_is_refused() {
    let told = problems(&[
        ("bundle.yaml", SITE),
        ("behavior/a.yaml", "name: a\n"),
        ("typs/a.yml", "name: a\n"),
        ("docs/a.md", "A.\n"),
        ("runtime/verbs/a.yaml", "name: A\n"),
    ]);
    assert_eq!(
        told,
        "site/behavior: is no folder of a bundle: these are types/, verbs/, projections/, behaviours/, objects/\n\
         site/typs: is no folder of a bundle: these are types/, verbs/, projections/, behaviours/, objects/"
    );
}
