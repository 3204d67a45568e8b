//! Values: settings are the keys that the program has, and what there is, the schema and the README tell of.

use std::collections::{BTreeMap, BTreeSet};

use fedsx_e2e::workspace;
use serde_json::Value;

use crate::helm::{chart, render, try_render};

#[test]
fn to_go_without_tls_has_to_be_said() {
    let entry =
        |tls: &str| format!("federation.resolve:=[{{\"host\":\"a.example\",\"service\":\"a\"{tls}}}]");
    for (tls, lacking) in [("", "tls"), (",\"tls\":{}", "enabled")] {
        let error = try_render("blog", &[&entry(tls)]).err().unwrap();
        assert!(
            error.contains(&format!("missing property '{lacking}'")),
            "{error}"
        );
    }
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
