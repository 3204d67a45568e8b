//! NetworkPolicies: nothing but the arrows of the README's table (The services), open at both of their ends.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{Pod, Rendered, list, render, text};

/// The arrows inside of a release. `client` stands for the pods of client commands: the toolbox and the self-test.
const INSIDE: [&str; 8] = [
    "gateway → log",
    "gateway → projection",
    "client → projection",
    "client → log",
    "client → delivery",
    "projection → log",
    "delivery → log",
    // The test asks as anybody may.
    "self-test → gateway",
];

/// Those out of it, where everything is configured.
const OUTSIDE: [&str; 17] = [
    "gateway → peers",
    "delivery → peers",
    "delivery → RabbitMQ",
    "projection → SMTP",
    "log → Postgres",
    "projection → Postgres",
    "delivery → Postgres",
    "log → blobs",
    "gateway → OTLP",
    "log → OTLP",
    "projection → OTLP",
    "delivery → OTLP",
    "client → Jaeger",
    // Peers of the same cluster, by `federation.resolve`.
    "gateway → peer in the cluster",
    "delivery → peer in the cluster",
    // By `fedsx types fetch`. Their gateways let it in as they do our gateway and delivery: "public → gateway".
    "toolbox → peers",
    "toolbox → peer in the cluster",
];

/// Those into it.
const INTO: [&str; 5] = [
    "public → gateway",
    "Prometheus → gateway",
    "Prometheus → log",
    "Prometheus → projection",
    "Prometheus → delivery",
];

fn set<S: Into<String>>(arrows: impl IntoIterator<Item = S>) -> BTreeSet<String> {
    arrows.into_iter().map(Into::into).collect()
}

/// Whether a label selector takes a pod.
fn selects(selector: &Value, pod: &Pod<'_>) -> bool {
    let labels = &pod.metadata["labels"];
    let matches = |(key, value): (&String, &Value)| labels[key] == *value;
    let named = selector["matchLabels"]
        .as_object()
        .is_none_or(|all| all.iter().all(matches));
    named
        && list(&selector["matchExpressions"]).iter().all(|expression| {
            assert_eq!(expression["operator"], "In");
            list(&expression["values"]).contains(&labels[text(&expression["key"])])
        })
}

/// The rules of a direction that hold for a pod: `egress`, `ingress`.
pub(crate) fn rules<'r>(release: &'r Rendered, pod: &Pod<'_>, direction: &str) -> Vec<&'r Value> {
    let policies = release.of_kind("NetworkPolicy").map(|policy| &policy["spec"]);
    let holding: Vec<_> = policies
        .filter(|policy| selects(&policy["podSelector"], pod))
        .collect();
    let both = ["Ingress", "Egress"].map(Value::from).to_vec();
    assert!(
        holding
            .iter()
            .any(|policy| policy["policyTypes"] == Value::from(both.clone())),
        "{}",
        pod.component
    );
    holding
        .iter()
        .flat_map(|policy| list(&policy[direction]))
        .collect()
}

pub(crate) fn ports(rule: &Value) -> Vec<u64> {
    list(&rule["ports"])
        .iter()
        .map(|port| port["port"].as_u64().unwrap())
        .collect()
}

/// Where a pod is called.
fn port(pod: &Pod<'_>) -> u64 {
    let first = list(&pod.container()["ports"]).first();
    first.map_or(0, |port| port["containerPort"].as_u64().unwrap())
}

/// Whether a rule is for a pod of the same release, on a side (`to`, `from`) of this port.
fn leads(rule: &Value, side: &str, pod: &Pod<'_>, port: u64) -> bool {
    let own = |peer: &Value| peer["namespaceSelector"].is_null() && peer["ipBlock"].is_null();
    ports(rule) == [port]
        && list(&rule[side])
            .iter()
            .any(|peer| own(peer) && selects(&peer["podSelector"], pod))
}

/// The rules of a pod's way out that are not for the release's own pods.
fn outside<'r>(release: &'r Rendered, pod: &Pod<'_>) -> Vec<&'r Value> {
    let own = release.pods();
    let mut rules = rules(release, pod, "egress");
    rules.retain(|rule| !own.iter().any(|other| leads(rule, "to", other, port(other))));
    rules
}

fn name<'p>(pod: &Pod<'p>) -> &'p str {
    if ["toolbox", "self-test"].contains(&pod.component) {
        "client"
    } else {
        pod.component
    }
}

/// The arrows between pods of a release that are open at one end (`egress`, `ingress`).
fn inside(release: &Rendered, end: &str) -> BTreeSet<String> {
    let pods = release.pods();
    let mut arrows = BTreeSet::new();
    for from in &pods {
        for to in &pods {
            let is_open = match end {
                "egress" => rules(release, from, end)
                    .iter()
                    .any(|rule| leads(rule, "to", to, port(to))),
                _ => rules(release, to, end)
                    .iter()
                    .any(|rule| leads(rule, "from", from, port(to))),
            };
            if is_open {
                let from = if to.component == "gateway" {
                    from.component
                } else {
                    name(from)
                };
                arrows.insert(format!("{from} → {}", name(to)));
            }
        }
    }
    arrows
}

