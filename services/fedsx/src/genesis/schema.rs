//! The published schemas of `genesis/schema/`, by which editors complete a bundle's files, against what is read here.

use std::path::{Path, PathBuf};

use fedsx_kernel::definition::{EffectKind, FieldType, Format, Kind};
use jsonschema::{Resource, Validator};
use serde_json::{Value, json};

use super::{
    Manifest, Object,
    problem::Problems,
    record::Written,
    source::{Document, MANIFEST, OBJECTS, WRITTEN, folder_of},
};

const BASE: &str = "https://fed-sx.org/genesis/schema/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../genesis")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A published schema: `bundle`, `object`, or a kind's.
fn schema(name: &str) -> Validator {
    let file = |name: &str| read(&root().join(format!("schema/{name}.json")));
    let mut schema = file(name);
    schema["$id"] = format!("{BASE}{name}.json").into();
    let resource = Resource::from_contents(file("record"));
    let registry = jsonschema::Registry::new().add(format!("{BASE}record.json"), resource);
    let registry = registry.unwrap().prepare().unwrap();
    jsonschema::options()
        .with_registry(&registry)
        .build(&schema)
        .unwrap()
}

/// Whether what is written as a file is read without a problem.
fn is_read(name: &str, value: &Value) -> bool {
    let mut problems = Problems::default();
    // JSON is YAML.
    let document = Document::parse("file.yaml", &value.to_string()).unwrap();
    match name {
        "bundle" => drop(Manifest::read(&document, &mut problems)),
        "object" => {
            let text = "name: a\ntitle: A\nsummary: A.\nactors: [{name: ann, type: Person}]\n";
            let manifest = Document::parse("bundle.yaml", text).unwrap();
            let manifest = Manifest::read(&manifest, &mut problems);
            Object::read("file", &document, Some(&manifest), &[], &mut problems);
        }
        kind => {
            let kind = Kind::parse(kind).unwrap();
            let written = Written::read(kind, document, &mut problems);
            written.complete(&written.record, &mut problems);
        }
    }
    problems.or(()).is_ok()
}

#[test]
fn what_is_shipped_fits_the_published_schemas_and_names_them() {
    let mut files = 0;
    for folder in super::in_folder(&root()).unwrap() {
        let depth = folder.strip_prefix(root()).unwrap().components().count();
        let kinds = WRITTEN.map(|kind| (kind.as_str(), folder_of(kind)));
        let of_kinds = kinds
            .into_iter()
            .chain([("object", OBJECTS)])
            .flat_map(|(name, part)| {
                let entries = std::fs::read_dir(folder.join(part));
                entries
                    .into_iter()
                    .flatten()
                    .map(move |entry| (name, entry.unwrap().path(), depth + 1))
            });
        let manifest = ("bundle", folder.join(MANIFEST), depth);
        for (name, path, depth) in of_kinds.chain([manifest]).filter(|(_, path, _)| path.exists()) {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            let header = format!(
                "# yaml-language-server: $schema={}schema/{name}.json\n",
                "../".repeat(depth)
            );
            assert!(text.starts_with(&header), "{shown}: {header}");
            let value = Value::Object(Document::parse(&shown, &text).unwrap().members);
            let errors: Vec<_> = schema(name)
                .iter_errors(&value)
                .map(|error| error.to_string())
                .collect();
            assert!(errors.is_empty(), "{shown}: {errors:?}");
            files += 1;
        }
    }
    assert!(files > 15);
}

