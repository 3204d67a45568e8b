//! A null takes a value away: Helm hands the chart no default for it.

use serde_json::Value;

use crate::{
    api::check,
    helm::{Rendered, chart, try_render},
};

/// With the defaults in it.
#[test]
fn a_section_that_is_null_is_missed_by_name() {
    for (place, key) in [
        ("", "networkPolicy"),
        ("", "toolbox"),
        ("/networkPolicy", "dns"),
        ("/gateway", "service"),
        ("/gateway", "autoscaling"),
        ("/delivery", "keda"),
        ("/log", "podDisruptionBudget"),
    ] {
        let path = format!("{place}/{key}").replace('/', ".");
        let error = without("blog", path.trim_start_matches('.')).err().unwrap();
        assert!(
            error.contains(&format!("at '{place}': missing property '{key}'")),
            "{path}: {error}"
        );
    }
}

/// None ends in the middle of a template, whose error names a line that nobody who installs the chart has written.
#[test]
fn every_value_may_be_null_or_is_missed_by_name() {
    let values = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut paths = Vec::new();
    list_paths("", &serde_saphyr::from_str(&values).unwrap(), &mut paths);
    assert!(paths.len() > 100, "{paths:?}");
    // It has whatever the chart can render.
    for path in paths {
        match without("production", &path) {
            Ok(release) => assert_taken(&path, &release),
            Err(error) => assert_named(&path, &error),
        }
    }
}

fn assert_taken(path: &str, release: &Rendered) {
    for object in &release.objects {
        check(object).unwrap_or_else(|problem| panic!("{path}: {problem} in\n{object:#}"));
    }
}

fn assert_named(path: &str, error: &str) {
    let (_, key) = path.rsplit_once('.').unwrap_or(("", path));
    let missed = error.contains(&format!("missing property '{key}'"));
    // What the chart itself says: a template that breaks is told as "executing", with the path as well.
    let refused = error.contains("execution error at") && error.contains(path);
    assert!(missed || refused, "{path}: {error}");
}

fn without(example: &str, path: &str) -> Result<Rendered, String> {
    try_render(example, &[&format!("{path}:=null")])
}

fn list_paths(parent: &str, values: &Value, paths: &mut Vec<String>) {
    for (key, value) in values.as_object().into_iter().flatten() {
        let path = format!("{parent}{key}");
        list_paths(&format!("{path}."), value, paths);
        paths.push(path);
    }
}
