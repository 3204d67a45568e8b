//! What is wrong with values is refused: by its name or its place, and with a reason.

use fedsx_e2e::workspace;

use crate::helm::{render, try_render};

/// What the chart says of values that it cannot render.
fn refused(sets: &[&str]) -> String {
    match try_render("blog", sets) {
        Ok(_) => panic!("{sets:?} are taken"),
        Err(error) => error,
    }
}

fn refused_by_name(set: &str, place: &str, key: &str) {
    let error = refused(&[set]);
    assert!(
        error.contains(place) && error.contains(&format!("'{key}'")),
        "{set}: {error}"
    );
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
        ("log.resources.requests.mem=1Gi", "/log/resources/requests", "mem"),
        (
            "bundle.files.type/article\\.yaml=x",
            "/bundle/files",
            "type/article.yaml",
        ),
    ] {
        refused_by_name(set, place, key);
    }
}

#[test]
fn a_policy_s_peer_of_unknown_shape_is_refused_by_name() {
    for (set, place, key) in [
        (
            "networkPolicy.otlp.to:=[{\"ipblock\":{}}]",
            "/networkPolicy/otlp/to/0",
            "ipblock",
        ),
        (
            "networkPolicy.postgres.to:=[{\"podSelector\":{\"app\":\"postgres\"}}]",
            "/networkPolicy/postgres/to/0/podSelector",
            "app",
        ),
        (
            "networkPolicy.gateway.from:=[{\"ipBlock\":{}}]",
            "/networkPolicy/gateway/from/0/ipBlock",
            "cidr",
        ),
    ] {
        refused_by_name(set, place, key);
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    for (set, place) in [
        ("origin=blog.example.org", "/origin"),
        ("origin=https://blog.example.org/", "/origin"),
        ("origin=https://blog.example.org/blog", "/origin"),
        ("origin=https://blog example.org", "/origin"),
        ("fullnameOverride=Blog", "/fullnameOverride"),
        ("fullnameOverride=blog.example", "/fullnameOverride"),
        ("nameOverride=fed sx", "/nameOverride"),
        ("delivery.keda.minReplicas=0", "/delivery/keda/minReplicas"),
        ("projection.scratch=much", "/projection/scratch"),
        ("projection.scratch=1GB", "/projection/scratch"),
        ("projection.scratch=-1", "/projection/scratch"),
        ("jaeger.url=http://user:password@jaeger", "/jaeger/url"),
        ("otlp.endpoint=http://user@otel:4317/@", "/otlp/endpoint"),
        ("blobs.endpoint=https://", "/blobs/endpoint"),
        (
            "federation.follows={https://me@events.example.org/actors/main}",
            "/federation/follows/0",
        ),
        (
            "federation.follows:=[\"https://a.example/a,https://b.example/b\"]",
            "/federation/follows/0",
        ),
        ("networkPolicy.otlp.ports={Otlp}", "/networkPolicy/otlp/ports/0"),
        (
            "networkPolicy.postgres.ports:=[\"5432\"]",
            "/networkPolicy/postgres/ports/0",
        ),
        (
            "networkPolicy.postgres.ports:=[0]",
            "/networkPolicy/postgres/ports/0",
        ),
        (
            "log.terminationGracePeriodSeconds=24",
            "/log/terminationGracePeriodSeconds",
        ),
        ("networkPolicy.smtp.to:=[{}]", "/networkPolicy/smtp/to/0"),
        (
            "networkPolicy.peers.cidrs:=[\"10.0.0.7\"]",
            "/networkPolicy/peers/cidrs/0",
        ),
        ("gateway.replicas=two", "/gateway/replicas"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.digest=latest", "/image/digest"),
        ("settings.log_json=yes please", "/settings/log_json"),
        ("runAsUser=0", "/runAsUser"),
        ("blobs.url=/var/blobs", "/blobs/url"),
        ("tests.calendar=main", "/tests/calendar"),
        ("jaeger.url=http://jaeger:16686/?page=1", "/jaeger/url"),
        ("jaeger.url=http://me:secret@jaeger:16686", "/jaeger/url"),
    ] {
        let error = refused(&[set]);
        assert!(error.contains(&format!("'{place}'")), "{set}: {error}");
    }
}

/// What selectors select by would no longer be there.
#[test]
fn a_label_of_selectors_is_refused_by_name() {
    for at in ["commonLabels", "log.podLabels", "toolbox.podLabels"] {
        for key in ["name", "instance", "component"] {
            let label = format!("app.kubernetes.io/{key}");
            let error = refused(&[&format!("{at}.{}=x", label.replace('.', "\\."))]);
            let place = format!("/{}/app.kubernetes.io~1{key}", at.replace('.', "/"));
            assert!(error.contains(&format!("at '{place}'")), "{at} {key}: {error}");
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
}

/// Each is sound by itself, and does not go with the others.
#[test]
fn what_cannot_work_is_refused_with_its_reason() {
    let cases: [(&[&str], &str); 13] = [
        (
            &["delivery.keda.enabled=true", "delivery.autoscaling.enabled=true"],
            "delivery.keda and delivery.autoscaling are both enabled",
        ),
        (
            &["log.autoscaling.enabled=true", "log.autoscaling.minReplicas=5"],
            "log.autoscaling.minReplicas is 5, more than maxReplicas, 4",
        ),
        (
            &["delivery.keda.enabled=true", "delivery.keda.minReplicas=11"],
            "delivery.keda.minReplicas is 11, more than maxReplicas, 10",
        ),
        (&["bundle.name=blgo"], "bundle.name is \"blgo\""),
        (&["image.tag=20241122"], "image.tag is a number"),
        (&["image.tag:=1.10"], "image.tag is a number"),
        (
            &["gateway.tls.existingSecret=tls", "origin=http://blog.example.org"],
            "gateway.tls.existingSecret is set",
        ),
        (
            &["gateway.ingress.enabled=true", "origin=https://192.0.2.7:8443"],
            "gateway.ingress.enabled is true, although the origin https://192.0.2.7:8443 is an address",
        ),
        (
            &["metrics.prometheusRule.enabled=true"],
            "needs metrics.serviceMonitor",
        ),
        (&["smtp.from=blog@example.org"], "smtp.from is set"),
        (
            &["origin=https://Blog.example.org"],
            "has to be in lower case, https://blog.example.org",
        ),
        (
            &["delivery.terminationGracePeriodSeconds=29"],
            "delivery.terminationGracePeriodSeconds is 29: a pod needs 30",
        ),
        (
            &[
                "shutdown.preStopSeconds=20",
                "log.terminationGracePeriodSeconds=44",
            ],
            "log.terminationGracePeriodSeconds is 44: a pod needs 45",
        ),
    ];
    for (sets, words) in cases {
        let error = refused(sets);
        assert!(error.contains(words), "{sets:?}: {error}");
    }
}

/// What the program would refuse at its start.
#[test]
fn a_mapped_peer_that_contradicts_itself_is_refused() {
    let peer = |host: &str, tls: &str| format!("{{\"host\":\"{host}\",\"service\":\"x\",\"tls\":{{{tls}}}}}");
    let plain_ca = peer("a.example", "\"enabled\":false,\"caSecret\":{\"name\":\"ca\"}");
    let [one, same] = ["a.example", "a.example:443"].map(|host| peer(host, "\"enabled\":true"));
    for (peers, words) in [
        (plain_ca, "federation.resolve: a.example has tls.caSecret"),
        (
            format!("{one},{same}"),
            "federation.resolve: a.example:443 is there twice",
        ),
    ] {
        let error = refused(&[&format!("federation.resolve:=[{peers}]")]);
        assert!(error.contains(words), "{peers}: {error}");
    }
}

/// A bundle is one that is in the program, whatever it is called, or of `files`.
#[test]
fn every_built_in_bundle_is_taken() {
    let folders = std::fs::read_dir(workspace().join("genesis")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let mut bundles = 0;
    for bundle in folders.filter(|folder| folder.join("bundle.yaml").exists()) {
        let name = bundle.file_name().unwrap().to_str().unwrap();
        let release = render("blog", &[&format!("bundle.name={name}")]);
        assert_eq!(release.pod("log").variable("FEDSX_BUNDLE"), Some(name));
        bundles += 1;
    }
    assert!(bundles > 2, "{bundles}");
}

/// Nobody scales a role to nothing by mistake, and who pauses one may.
#[test]
fn a_role_may_be_paused() {
    let release = render("blog", &["delivery.replicas=0"]);
    assert_eq!(release.one("Deployment", "blog-delivery")["spec"]["replicas"], 0);
}

#[test]
fn a_tag_of_digits_arrives_as_it_is_written() {
    let release = render("blog", &["image.tag:=\"20241122\""]);
    assert_eq!(
        release.pod("log").container()["image"],
        "localhost/fed-sx:20241122"
    );
}
