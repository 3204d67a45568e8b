//! Alerts: each is PromQL over metrics that the services have, and says what to do.

use std::collections::BTreeSet;

use fedsx_e2e::workspace;
use promql_parser::parser::parse;
use serde_json::Value;

use crate::helm::{list, render, text};

pub(crate) fn alerts() -> Vec<Value> {
    alerts_with(&[])
}

fn alerts_with(sets: &[&str]) -> Vec<Value> {
    let release = render("production", sets);
    let groups = list(&release.one("PrometheusRule", "blog")["spec"]["groups"]).to_vec();
    groups
        .iter()
        .flat_map(|group| list(&group["rules"]).to_vec())
        .collect()
}

/// The words of a text that begin as our metrics do.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let named = words.filter(|word| word.starts_with("fedsx_"));
    // A histogram's series.
    let named = named.map(|word| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| word.strip_suffix(end))
            .unwrap_or(word)
    });
    named.map(str::to_owned).collect()
}

/// Those that the services register: texts in their sources.
fn registered() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![workspace().join("services")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let source = std::fs::read_to_string(path).unwrap();
                found.extend(
                    source
                        .split('"')
                        .filter(|text| metrics(text).contains(*text))
                        .map(str::to_owned),
                );
            }
        }
    }
    found
}

#[test]
fn every_alert_is_promql_over_the_release_s_series() {
    let alerts = alerts();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let expression = text(&alert["expr"]);
        parse(expression).unwrap_or_else(|error| panic!("{}: {error}", alert["alert"]));
        let selectors = expression.matches('{').count();
        let selected = expression
            .matches("{job=\"blog-metrics\",namespace=\"default\"")
            .count();
        assert!(selectors > 0 && selectors == selected, "{expression}");
    }
}

#[test]
fn every_metric_of_an_alert_is_one_that_the_services_have() {
    let registered = registered();
    assert!(registered.contains("fedsx_log_append_seconds"), "{registered:?}");
    for alert in alerts() {
        let unknown: Vec<_> = metrics(text(&alert["expr"]))
            .difference(&registered)
            .cloned()
            .collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", alert["alert"]);
    }
}

/// The README's table of what is worth an alert has one for each metric, or a word in one's text.
#[test]
fn what_the_readme_calls_worth_an_alert_has_one() {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let (_, table) = readme.split_once("Worth an alert:").unwrap();
    let (table, _) = table.split_once("**Traces**").unwrap();
    let told = std::fs::read_to_string(workspace().join("charts/fed-sx/alerts.yaml")).unwrap();
    let missing: Vec<_> = metrics(table).difference(&metrics(&told)).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_alert_says_what_to_do() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = text(&alert["alert"]);
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning", "info"].contains(&severity), "{name}");
        assert_eq!(alert["labels"]["team"], "federation", "{name}");
        let [summary, description] = ["summary", "description"].map(|key| text(&alert["annotations"][key]));
        assert!(summary.ends_with('.') && description.len() > 80, "{name}");
        assert!(
            description.contains('`'),
            "{name} names nothing to type or to look at"
        );
        for placeholder in ["RELEASE", "FEDSX", "KUBECTL", "NAME", "SCALE"] {
            assert!(!alert.to_string().contains(placeholder), "{name} {placeholder}");
        }
    }
}

/// What there is no toolbox for is said of a `fedsx` elsewhere.
#[test]
fn no_alert_sends_anybody_to_a_toolbox_that_is_not_there() {
    let both = alerts().into_iter().zip(alerts_with(&["toolbox.enabled=false"]));
    let mut otherwise = 0;
    for (with, without) in both {
        let [with, without] = [&with, &without].map(|alert| text(&alert["annotations"]["description"]));
        assert!(!without.contains("-toolbox"), "{without}");
        if with.contains("exec deploy/blog-toolbox -- fedsx ") {
            assert!(
                without.contains("`fedsx ") && without.ends_with("there is no toolbox."),
                "{without}"
            );
            otherwise += 1;
        }
    }
    assert!(otherwise > 8, "{otherwise}");
}

/// Commands that an alert names are the program's: each has its file.
#[test]
fn the_commands_of_alerts_exist() {
    let told = std::fs::read_to_string(workspace().join("charts/fed-sx/alerts.yaml")).unwrap();
    let commands = workspace().join("services/fedsx/src/commands");
    let lines = told.lines().filter(|line| !line.starts_with('#'));
    let words: Vec<_> = lines.flat_map(str::split_whitespace).collect();
    let mut named = 0;
    for pair in words.windows(2) {
        let [program, command] = pair else { continue };
        if program.trim_start_matches('`') == "FEDSX" {
            let command = command.trim_end_matches('`').replace('-', "_");
            let exists = |path: &str| commands.join(path).exists();
            assert!(exists(&format!("{command}.rs")) || exists(&command), "{command}");
            named += 1;
        }
    }
    assert!(named > 8, "{named}");
}
