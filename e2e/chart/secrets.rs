//! Who is told which secret: what a role has no use for, it does not have.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{Pod, chart, helm, list, render, text};

/// What roles are given, as Secret and key, where everything is configured.
const GIVEN: [(&str, &[&str]); 6] = [
    (
        "gateway",
        &[
            "own token-gateway",
            "listen tls.crt+tls.key",
            "internal ca.crt",
            "peer ca.crt",
        ],
    ),
    (
        "log",
        &[
            "postgres uri",
            "own master-key",
            "own token-gateway",
            "own token-projection",
            "own token-delivery",
            "own token-site",
            "own token-operator",
            "files AWS_ACCESS_KEY_ID",
            "files AWS_SECRET_ACCESS_KEY",
            "internal tls.crt+tls.key+ca.crt",
        ],
    ),
    // The operator's token is shown by it too, where it follows.
    (
        "projection",
        &[
            "postgres uri",
            "own token-projection",
            "own token-gateway",
            "own token-site",
            "own token-operator",
            "smtp url",
            "internal tls.crt+tls.key+ca.crt",
        ],
    ),
    (
        "delivery",
        &[
            "postgres uri",
            "rabbitmq uri",
            "own master-key",
            "own token-delivery",
            "own token-site",
            "own token-operator",
            "internal tls.crt+tls.key+ca.crt",
            "peer ca.crt",
        ],
    ),
    (
        "toolbox",
        &["own token-operator", "internal ca.crt", "peer ca.crt"],
    ),
    (
        "self-test",
        &["own token-operator", "internal ca.crt", "listen ca.crt"],
    ),
];

/// What the Secrets of the example are for.
fn named(secret: &str) -> &str {
    match secret {
        "blog-database" => "postgres",
        "blog-rabbitmq" => "rabbitmq",
        "blog-fed-sx" => "own",
        "blog-files" => "files",
        "blog-smtp" => "smtp",
        "blog-internal-tls" => "internal",
        "blog-public-tls" => "listen",
        "cluster-ca" => "peer",
        other => panic!("the Secret {other} is nobody's"),
    }
}

fn given(pod: &Pod<'_>) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    for (_, variable) in pod.environment() {
        let source = &variable["valueFrom"]["secretKeyRef"];
        if source.is_object() {
            given.insert(format!(
                "{} {}",
                named(text(&source["name"])),
                text(&source["key"])
            ));
        }
    }
    for volume in list(&pod.spec["volumes"]) {
        let secret = &volume["secret"];
        if !secret.is_object() {
            continue;
        }
        let purpose = named(text(&secret["secretName"]));
        let keys: Vec<_> = list(&secret["items"])
            .iter()
            .map(|item| text(&item["key"]))
            .collect();
        let keys = match (purpose, keys.is_empty()) {
            (_, false) => keys.join("+"),
            ("internal", true) => "tls.crt+tls.key+ca.crt".to_owned(),
            (_, true) => "tls.crt+tls.key".to_owned(),
        };
        given.insert(format!("{purpose} {keys}"));
    }
    assert_eq!(pod.container()["envFrom"], Value::Null);
    given
}

#[test]
fn a_role_is_given_what_it_needs_and_no_more() {
    let follows = "federation.follows:=[\"https://events.example.com/actors/main\"]";
    let release = render(
        "production",
        &["gateway.tls.existingSecret=blog-public-tls", follows],
    );
    assert_eq!(release.pods().len(), GIVEN.len());
    for (component, expected) in GIVEN {
        let expected: BTreeSet<_> = expected.iter().map(|secret| (*secret).to_owned()).collect();
        assert_eq!(given(&release.pod(component)), expected, "{component}");
    }
}

#[test]
fn secrets_are_in_no_variable_in_the_clear() {
    let release = render("blog", &[]);
    for pod in release.pods() {
        for (name, variable) in pod.environment() {
            let secret = ["TOKEN", "KEY", "DATABASE", "BROKER", "SMTP"]
                .iter()
                .any(|word| name.contains(word));
            assert_eq!(
                secret,
                variable["valueFrom"]["secretKeyRef"].is_object(),
                "{name} of {}",
                pod.component
            );
        }
    }
}

#[test]
fn the_secret_is_made_once_and_outlives_the_release() {
    let release = render("blog", &[]);
    let secret = release.one("Secret", "blog-secrets");
    assert_eq!(
        secret["metadata"]["annotations"]["helm.sh/resource-policy"],
        "keep"
    );
    // What is rendered without a cluster cannot replace it.
    assert_eq!(secret["immutable"], true);
    let keys: Vec<_> = secret["data"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "master-key",
        "token-delivery",
        "token-gateway",
        "token-operator",
        "token-projection",
        "token-site",
    ];
    assert_eq!(keys, expected);
    let values: BTreeSet<_> = secret["data"].as_object().unwrap().values().map(text).collect();
    assert_eq!(values.len(), expected.len(), "two are the same");
    assert_eq!(
        render("blog", &["secrets.existingSecret=mine"])
            .of_kind("Secret")
            .count(),
        0
    );
}

/// A master key that cannot be seen is not made up for: what the domain has signed would be nobody's.
#[test]
fn an_upgrade_that_does_not_find_the_secret_is_refused() {
    let upgrade = |sets: &str| {
        let chart = chart().display().to_string();
        let values = format!("{chart}/examples/blog.yaml");
        let template = ["template", "blog", &chart, "--values", &values];
        helm([&template[..], &["--is-upgrade", "--set", sets]].concat())
    };
    let refused = upgrade("secrets.existingSecret=");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "it was taken");
    for word in [
        "blog-secrets is not there",
        "secrets.existingSecret",
        "--dry-run=server",
    ] {
        assert!(said.contains(word), "{said}");
    }
    assert!(upgrade("secrets.existingSecret=mine").status.success());
}