#[test]
fn both_ends_of_the_table_s_arrows_are_open_and_no_others() {
    for (example, sets) in [
        ("blog", &[][..]),
        ("production", &[]),
        ("blog", &["gateway.tls.existingSecret=tls"]),
    ] {
        let release = render(example, sets);
        assert_eq!(inside(&release, "egress"), set(INSIDE), "{example} {sets:?}");
        assert_eq!(inside(&release, "ingress"), set(INSIDE), "{example} {sets:?}");
    }
}

/// A domain that follows by configuration asks delivery whether its Follow has arrived.
#[test]
fn who_follows_reaches_delivery() {
    let release = render("events", &[]);
    let expected = set(INSIDE.into_iter().chain(["projection → delivery"]));
    assert_eq!(inside(&release, "egress"), expected);
    assert_eq!(inside(&release, "ingress"), expected);
}

/// Where a rule of the example of production leads that is not for the release's own pods.
fn place(rule: &Value) -> &'static str {
    let to = &rule["to"];
    let internet = |rule: &Value| {
        list(&rule["to"])
            .iter()
            .all(|peer| !list(&peer["ipBlock"]["except"]).is_empty())
    };
    match *ports(rule).as_slice() {
        [53, 53] => "DNS",
        [443] if to.is_null() => "blobs",
        [443] if internet(rule) => "peers",
        [465] => "SMTP",
        [4317] => "OTLP",
        [5432] => "Postgres",
        [5671] => "RabbitMQ",
        [8443] => "peer in the cluster",
        [16686] => "Jaeger",
        _ => panic!("nobody knows where {rule} leads"),
    }
}

#[test]
fn the_way_out_leads_to_what_is_configured() {
    let release = render("production", &[]);
    let mut arrows = BTreeSet::new();
    for pod in release.pods() {
        let places: BTreeSet<_> = outside(&release, &pod).into_iter().map(place).collect();
        assert!(places.contains("DNS"), "{}", pod.component);
        for place in places.into_iter().filter(|place| *place != "DNS") {
            let to_peers = place.starts_with("peer");
            let from = if to_peers { pod.component } else { name(&pod) };
            arrows.insert(format!("{from} → {place}"));
        }
    }
    assert_eq!(arrows, set(OUTSIDE));
}

#[test]
fn the_way_in_is_the_gateway_s() {
    let release = render("production", &[]);
    let mut arrows = BTreeSet::new();
    for pod in release.pods() {
        let own = release.pods();
        let mut rules = rules(&release, &pod, "ingress");
        rules.retain(|rule| !own.iter().any(|other| leads(rule, "from", other, port(&pod))));
        for rule in rules {
            match *ports(rule).as_slice() {
                [8000] => arrows.insert(format!("public → {}", pod.component)),
                [9100] => arrows.insert(format!("Prometheus → {}", pod.component)),
                _ => panic!("{rule}"),
            };
            assert!(!list(&rule["from"]).is_empty(), "{rule}");
        }
    }
    assert_eq!(arrows, set(INTO));
}

#[test]
fn what_is_not_configured_opens_nothing() {
    let release = render(
        "blog",
        &[
            "otlp.endpoint=",
            "jaeger.url=",
            "federation.resolve:=[]",
            "networkPolicy.peers.cidrs:=[]",
        ],
    );
    for pod in release.pods() {
        let open: BTreeSet<_> = outside(&release, &pod).into_iter().flat_map(ports).collect();
        let expected: &[u64] = match pod.component {
            "log" | "projection" => &[53, 5432],
            "delivery" => &[53, 5432, 5671, 5672],
            _ => &[53],
        };
        assert_eq!(open, expected.iter().copied().collect(), "{}", pod.component);
        let ingress = rules(&release, &pod, "ingress");
        let scraped = ingress.iter().any(|rule| ports(rule) == [9100]);
        assert!(!scraped, "{}", pod.component);
    }
}

#[test]
fn a_server_is_reached_at_the_port_of_its_url_unless_another_is_said() {
    for (place, sets, role, expected) in [
        (
            "otlp",
            ["otlp.endpoint=http://otel:14317", "blobs.url="],
            "log",
            14317,
        ),
        (
            "jaeger",
            // Peers are at 443 too.
            [
                "jaeger.url=https://jaeger.example.org/ui",
                "networkPolicy.peers.cidrs:=[]",
            ],
            "toolbox",
            443,
        ),
        (
            "jaeger",
            ["jaeger.url=http://[fd00::1]", "blobs.url="],
            "toolbox",
            80,
        ),
        (
            "blobs",
            ["blobs.endpoint=http://minio:9000", "blobs.url=s3://b"],
            "log",
            9000,
        ),
        ("blobs", ["blobs.endpoint=", "blobs.url=s3://b"], "log", 443),
    ] {
        let open = |sets: &[&str]| {
            let release = render("blog", sets);
            let rules = outside(&release, &release.pod(role));
            rules.into_iter().flat_map(ports).collect::<Vec<_>>()
        };
        assert!(open(&sets).contains(&expected), "{sets:?}");
        let said = format!("networkPolicy.{place}.ports:=[7777]");
        let said = open(&[sets[0], sets[1], &said]);
        assert!(
            said.contains(&7777) && !said.contains(&expected),
            "{sets:?}: {said:?}"
        );
    }
}

#[test]
fn policies_can_be_left_to_others() {
    assert_eq!(
        render("blog", &["networkPolicy.enabled=false"])
            .of_kind("NetworkPolicy")
            .count(),
        0
    );
}
