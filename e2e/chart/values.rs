//! Values: what is wrong is refused by name, and settings are the keys that the program has.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_e2e::workspace;
use serde_json::Value;

use crate::helm::{chart, render, try_render};

/// What the chart says of values that it cannot render.
fn refused(sets: &[&str]) -> String {
    match try_render("blog", sets) {
        Ok(_) => panic!("{sets:?} are taken"),
        Err(error) => error,
    }
}

#[test]
fn a_misspelt_value_is_refused_by_name() {
    for (set, place, key) in [
        ("orgin=https://blog.example.org", "''", "orgin"),
        ("gateway.replica=3", "/gateway", "replica"),
        ("gateway.ingress.classname=nginx", "/gateway/ingress", "classname"),
        (
            "log.podDisruptionBudget.minAvailable=1",
            "/log/podDisruptionBudget",
            "minAvailable",
        ),
        ("delivery.keda.enable=true", "/delivery/keda", "enable"),
        ("log.keda.enabled=true", "/log", "keda"),
        ("postgres.url=postgres://localhost/blog", "/postgres", "url"),
        ("settings.lgo=debug", "/settings", "lgo"),
        (
            "projection.settings.database=x",
            "/projection/settings",
            "database",
        ),
        (
            "networkPolicy.postgres.port=5433",
            "/networkPolicy/postgres",
            "port",
        ),
        (
            "metrics.serviceMonitor.lables.a=b",
            "/metrics/serviceMonitor",
            "lables",
        ),
        (
            "bundle.files.type/article\\.yaml=x",
            "/bundle/files",
            "type/article.yaml",
        ),
    ] {
        let error = refused(&[set]);
        assert!(
            error.contains(place) && error.contains(&format!("'{key}'")),
            "{set}: {error}"
        );
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    for (set, place) in [
        ("origin=blog.example.org", "/origin"),
        ("origin=https://blog.example.org/", "/origin"),
        ("gateway.replicas=two", "/gateway/replicas"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.digest=latest", "/image/digest"),
        ("settings.log_json=yes please", "/settings/log_json"),
        ("runAsUser=0", "/runAsUser"),
        ("blobs.url=/var/blobs", "/blobs/url"),
        ("tests.calendar=main", "/tests/calendar"),
    ] {
        let error = refused(&[set]);
        assert!(error.contains(&format!("'{place}'")), "{set}: {error}");
    }
}

#[test]
fn to_go_without_tls_has_to_be_said() {
    let entry =
        |tls: &str| format!("federation.resolve:=[{{\"host\":\"a.example\",\"service\":\"a\"{tls}}}]");
    assert!(refused(&[&entry("")]).contains("missing property 'tls'"));
    assert!(refused(&[&entry(",\"tls\":{}")]).contains("missing property 'enabled'"));
    for (tls, expected) in [
        ("{\"enabled\":false}", "a.example=http://a:8000"),
        ("{\"enabled\":true}", "a.example=https://a:8443"),
        (
            "{\"enabled\":true,\"caSecret\":{\"name\":\"ca\"}}",
            "a.example=https://a:8443?ca=/etc/fed-sx/peers/0/ca.crt",
        ),
    ] {
        let release = render("blog", &[&entry(&format!(",\"tls\":{tls}"))]);
        for role in ["gateway", "delivery"] {
            assert_eq!(
                release.pod(role).variable("FEDSX_RESOLVE"),
                Some(expected),
                "{role}"
            );
        }
    }
}

#[test]
fn what_is_missing_is_named_and_the_embedded_servers_are_refused() {
    for (set, words) in [
        ("origin=", vec!["origin is required"]),
        (
            "postgres.existingSecret=",
            vec!["postgres.existingSecret is required", "SQLite", "refused"],
        ),
        (
            "rabbitmq.existingSecret=",
            vec!["rabbitmq.existingSecret is required", "embedded queue", "refused"],
        ),
        (
            "bundle.files.types/a\\.yaml=x",
            vec!["bundle.files has no bundle.yaml"],
        ),
        ("blobs.url=file:///blobs", vec!["blobs.existingClaim is required"]),
        ("blobs.existingClaim=blobs", vec!["blobs.url must be a folder"]),
    ] {
        let error = refused(&[set]);
        assert!(words.iter().all(|word| error.contains(word)), "{set}: {error}");
    }
    let both = refused(&["delivery.keda.enabled=true", "delivery.autoscaling.enabled=true"]);
    assert!(both.contains("delivery.keda and delivery.autoscaling"), "{both}");
}

#[test]
fn a_role_s_settings_win_and_arrive_as_they_are_written() {
    let release = render(
        "blog",
        &[
            "settings.log=info",
            "settings.type_fetch=true",
            "settings.blob_max_bytes:=5368709120",
            "settings.flow_effects:=[\"emit\",\"mail\"]",
            "gateway.settings.log=warn\\,fedsx_gateway=debug",
            "gateway.settings.type_fetch=false",
        ],
    );
    let of = |role, name| release.pod(role).variable(name).map(str::to_owned);
    for (role, name, expected) in [
        ("gateway", "FEDSX_LOG", "warn,fedsx_gateway=debug"),
        ("log", "FEDSX_LOG", "info"),
        ("gateway", "FEDSX_TYPE_FETCH", "false"),
        ("log", "FEDSX_TYPE_FETCH", "true"),
        ("log", "FEDSX_BLOB_MAX_BYTES", "5368709120"),
        ("projection", "FEDSX_FLOW_EFFECTS", "emit,mail"),
    ] {
        assert_eq!(of(role, name).as_deref(), Some(expected), "{role} {name}");
    }
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap()
}

/// The keys that the chart sets itself, where everything is configured.
fn set_by_the_chart() -> BTreeSet<String> {
    let everything = [
        "gateway.tls.existingSecret=tls",
        "federation.follows:=[\"https://events.example.com/actors/main\"]",
        "settings:=null",
        "gateway.settings:=null",
    ];
    let release = render("production", &everything);
    let pods = release.pods();
    let names = pods
        .iter()
        .flat_map(|pod| pod.environment())
        .map(|(name, _)| name);
    names
        .filter_map(|name| name.strip_prefix("FEDSX_"))
        .map(str::to_lowercase)
        .collect()
}

#[test]
fn settings_are_the_program_s_keys() {
    let defaults =
        std::fs::read_to_string(workspace().join("services/fedsx/src/config.default.toml")).unwrap();
    let defaults: BTreeMap<String, toml::Value> = toml::from_str(&defaults).unwrap();
    let schema = schema();
    let settings = schema["definitions"]["settings"]["properties"]
        .as_object()
        .unwrap();
    let by_the_chart = set_by_the_chart();
    let both: Vec<_> = settings
        .keys()
        .filter(|key| by_the_chart.contains(*key))
        .collect();
    assert!(
        both.is_empty(),
        "the chart sets these, and takes them as settings: {both:?}"
    );
    for key in settings.keys().chain(&by_the_chart) {
        assert!(
            defaults.contains_key(key),
            "{key} is no key of config.default.toml"
        );
    }
    for (key, default) in &defaults {
        // The folder of `fedsx all`.
        if by_the_chart.contains(key) || key == "data" {
            continue;
        }
        let kind = match default {
            toml::Value::Array(_) => "array",
            toml::Value::Boolean(_) => "boolean",
            toml::Value::Integer(_) => "integer",
            _ => "string",
        };
        let setting = settings
            .get(key)
            .unwrap_or_else(|| panic!("`settings` of values.schema.json lacks {key}"));
        assert_eq!(setting["type"], kind, "{key}");
    }
}

/// Every value of values.yaml is in the schema, and every one of the schema in values.yaml, where a reader finds it.
#[test]
fn values_and_schema_name_the_same() {
    let values: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(chart().join("values.yaml")).unwrap()).unwrap();
    let schema = schema();
    let mut missing = Vec::new();
    compare("", &values, &schema, &schema, &mut missing);
    missing.retain(|path| path != ".global" && !path.contains("settings."));
    assert!(missing.is_empty(), "{missing:?}");
}

fn compare(path: &str, values: &Value, schema: &Value, root: &Value, missing: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let (Some(values), Some(properties)) = (values.as_object(), schema["properties"].as_object()) else {
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
    for (key, property) in properties {
        let path = format!("{path}.{key}");
        match values.get(key) {
            Some(value) => compare(&path, value, property, root, missing),
            // What is open by nature: Kubernetes' own objects.
            None if path.contains(".resources.") => {}
            None => missing.push(path),
        }
    }
}

#[test]
fn the_readme_tells_of_every_value() {
    let readme = std::fs::read_to_string(chart().join("README.md")).unwrap();
    let schema = schema();
    let mut untold = Vec::new();
    for (key, property) in schema["properties"].as_object().unwrap() {
        let inner = property["properties"].as_object();
        let inner = inner
            .into_iter()
            .flatten()
            .map(|(inner, _)| format!("{key}.{inner}"));
        let told = |name: &str| {
            readme.contains(&format!("`{name}"))
                || readme.contains(&format!("`{}", name.replacen(key, "<role>", 1)))
        };
        let names = if property["properties"].is_object() {
            inner.collect()
        } else {
            vec![key.clone()]
        };
        untold.extend(names.into_iter().filter(|name| name != "global" && !told(name)));
    }
    assert!(untold.is_empty(), "{untold:?}");
}