/// A projection that is data, with these members instead of its own.
fn projection(instead: Value) -> Value {
    let mut record = json!({"name": "a", "on": {"verbs": ["A"]}, "key": "activity.id", "fold": "state"});
    for (key, value) in instead.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

/// A behaviour with these members instead of its own.
fn behaviour(instead: Value) -> Value {
    let mut record = json!({"name": "a", "on": {"verbs": ["A"]}, "steps": []});
    for (key, value) in instead.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

#[test]
fn a_schema_and_what_is_read_agree() {
    let field = |field: Value| ("type", json!({"name": "A", "fields": [field]}));
    let context = |context: Value| ("type", json!({"name": "A", "context": context}));
    let actor = |actor: Value| {
        (
            "bundle",
            json!({"name": "a", "title": "A", "summary": "A.", "actors": [actor]}),
        )
    };
    let object = |object: Value| ("object", json!({"actor": "ann", "object": object}));
    let rule = |rule: Value| ("projection", projection(json!({"rules": [rule]})));
    let step = |step: Value| ("behaviour", behaviour(json!({"steps": [step]})));
    let effect = |kind: &str, with: Value| step(json!({"id": "a", "effect": kind, "with": with}));
    let sound = [
        (
            "bundle",
            json!({"name": "a", "title": "A", "summary": "A.", "includes": ["core"], "actors": []}),
        ),
        actor(
            json!({"name": "a.b", "type": "Group", "displayName": "A", "summary": "A.", "grants": ["define"]}),
        ),
        (
            "type",
            json!({"name": "A", "instanceType": "Note", "subtypeOf": ["B"], "fields": []}),
        ),
        (
            "verb",
            json!({"name": "A", "fields": [], "refinementSchema": "has(activity.object)"}),
        ),
        object(json!({"type": "Note", "source": {"mediaType": "text/markdown", "content": "*a*"}})),
        (
            "object",
            json!({"actor": "ann", "to": "nobody", "object": {"type": "Note"}}),
        ),
        ("projection", json!({"name": "followers", "fold": {"native": 1}})),
        (
            "behaviour",
            behaviour(json!({"when": "entry.public", "profile": "fedsx-cel-1", "steps": []})),
        ),
        (
            "behaviour",
            behaviour(json!({"on": {"verbs": ["A"], "types": ["B"]}, "steps": [
                {"id": "a", "after": [], "branch": [{"case": "b", "when": "entry.public"}, {"case": "c"}]},
                {"id": "d", "after": ["a.b", "a"], "suspend": {"person": "Go?", "timer": "PT30M", "activity": {
                    "verbs": ["A"], "when": "entry.public", "key": "activity.object", "equals": "activity.id"}}},
                {"id": "e", "each": "[1, 2]", "effect": "put", "with": {"key": "=item", "value": {"of": ["=current", null]}}},
            ]})),
        ),
        step(json!({"id": "a", "suspend": {"timer": "=activity.object.startTime"}})),
        effect(
            "emit",
            json!({"actor": "ann", "activity": {"type": "A", "to": ["=activity.actor"]}}),
        ),
        effect(
            "webhook",
            json!({"url": "https://a.example/", "body": {"a": 1}, "actor": "ann"}),
        ),
        effect(
            "mail",
            json!({"to": "=activity.object.mail", "subject": "a", "text": "b"}),
        ),
        effect("validate", json!({"type": "A", "object": "=activity.object"})),
        effect(
            "notify",
            json!({"to": "ann", "text": "a", "about": "=activity.id"}),
        ),
        effect("query", json!({"view": "a", "prefix": "b", "limit": 7})),
        step(json!({"id": "a", "effect": "notify", "with": {"text": "b"}, "continueOnError": true})),
        ("projection", projection(json!({}))),
        (
            "projection",
            projection(json!({"rules": [
                {"relation": "a", "is": "transitive"}, {"relation": "a", "inverseOf": "b"},
                {"relation": "a", "includes": "b"}, {"relation": "a", "composedOf": ["b", "c"]},
            ]})),
        ),
        (
            "projection",
            projection(
                json!({"when": "entry.public", "seed": {"a": [1]}, "profile": "fedsx-cel-1", "on": {"types": ["A"]}}),
            ),
        ),
        field(
            json!({"name": "a", "type": "string", "minLength": 1, "maxLength": 2, "format": "uri", "enum": ["b"]}),
        ),
        field(json!({"name": "a", "type": "integer", "minimum": 1, "maximum": 2, "required": true})),
        field(json!({"name": "a", "type": "array", "maxItems": 1, "maxLength": 2})),
        field(json!({"name": "a", "type": "string", "format": "slug", "unique": true})),
        field(json!({"name": "a", "type": "string", "maxLength": 256, "unique": true})),
        field(json!({"name": "a", "type": "string", "unique": false})),
        field(json!({"name": "a", "from": "object.b"})),
        context(
            json!({"b": "https://b.example/#", "a": {"@id": "b:a", "@type": "@id", "@container": "@set"}}),
        ),
        ("verb", json!({"name": "A", "context": {"A": "fedsx:A"}})),
    ];
    let broken = [
        ("behaviour", json!({"name": "a", "on": {"verbs": ["A"]}})),
        ("behaviour", behaviour(json!({"on": {"types": ["A"]}}))),
        ("behaviour", behaviour(json!({"on": {"verbs": []}}))),
        ("behaviour", behaviour(json!({"then": "a"}))),
        step(json!({"effect": "notify", "with": {"text": "a"}})),
        step(json!({"id": "1", "effect": "notify", "with": {"text": "a"}})),
        step(json!({"id": "a"})),
        step(json!({"id": "a", "after": "b", "branch": [{"case": "c"}]})),
        step(json!({"id": "a", "branch": []})),
        step(json!({"id": "a", "branch": [{"when": "true"}]})),
        step(json!({"id": "a", "branch": [{"case": "c"}], "with": {}})),
        step(json!({"id": "a", "branch": [{"case": "c"}], "suspend": {"person": "Go?"}})),
        step(json!({"id": "a", "suspend": {}})),
        step(json!({"id": "a", "suspend": {"person": "Go?"}, "continueOnError": true})),
        step(json!({"id": "a", "effect": "notify", "with": {"text": "b"}, "continueOnError": 1})),
        step(json!({"id": "a", "suspend": {"person": " "}})),
        step(json!({"id": "a", "suspend": {"timer": "tomorrow"}})),
        step(json!({"id": "a", "suspend": {"activity": {"verbs": ["A"], "key": "activity.id"}}})),
        step(json!({"id": "a", "each": "[1]"})),
        step(json!({"id": "a", "each": ["b"], "effect": "notify", "with": {"text": "a"}})),
        step(json!({"id": "a", "effect": "notify"})),
        effect("tell", json!({"text": "a"})),
        effect("notify", json!({"to": "ann"})),
        effect("notify", json!({"text": "a", "subject": "b"})),
        effect("mail", json!({"to": "a@b.example", "text": "a"})),
        effect("put", json!({"key": "a"})),
        ("bundle", json!({"name": "a", "title": "A"})),
        ("bundle", json!({"name": "a", "title": " ", "summary": "A."})),
        (
            "bundle",
            json!({"name": "a", "title": "A", "summary": "A.", "actor": []}),
        ),
        (
            "bundle",
            json!({"name": "a", "title": "A", "summary": "A.", "includes": [7]}),
        ),
        actor(json!({"name": "No Name", "type": "Person"})),
        actor(json!({"name": "a", "type": "Robot"})),
        actor(json!({"name": "a", "type": "Person", "grants": ["rule"]})),
        actor(json!({"name": "a", "type": "Person", "manual": true})),
        object(json!({"name": "A"})),
        object(json!({"type": ["Note"]})),
        object(json!({"type": "Note", "id": "https://site.example/objects/a"})),
        object(json!({"type": "Note", "attributedTo": "https://site.example/actors/ann"})),
        (
            "object",
            json!({"actor": "ann", "to": "everybody", "object": {"type": "Note"}}),
        ),
        ("object", json!({"object": {"type": "Note"}})),
        ("object", json!({"actor": "ann"})),
        (
            "object",
            json!({"actor": "ann", "object": {"type": "Note"}, "id": "a"}),
        ),
        ("type", json!({"fields": []})),
        ("type", json!({"name": "two words"})),
        ("type", json!({"name": "A", "subtypeOf": "B"})),
        ("type", json!({"name": "A", "field": []})),
        ("type", json!({"name": "A", "refinementSchema": "x".repeat(1025)})),
        ("verb", json!({"name": "A", "instanceType": "Note"})),
        ("verb", json!({"name": "A", "subtypeOf": ["B"]})),
        ("projection", json!({"name": "followers", "fold": {"native": 2}})),
        (
            "projection",
            json!({"name": "endorsements", "fold": {"native": 1}}),
        ),
        (
            "projection",
            json!({"name": "followers", "fold": {"native": 1}, "key": "'a'"}),
        ),
        ("projection", projection(json!({"name": "followers"}))),
        ("projection", projection(json!({"key": 7}))),
        ("projection", projection(json!({"on": {"verb": ["A"]}}))),
        ("projection", projection(json!({"on": {"verbs": []}}))),
        ("projection", projection(json!({"profile": "cel"}))),
        ("projection", projection(json!({"behaviour": {}}))),
        rule(json!({"relation": "a"})),
        rule(json!({"is": "symmetric"})),
        rule(json!({"relation": "a", "is": "reflexive"})),
        rule(json!({"relation": "a", "is": "symmetric", "includes": "b"})),
        rule(json!({"relation": "a b", "is": "symmetric"})),
        rule(json!({"relation": "a", "composedOf": ["b"]})),
        rule(json!({"relation": "a", "composedOf": ["b", 7]})),
        rule(json!({"relation": "a", "inverse": "b"})),
        field(json!({"type": "string"})),
        field(json!({"name": "a", "type": "text"})),
        field(json!({"name": "a", "maxLength": 2})),
        field(json!({"name": "a", "type": "integer", "format": "uri"})),
        field(json!({"name": "a", "type": "string", "format": "url"})),
        field(json!({"name": "a", "type": "string", "minimum": 1})),
        field(json!({"name": "a", "type": "string", "maxItems": 1})),
        field(json!({"name": "a", "type": "string", "minLength": -1})),
        field(json!({"name": "a", "type": "string", "maxLength": 257, "unique": true})),
        field(json!({"name": "a", "type": "string", "unique": true})),
        field(json!({"name": "a", "type": "integer", "unique": true})),
        field(json!({"name": "a", "type": "string", "maxLength": 9, "from": "object.b", "unique": true})),
        field(json!({"name": "a", "type": "string", "format": "slug", "from": "object.b"})),
        context(json!("https://a.example/")),
        context(json!({"@vocab": "https://a.example/"})),
        context(json!({"a": "b"})),
        context(json!({"a": {"@type": "@id"}})),
        context(json!({"a": {"@id": "fedsx:a", "@container": "@graph"}})),
        field(json!({"name": "a", "enum": []})),
        field(json!({"name": "a", "enum": [[]]})),
        field(json!({"name": "a", "pattern": "b"})),
        field(json!({"name": "a", "required": "yes"})),
    ];
    for (examples, expected) in [(&sound[..], true), (&broken[..], false)] {
        for (name, value) in examples {
            assert_eq!(schema(name).is_valid(value), expected, "the schema: {value}");
            assert_eq!(is_read(name, value), expected, "what is read: {value}");
        }
    }
}

#[test]
fn a_schema_offers_every_word_there_is() {
    let record = read(&root().join("schema/record.json"));
    let words = |key: &str| {
        let words = record["$defs"]["field"]["properties"][key]["enum"]
            .as_array()
            .unwrap();
        words
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words("format"),
        Format::ALL.map(|format| format.as_str().to_owned())
    );
    assert_eq!(words("type"), FieldType::ALL.map(|(word, _)| word.to_owned()));
    let of_behaviours = read(&root().join("schema/behaviour.json"));
    let effects: Vec<_> = EffectKind::all().map(EffectKind::as_str).collect();
    assert_eq!(
        of_behaviours["$defs"]["step"]["properties"]["effect"]["enum"],
        json!(effects)
    );
    // Every member that the record's reader knows, by its own words.
    let unknown = |record: Value, path: &str| {
        let mut problems = Problems::default();
        let document = Document::parse("file.yaml", &record.to_string()).unwrap();
        let written = Written::read(Kind::Type, document, &mut problems);
        written.complete(&written.record, &mut problems);
        let told = problems.or(()).unwrap_err().to_string();
        let (_, known) = told.split_once(&format!("`{path}` is none of ")).unwrap();
        let mut known: Vec<_> = known
            .lines()
            .next()
            .unwrap()
            .split(", ")
            .map(str::to_owned)
            .collect();
        known.sort_unstable();
        known
    };
    let offered = |schema: &Value| {
        let offered = schema["properties"].as_object().unwrap().keys();
        let mut offered: Vec<_> = offered.filter(|key| *key != "subtypeOf").cloned().collect();
        offered.sort_unstable();
        offered
    };
    let field = json!({"name": "A", "fields": [{"name": "a", "x": 1}]});
    assert_eq!(unknown(field, "fields[0].x"), offered(&record["$defs"]["field"]));
    let of_type = read(&root().join("schema/type.json"));
    assert_eq!(unknown(json!({"name": "A", "x": 1}), "x"), offered(&of_type));
}
