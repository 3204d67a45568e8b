//! Helm, and what it renders.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use fedsx_e2e::workspace;
use serde_json::Value;

/// The example values, by name.
pub(crate) const EXAMPLES: [&str; 3] = ["blog", "events", "production"];

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    workspace().join("charts/fed-sx")
}

/// Runs helm.
pub(crate) fn helm<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(program())
        .args(arguments)
        .current_dir(workspace())
        .env_remove("KUBECONFIG")
        .output()
        .unwrap_or_else(|error| panic!("helm does not run ({error}): `export HELM=$(e2e/tools.sh)`"))
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("HELM") {
        return named.into();
    }
    // target/<tuple>/<profile>/deps/chart-<hash>
    let built = std::env::current_exe().unwrap();
    let built = built
        .ancestors()
        .map(|folder| folder.join("tools/helm"))
        .find(|path| path.exists());
    built.unwrap_or_else(|| Path::new("helm").to_owned())
}

/// What helm renders of an example and further values.
pub(crate) fn render(example: &str, sets: &[&str]) -> Rendered {
    try_render(example, sets).unwrap_or_else(|error| panic!("{example} {sets:?}: {error}"))
}

/// The same, or what helm says is wrong. A set is `key=value`, or JSON as `key:=[…]`.
pub(crate) fn try_render(example: &str, sets: &[&str]) -> Result<Rendered, String> {
    // The example of production is of a blog too.
    let release = if example == "events" { "events" } else { "blog" };
    try_render_as(release, example, sets)
}

/// The same, for a release of another name.
pub(crate) fn try_render_as(release: &str, example: &str, sets: &[&str]) -> Result<Rendered, String> {
    let values = chart().join(format!("examples/{example}.yaml"));
    let values = ["--values".to_owned(), values.display().to_string()];
    template(release, &chart(), &values, sets)
}

/// What helm renders of a chart's own values and further ones.
pub(crate) fn template(
    release: &str,
    chart: &Path,
    flags: &[String],
    sets: &[&str],
) -> Result<Rendered, String> {
    let mut arguments = vec!["template".into(), release.into(), chart.display().to_string()];
    arguments.extend_from_slice(flags);
    for set in sets {
        match set.split_once(":=") {
            Some((key, json)) => arguments.extend(["--set-json".into(), format!("{key}={json}")]),
            None => arguments.extend(["--set".into(), (*set).to_owned()]),
        }
    }
    let output = helm(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(Rendered::parse(text(&output.stdout)))
    } else {
        Err(text(&output.stderr))
    }
}

/// The objects of a release.
pub(crate) struct Rendered {
    pub(crate) text: String,
    pub(crate) objects: Vec<Value>,
}

impl Rendered {
    fn parse(text: String) -> Self {
        let documents = text.split("---\n").filter(|document| !document.trim().is_empty());
        let objects = documents.map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}:\n{document}"))
        });
        Self {
            objects: objects.collect(),
            text,
        }
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == *kind)
    }

    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        self.of_kind(kind)
            .find(|object| object["metadata"]["name"] == *name)
            .unwrap_or_else(|| panic!("no {kind} is called {name}"))
    }

    /// Every pod, by its component: the templates of Deployments, and pods of their own.
    pub(crate) fn pods(&self) -> Vec<Pod<'_>> {
        let templates = self
            .of_kind("Deployment")
            .map(|object| &object["spec"]["template"]);
        let pods = templates.chain(self.of_kind("Pod"));
        let pods = pods.map(|pod| Pod {
            component: text(&pod["metadata"]["labels"]["app.kubernetes.io/component"]),
            metadata: &pod["metadata"],
            spec: &pod["spec"],
        });
        pods.collect()
    }

    pub(crate) fn pod(&self, component: &str) -> Pod<'_> {
        let found = self.pods().into_iter().find(|pod| pod.component == component);
        found.unwrap_or_else(|| panic!("no pod is of {component}"))
    }
}

/// A pod as it is rendered; it has one container.
pub(crate) struct Pod<'r> {
    pub(crate) component: &'r str,
    pub(crate) metadata: &'r Value,
    pub(crate) spec: &'r Value,
}

impl<'r> Pod<'r> {
    pub(crate) fn container(&self) -> &'r Value {
        let containers = list(&self.spec["containers"]);
        assert_eq!(containers.len(), 1, "{}", self.component);
        &containers[0]
    }

    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'r str, &'r Value)> {
        list(&self.container()["env"])
            .iter()
            .map(|variable| (text(&variable["name"]), variable))
    }

    /// The value of a variable that is not a secret.
    pub(crate) fn variable(&self, name: &str) -> Option<&'r str> {
        let found = self.environment().find(|(found, _)| *found == name);
        found.and_then(|(_, variable)| variable["value"].as_str())
    }

    /// Whether it runs one of the domain's services.
    pub(crate) fn is_role(&self) -> bool {
        ["gateway", "log", "projection", "delivery"].contains(&self.component)
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// The items; none where there is no list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
