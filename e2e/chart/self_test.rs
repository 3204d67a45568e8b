//! The pod of `helm test`: where it goes, and how it reaches the gateway.

use serde_json::{Value, json};

use crate::helm::{list, render, text};

/// By TLS the gateway is asked by its public name, at its Service, and trusted by the authority of its certificate too.
#[test]
fn the_self_test_reaches_a_gateway_that_serves_tls() {
    for (port, set) in [
        (8443, "gateway.service.port=null"),
        (443, "gateway.service.port=443"),
    ] {
        let release = render("blog", &["gateway.tls.existingSecret=public", set]);
        let test = release.pod("self-test");
        let at_service = format!("blog.example.org=https://blog-gateway:{port}");
        assert_eq!(test.variable("FEDSX_RESOLVE"), Some(&*at_service));
        let named = |argument: &Value| text(argument).starts_with("--gateway");
        assert!(!list(&test.container()["args"]).iter().any(named));
        let authorities = test.variable("SSL_CERT_DIR").unwrap();
        let mounts = list(&test.container()["volumeMounts"]);
        let mut mounted = mounts.iter().filter(|mount| mount["mountPath"] == authorities);
        let volume = &mounted.next().unwrap()["name"];
        let mut volumes = list(&test.spec["volumes"])
            .iter()
            .filter(|found| found["name"] == *volume);
        let secret = &volumes.next().unwrap()["secret"];
        assert_eq!(secret["secretName"], "public");
        // What a public authority gave has none.
        assert_eq!(secret["optional"], true);
    }
    assert_eq!(
        render("blog", &[]).pod("self-test").variable("FEDSX_RESOLVE"),
        None
    );
}

#[test]
fn the_self_test_goes_where_the_toolbox_may() {
    let tolerations = json!([{"key": "arm", "operator": "Exists"}]);
    let tolerated = format!("toolbox.tolerations:={tolerations}");
    let release = render("blog", &[&tolerated, "toolbox.nodeSelector.pool=small"]);
    for client in ["toolbox", "self-test"] {
        let pod = release.pod(client);
        assert_eq!(pod.spec["tolerations"], tolerations, "{client}");
        assert_eq!(pod.spec["nodeSelector"], json!({"pool": "small"}), "{client}");
    }
}
