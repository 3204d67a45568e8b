//! Every object against the schema of its kind, in the API or in a custom resource's definition; what these do not know is refused.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, PersistentVolume, Pod, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::helm::{EXAMPLES, render, text};

/// Values by which every template and every branch of it renders something.
const EVERYTHING: [&str; 12] = [
    "smtp.existingSecret=mail",
    "federation.follows:=[\"https://events.example.com/actors/main\"]",
    "blobs.url=file:///var/lib/fed-sx/blobs",
    "blobs.existingClaim=blobs",
    "gateway.tls.existingSecret=tls",
    "gateway.service.type=LoadBalancer",
    "gateway.service.loadBalancerSourceRanges:=[\"192.0.2.0/24\"]",
    "gateway.autoscaling.behavior:={\"scaleDown\":{\"stabilizationWindowSeconds\":60}}",
    "projection.autoscaling.enabled=true",
    "log.extraVolumes:=[{\"name\":\"ca\",\"configMap\":{\"name\":\"ca\"}}]",
    "log.extraVolumeMounts:=[{\"name\":\"ca\",\"mountPath\":\"/ca\",\"readOnly\":true}]",
    "log.extraEnv:=[{\"name\":\"SSL_CERT_FILE\",\"value\":\"/ca/ca.crt\"}]",
];

#[test]
fn every_object_is_what_its_schema_says() {
    let mut releases: Vec<_> = EXAMPLES.iter().map(|example| render(example, &[])).collect();
    releases.push(render("production", &EVERYTHING));
    for object in releases.iter().flat_map(|release| &release.objects) {
        if let Err(problem) = check(object) {
            panic!("{problem} in\n{object:#}");
        }
    }
}

pub(crate) fn check(object: &Value) -> Result<(), String> {
    match (text(&object["apiVersion"]), text(&object["kind"])) {
        ("apps/v1", "Deployment") => same::<Deployment>(object),
        ("apps/v1", "StatefulSet") => same::<StatefulSet>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => same::<HorizontalPodAutoscaler>(object),
        ("v1", "ConfigMap") => same::<ConfigMap>(object),
        ("v1", "PersistentVolume") => same::<PersistentVolume>(object),
        ("v1", "Pod") => same::<Pod>(object),
        ("v1", "Secret") => same::<Secret>(object),
        ("v1", "Service") => same::<Service>(object),
        ("v1", "ServiceAccount") => same::<ServiceAccount>(object),
        ("networking.k8s.io/v1", "Ingress") => same::<Ingress>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => same::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => same::<PodDisruptionBudget>(object),
        ("monitoring.coreos.com/v1", "ServiceMonitor") => {
            custom(object, include_str!("schemas/servicemonitor.json"))
        }
        ("monitoring.coreos.com/v1", "PrometheusRule") => {
            custom(object, include_str!("schemas/prometheusrule.json"))
        }
        ("keda.sh/v1alpha1", "ScaledObject") => custom(object, include_str!("schemas/scaledobject.json")),
        (version, kind) => Err(format!("nobody knows a {kind} of {version}")),
    }
}

/// Whether reading an object as its kind and writing it again changes nothing. The types leave out what they do not know, and
/// make up what has to be there, so that either shows.
fn same<K: DeserializeOwned + Serialize>(object: &Value) -> Result<(), String> {
    let kind: K = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    let again = serde_json::to_value(&kind).map_err(|error| error.to_string())?;
    difference("", object, &again).map_or(Ok(()), Err)
}

/// The first place where two objects differ.
fn difference(path: &str, ours: &Value, again: &Value) -> Option<String> {
    match (ours, again) {
        (Value::Object(ours), Value::Object(again)) => {
            let added = again.keys().find(|key| !ours.contains_key(*key));
            let added = added.map(|key| format!("{path}.{key} is required"));
            added.or_else(|| {
                ours.iter().find_map(|(key, value)| match again.get(key) {
                    Some(again) => difference(&format!("{path}.{key}"), value, again),
                    None => Some(format!("{path}.{key} is not known")),
                })
            })
        }
        (Value::Array(ours), Value::Array(again)) if ours.len() == again.len() => {
            let pairs = ours.iter().zip(again).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (ours, again))| difference(&format!("{path}[{index}]"), ours, again))
        }
        _ => (ours != again).then(|| format!("{path} is {ours}, and is read as {again}")),
    }
}

fn custom(object: &Value, schema: &str) -> Result<(), String> {
    let mut schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    close(&mut schema);
    // The API checks this part itself.
    schema["properties"]["metadata"] = json!({"type": "object"});
    let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
    let problems: Vec<_> = validator
        .iter_errors(object)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

/// Lets objects have nothing but what the schema names, as the API server prunes the rest.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_open = members.contains_key("additionalProperties")
                || members.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) && !is_open {
                members.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn what_a_schema_does_not_know_or_lacks_is_told() {
    let release = render("production", &[]);
    let broken = |kind: &str, name: &str, pointer: &str, value: Option<Value>| {
        let mut object = release.one(kind, name).clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(key.to_owned(), value),
            None => parent.remove(key),
        };
        check(&object).unwrap_err()
    };
    let one = Some(json!(1));
    assert_eq!(
        broken(
            "Deployment",
            "blog-log",
            "/spec/template/spec/hostNetwrok",
            one.clone()
        ),
        ".spec.template.spec.hostNetwrok is not known"
    );
    assert_eq!(
        broken("Deployment", "blog-log", "/spec/selector", None),
        ".spec.selector is required"
    );
    assert!(broken("Service", "blog-log", "/spec/clusterIP", one.clone()).contains("invalid type"));
    for (kind, name, pointer) in [
        ("ServiceMonitor", "blog", "/spec/selctor"),
        ("PrometheusRule", "blog", "/spec/groups/0/rule"),
        ("ScaledObject", "blog-delivery", "/spec/trigger"),
    ] {
        let problem = broken(kind, name, pointer, one.clone());
        assert!(problem.contains("Additional properties"), "{problem}");
    }
    assert!(broken("ScaledObject", "blog-delivery", "/spec/triggers", None).contains("required"));
}
