//! How roles run: watched by probes, called by their Services, replaced without a gap, ended gracefully.

use serde_json::{Value, json};

use crate::{
    helm::{EXAMPLES, list, render, text},
    pods::{ROLES, each_pod},
};

#[test]
fn roles_are_probed_where_they_answer() {
    each_pod(|release, pod| {
        if !pod.is_role() {
            return;
        }
        let container = pod.container();
        let get = |path: &str| json!({"path": path, "port": "admin"});
        assert_eq!(
            container["startupProbe"]["httpGet"],
            get("/startupz"),
            "{}",
            pod.component
        );
        assert_eq!(
            container["livenessProbe"]["httpGet"],
            get("/livez"),
            "{}",
            pod.component
        );
        // The kubelet's gRPC speaks no TLS, and the gateway no gRPC.
        let by_http = pod.component == "gateway" || release.text.contains("FEDSX_TLS_CERTIFICATE");
        let ready = &container["readinessProbe"];
        if by_http {
            assert_eq!(ready["httpGet"], get("/readyz"), "{}", pod.component);
        } else {
            assert_eq!(ready["grpc"], json!({"port": 9000}), "{}", pod.component);
        }
        let patience = container["startupProbe"]["failureThreshold"].as_u64().unwrap()
            * container["startupProbe"]["periodSeconds"].as_u64().unwrap();
        assert_eq!(
            patience,
            // The gateway waits for a projection that rebuilds.
            if ["projection", "gateway"].contains(&pod.component) {
                3600
            } else {
                300
            },
            "{}",
            pod.component
        );
        let deployments = release.of_kind("Deployment");
        let mut own = deployments.filter(|object| object["spec"]["template"]["metadata"] == *pod.metadata);
        let deadline = &own.next().unwrap()["spec"]["progressDeadlineSeconds"];
        assert_eq!(*deadline, patience + 120, "{}", pod.component);
    });
}

#[test]
fn servers_bind_where_their_ports_say() {
    for bind in ["0.0.0.0", "[::]"] {
        let release = render("blog", &[&format!("bindAddress={bind}")]);
        for pod in release.pods().iter().filter(|pod| pod.is_role()) {
            let mut expected = vec![("admin", 9100)];
            expected.push(if pod.component == "gateway" {
                ("http", 8000)
            } else {
                ("grpc", 9000)
            });
            for (name, port) in expected {
                let variable = if name == "http" {
                    "FEDSX_LISTEN".to_owned()
                } else {
                    format!("FEDSX_{}_LISTEN", name.to_uppercase())
                };
                assert_eq!(
                    pod.variable(&variable),
                    Some(&*format!("{bind}:{port}")),
                    "{}",
                    pod.component
                );
                let declared = list(&pod.container()["ports"])
                    .iter()
                    .find(|declared| declared["name"] == name);
                assert_eq!(declared.unwrap()["containerPort"], port, "{}", pod.component);
            }
        }
    }
}

#[test]
fn a_gateway_with_a_certificate_serves_tls() {
    let release = render("blog", &["gateway.tls.existingSecret=public"]);
    let gateway = release.pod("gateway");
    assert_eq!(gateway.variable("FEDSX_LISTEN"), Some("0.0.0.0:8443"));
    assert_eq!(
        gateway.variable("FEDSX_LISTEN_TLS_CERTIFICATE"),
        Some("/etc/fed-sx/listen/tls.crt")
    );
    assert_eq!(
        gateway.variable("FEDSX_LISTEN_TLS_KEY"),
        Some("/etc/fed-sx/listen/tls.key")
    );
    let port = &release.one("Service", "blog-gateway")["spec"]["ports"][0];
    assert_eq!(port["port"], 8443);
}

/// A pod is away from the Services before its process is told to end, which then has the 15 seconds that every role ends within.
#[test]
fn there_is_time_to_end() {
    for (sleep, own, expected) in [(5, "null", 30), (20, "null", 45), (5, "90", 90)] {
        let sleep_set = format!("shutdown.preStopSeconds={sleep}");
        let own: Vec<_> = ROLES
            .iter()
            .map(|role| format!("{role}.terminationGracePeriodSeconds:={own}"))
            .collect();
        let mut sets = vec![&*sleep_set];
        sets.extend(own.iter().map(String::as_str));
        let release = render("blog", &sets);
        for pod in release.pods().iter().filter(|pod| pod.is_role()) {
            assert_eq!(pod.container()["lifecycle"]["preStop"]["sleep"]["seconds"], sleep);
            assert_eq!(
                pod.spec["terminationGracePeriodSeconds"], expected,
                "{}",
                pod.component
            );
        }
    }
}

#[test]
fn a_new_pod_is_ready_before_an_old_one_goes() {
    for example in EXAMPLES {
        let release = render(example, &[]);
        for role in ROLES {
            let name = format!("{}-{role}", if example == "events" { "events" } else { "blog" });
            let expected =
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
            assert_eq!(release.one("Deployment", &name)["spec"]["strategy"], expected);
        }
    }
}

/// With one replica, and also where it is not ready, an eviction is allowed.
#[test]
fn no_drain_is_blocked() {
    let release = render("blog", &["log.replicas=1"]);
    for role in ROLES {
        let budget = &release.one("PodDisruptionBudget", &format!("blog-{role}"))["spec"];
        assert_eq!(budget["maxUnavailable"], 1, "{role}");
        assert_eq!(budget["minAvailable"], Value::Null, "{role}");
        assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow", "{role}");
        let selected = &budget["selector"];
        assert_eq!(
            *selected,
            release.one("Deployment", &format!("blog-{role}"))["spec"]["selector"],
            "{role}"
        );
    }
    assert_eq!(release.of_kind("PodDisruptionBudget").count(), ROLES.len());
}

#[test]
fn replicas_are_spread_where_that_can_be() {
    let release = render("production", &[]);
    for pod in release.pods().iter().filter(|pod| pod.is_role()) {
        let spread = list(&pod.spec["topologySpreadConstraints"]);
        let keys: Vec<_> = spread
            .iter()
            .map(|constraint| text(&constraint["topologyKey"]))
            .collect();
        assert_eq!(
            keys,
            ["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
            "{}",
            pod.component
        );
        for constraint in spread {
            assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
            for (key, value) in constraint["labelSelector"]["matchLabels"].as_object().unwrap() {
                assert_eq!(pod.metadata["labels"][key], *value);
            }
        }
    }
}

/// A headless Service stands for each role that is called, and is what callers are told.
#[test]
fn services_lead_to_the_pods_of_their_role() {
    let release = render("blog", &[]);
    for role in ["log", "projection", "delivery"] {
        let service = &release.one("Service", &format!("blog-{role}"))["spec"];
        assert_eq!(service["clusterIP"], "None", "{role}");
        assert_eq!(service["publishNotReadyAddresses"], false, "{role}");
        assert_eq!(service["ports"][0]["port"], 9000, "{role}");
        assert_eq!(
            service["selector"],
            release.one("Deployment", &format!("blog-{role}"))["spec"]["selector"]["matchLabels"]
        );
        let url = format!("http://blog-{role}:9000");
        assert_eq!(
            release
                .pod("toolbox")
                .variable(&format!("FEDSX_{}_URLS", role.to_uppercase())),
            Some(&*url)
        );
    }
    let secure = render("production", &[]);
    assert_eq!(
        secure.pod("gateway").variable("FEDSX_LOG_URLS"),
        Some("https://blog-log:9000")
    );
    assert_eq!(
        secure.pod("gateway").variable("FEDSX_TLS_CA"),
        Some("/etc/fed-sx/tls/ca.crt")
    );
}
