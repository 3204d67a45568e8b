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
    for role in ["gateway", "delivery"] {
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
        let pod = release.pod("delivery");
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
        assert_eq!(found, labels);
    }
}
