//! The pod of `helm test`: where it goes, and how it reaches the gateway.

use serde_json::{Value, json};

use crate::helm::{list, render, text, try_render};

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

/// An address is no name that it could be told to find elsewhere.
#[test]
fn an_origin_that_is_an_address_has_no_tls_of_its_own() {
    for origin in [
        "https://[2001:db8::1]",
        "https://[2001:db8::1]:8443",
        "https://192.0.2.7",
        "https://192.0.2.7:8443",
    ] {
        let origin = format!("origin={origin}");
        let refused = try_render("blog", &[&origin, "gateway.tls.existingSecret=public"]);
        let error = refused.map(|release| release.text).unwrap_err();
        assert!(error.contains("is an address"), "{origin}: {error}");
        assert!(
            render("blog", &[&origin])
                .pod("log")
                .variable("FEDSX_ORIGIN")
                .is_some()
        );
    }
    let named = [
        "origin=https://b7.example.org:8443",
        "gateway.tls.existingSecret=public",
    ];
    assert_eq!(
        render("blog", &named).pod("self-test").variable("FEDSX_RESOLVE"),
        Some("b7.example.org:8443=https://blog-gateway:8443")
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
