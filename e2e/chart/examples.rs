//! The examples: helm's own lint, and what they render to, to be read when it changes.

use fedsx_e2e::workspace;

use crate::helm::{EXAMPLES, chart, helm, render};

#[test]
fn helm_finds_nothing_wrong() {
    for example in EXAMPLES {
        let values = chart().join(format!("examples/{example}.yaml"));
        let output = helm([
            "lint".into(),
            "--strict".into(),
            chart(),
            "--values".into(),
            values,
        ]);
        assert!(
            output.status.success(),
            "{example}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_examples_render_as_they_did() {
    for example in EXAMPLES {
        snapshot(example, &without_secrets(&render(example, &[]).text));
    }
}

/// What is said after an install.
pub(crate) fn notes(example: &str, sets: &[&str]) -> String {
    let values = chart().join(format!("examples/{example}.yaml"));
    let (chart, values) = (chart().display().to_string(), values.display().to_string());
    let install = ["install", "blog", &chart, "--dry-run=client", "--values", &values];
    let sets = sets.iter().flat_map(|set| ["--set", *set]);
    let output = helm(install.into_iter().chain(sets));
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, notes) = text.split_once("\nNOTES:\n").unwrap_or_else(|| panic!("{text}"));
    notes.to_owned()
}

#[test]
fn the_notes_say_what_to_do_next() {
    for example in ["blog", "production"] {
        snapshot(&format!("notes-{example}"), &notes(example, &[]));
    }
}

/// Behind an Ingress, everybody comes from its address.
#[test]
fn the_notes_warn_of_a_limit_that_all_share() {
    let warning = "gateway.settings.client_address_header=x-forwarded-for";
    for (sets, warns) in [
        (&["gateway.ingress.enabled=true"][..], true),
        (&["gateway.ingress.enabled=false"], false),
        (
            &[
                "gateway.ingress.enabled=true",
                "settings.client_address_header=forwarded",
            ],
            false,
        ),
    ] {
        assert_eq!(notes("blog", sets).contains(warning), warns, "{sets:?}");
    }
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("snapshots");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// What is drawn at random is another each time.
fn without_secrets(text: &str) -> String {
    let drawn = |line: &str| {
        ["  master-key: ", "  token-"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some((key, _)) if drawn(line) => format!("{key}: [drawn]\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn two_renders_differ_in_what_is_drawn_alone() {
    let [one, other] = [render("blog", &[]), render("blog", &[])];
    assert_ne!(one.text, other.text);
    assert_eq!(without_secrets(&one.text), without_secrets(&other.text));
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let version = concat!("\nappVersion: ", env!("CARGO_PKG_VERSION"), "\n");
    assert!(chart.contains(version), "{chart}");
    let containerfile = std::fs::read_to_string(workspace().join("deploy/Containerfile")).unwrap();
    let version = concat!("\nARG VERSION=", env!("CARGO_PKG_VERSION"), "\n");
    assert!(containerfile.contains(version), "{containerfile}");
}
