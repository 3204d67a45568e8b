//! What a domain lacks of a bundle.

use std::{collections::BTreeMap, fmt::Write as _};

use fedsx_kernel::{definition::Kind, origin::Origin};
use fedsx_proto::v1::{Definition, ListDefinitionsResponse};

use super::{BUNDLE, folder, open};
use crate::genesis::{Bundle, Known, Step, beyond, steps};

fn origin() -> Origin {
    "https://site.example".parse().unwrap()
}

/// The domain as it is after a bundle's steps.
fn after(bundle: &Bundle, granted: &[&str]) -> Known {
    let definitions = bundle
        .records
        .iter()
        .zip(1..)
        .map(|(record, position)| Definition {
            kind: record.kind.to_string(),
            name: match record.kind {
                Kind::Subtype => String::new(),
                _ => record.name.clone(),
            },
            cid: record.cid.to_string(),
            position,
            ..Definition::default()
        });
    let answer = ListDefinitionsResponse {
        definitions: definitions.collect(),
        granted: granted.iter().map(|name| origin().actor(name)).collect(),
        position: 100,
    };
    let actors = bundle.manifest.iter().flat_map(|manifest| &manifest.actors);
    let actors = actors.map(|actor| origin().actor(&actor.name)).collect();
    Known::new(answer, actors, BTreeMap::new())
}

fn told(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |mut told, step| {
        let change = if step.replaces().is_some() {
            "changed"
        } else {
            "new"
        };
        let _ = writeln!(told, "{change} {} {}", step.kind(), step.name());
        told
    })
}

#[test]
fn what_a_domain_lacks_is_published_and_nothing_else() {
    let manifest = format!(
        "{BUNDLE}actors:\n  - {{name: ann, type: Person, grants: [define]}}\n  - {{name: bob, type: Person}}\n"
    );
    let manifest = manifest.replace("includes: [core]\n", "");
    let types = [
        ("bundle.yaml", manifest.as_str()),
        ("types/a.yaml", "name: A\nsubtypeOf: [B]\n"),
        ("types/b.yaml", "name: B\n"),
        ("verbs/do.yaml", "name: Do\n"),
    ];
    let first = open(folder(&types).path()).unwrap();
    let lacking = steps(&first, &Known::default(), &origin());
    let all = "new type A\nnew type B\nnew verb Do\nnew subtype A:B\nnew actor ann\nnew actor bob\nnew grant https://site.example/actors/ann\n";
    assert_eq!(told(&lacking), all);
    let known = after(&first, &["ann"]);
    assert_eq!(steps(&first, &known, &origin()), []);
    assert_eq!(beyond(&first, &known), []);
    let revoked = after(&first, &[]);
    assert_eq!(
        told(&steps(&first, &revoked, &origin())),
        "new grant https://site.example/actors/ann\n"
    );

    // Of a later version: what changed, and what follows from it.
    let mut later = types;
    later[2].1 = "name: B\nfields: [{name: x}]\n";
    later[3] = ("verbs/other.yaml", "name: Other\n");
    let later = open(folder(&later).path()).unwrap();
    let lacking = steps(&later, &known, &origin());
    assert_eq!(
        told(&lacking),
        "changed type B\nnew verb Other\nnew subtype A:B\n"
    );
    let stays: Vec<_> = beyond(&later, &known)
        .into_iter()
        .map(|(kind, ..)| kind)
        .collect();
    assert_eq!(stays, [Kind::Subtype, Kind::Verb]);
}
