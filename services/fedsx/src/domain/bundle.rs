//! A domain's bundle: what it means, as data.

use std::path::Path;

use anyhow::Context as _;
use fedsx_kernel::actor::Kind;

const BUILT_IN: [(&str, &str); 2] = [
    ("blog", include_str!("../../../../genesis/blog/bundle.yaml")),
    ("events", include_str!("../../../../genesis/events/bundle.yaml")),
];

/// The definitions that a domain starts with.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Bundle {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) actors: Vec<BundleActor>,
}

/// An actor that the domain has from the first day.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct BundleActor {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) display_name: Option<String>,
    pub(crate) summary: Option<String>,
}

impl Bundle {
    /// Loads a built-in bundle by its name, or one from a folder that holds `bundle.yaml`.
    pub(crate) fn load(name: &str) -> anyhow::Result<Self> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Self::parse(text).with_context(|| format!("the built-in bundle {name}"));
        }
        let path = Path::new(name).join("bundle.yaml");
        let text = std::fs::read_to_string(&path).with_context(|| {
            let known = BUILT_IN.map(|(name, _)| name).join(", ");
            format!("`bundle` is {name:?}: neither a built-in one ({known}) nor a folder with bundle.yaml")
        })?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(serde_saphyr::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_bundles_are_sound() {
        for (name, _) in BUILT_IN {
            assert_eq!(Bundle::load(name).unwrap().name, name);
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        let error = Bundle::parse("name: x\ntitle: x\nsummary: x\nactor: []\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("actor") && error.contains('4'), "{error}");
    }

    #[test]
    fn an_unknown_bundle_tells_what_there_is() {
        let error = format!("{:#}", Bundle::load("shop").unwrap_err());
        assert!(error.contains("blog, events"), "{error}");
    }
}
