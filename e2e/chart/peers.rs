//! The way to peers: the internet without what is private, and the pods of those that are mapped.

use std::collections::BTreeSet;

use crate::{
    arrows::{ports, rules},
    helm::{list, render, text},
};

/// What the guard of fetches refuses, no packet reaches either.
#[test]
fn private_addresses_are_no_peers() {
    let release = render("blog", &[]);
    for role in ["gateway", "delivery", "toolbox"] {
        let pod = release.pod(role);
        let rules = rules(&release, &pod, "egress");
        let blocks = rules
            .iter()
            .flat_map(|rule| list(&rule["to"]))
            .map(|peer| &peer["ipBlock"]);
        let mut except: BTreeSet<_> = blocks
            .flat_map(|block| list(&block["except"]))
            .map(text)
            .collect();
        for private in [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "100.64.0.0/10",
            "0.0.0.0/8",
            "224.0.0.0/3",
            "192.0.0.0/24",
            "198.18.0.0/15",
            "::/3",
            "4000::/2",
            "8000::/1",
        ] {
            assert!(except.remove(private), "{role} {private}");
        }
        assert!(except.is_empty(), "{role} {except:?}");
    }
}

/// The pods behind a mapped peer's Service are found by its name, or as they are described.
#[test]
fn a_mapped_peer_s_pods_are_reached() {
    let entry = |more: &str| {
        format!(
            "federation.resolve:=[{{\"host\":\"a.example\",\"service\":\"shop-gateway.shops.svc\",\"tls\":{{\"enabled\":true}}{more}}}]"
        )
    };
    for (more, namespace, labels, port) in [
        (
            "",
            "shops",
            vec![
                ("app.kubernetes.io/component", "gateway"),
                ("app.kubernetes.io/instance", "shop"),
            ],
            8443,
        ),
        (
            ",\"port\":443,\"pods\":{\"selector\":{\"app\":\"x\"},\"namespace\":\"other\",\"port\":9443}",
            "other",
            vec![("app", "x")],
            9443,
        ),
    ] {
        let release = render("blog", &[&entry(more)]);
        for role in ["gateway", "delivery", "toolbox"] {
            let pod = release.pod(role);
            let rules = rules(&release, &pod, "egress");
            let rule = rules.iter().find(|rule| ports(rule) == [port]).unwrap();
            let peer = &rule["to"][0];
            assert_eq!(
                peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
                namespace
            );
            let found = peer["podSelector"]["matchLabels"].as_object().unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|(key, value)| (key.as_str(), text(value)))
                .collect();
            assert_eq!(found, labels, "{role}");
        }
    }
}

/// The root's dot is part of a name, and of no namespace.
#[test]
fn a_mapped_peer_s_service_may_end_in_a_dot() {
    let set = "federation.resolve:=[{\"host\":\"a.example\",\"service\":\"shop-gateway.shops.svc.cluster.local.\",\"tls\":{\"enabled\":false}},\
               {\"host\":\"b.example\",\"service\":\"true-gateway.\",\"tls\":{\"enabled\":true}}]";
    let release = render("blog", &[set]);
    let pod = release.pod("gateway");
    assert_eq!(
        pod.variable("FEDSX_RESOLVE"),
        Some(
            "a.example=http://shop-gateway.shops.svc.cluster.local.:8000,b.example=https://true-gateway.:8443"
        )
    );
    let rules = rules(&release, &pod, "egress");
    for (port, namespace, instance) in [(8000, "shops", "shop"), (8443, "default", "true")] {
        let rule = rules.iter().find(|rule| ports(rule) == [port]).unwrap();
        let [in_namespace, pods] =
            ["namespaceSelector", "podSelector"].map(|key| &rule["to"][0][key]["matchLabels"]);
        assert_eq!(in_namespace["kubernetes.io/metadata.name"], namespace);
        assert_eq!(pods["app.kubernetes.io/instance"], instance);
    }
}

/// `fedsx types fetch` finds a peer from the toolbox where the gateway does; the self-test asks the domain alone.
#[test]
fn the_toolbox_is_told_where_peers_are() {
    let release = render("production", &["settings.plain_peers={http://a:1,http://b:2}"]);
    for name in ["FEDSX_RESOLVE", "FEDSX_PLAIN_PEERS"] {
        let [gateway, toolbox, test] =
            ["gateway", "toolbox", "self-test"].map(|pod| release.pod(pod).variable(name).map(str::to_owned));
        assert!(gateway.is_some() && gateway == toolbox, "{gateway:?} {toolbox:?}");
        assert_eq!(test, None);
    }
    let own = render(
        "blog",
        &[
            "gateway.settings.plain_peers={http://c:3}",
            "settings.plain_peers={http://a:1}",
        ],
    );
    assert_eq!(
        own.pod("toolbox").variable("FEDSX_PLAIN_PEERS"),
        Some("http://c:3")
    );
}

#[test]
fn without_a_toolbox_nothing_is_open_to_it() {
    let release = render("production", &["toolbox.enabled=false"]);
    let mut policies = release.of_kind("NetworkPolicy");
    assert!(policies.all(|policy| policy["metadata"]["name"] != "blog-toolbox"));
}
