//! Configuration from a file, the environment and flags, the later winning; a wrong key is named.

use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Source as _, Value};
use serde::de::DeserializeOwned;

/// Where a configuration comes from.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// TOML text of the documented defaults.
    pub defaults: &'a str,
    /// A TOML file; it must exist where it is given.
    pub file: Option<&'a Path>,
    /// The process's environment, or a test's.
    pub environment: Vec<(String, String)>,
    /// `FEDSX`: `FEDSX_LISTEN` sets `listen`.
    pub prefix: &'a str,
    /// Keys that hold lists; in the environment their items are separated by commas.
    pub lists: &'a [&'a str],
    /// Flags of the command line.
    pub overrides: Vec<(&'static str, Option<Value>)>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{place}: `{key}` is no key; the keys are {known}")]
    UnknownKey {
        place: String,
        key: String,
        known: String,
    },
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Reads a typed configuration. The defaults name every key there is.
///
/// # Errors
/// [`LoadError`], naming the key and where it stands.
pub fn load<T: DeserializeOwned>(sources: Sources<'_>) -> Result<T, LoadError> {
    let defaults = File::from_str(sources.defaults, FileFormat::Toml);
    let known: Vec<String> = defaults.collect()?.into_keys().collect();
    let mut builder = Config::builder().add_source(defaults);
    if let Some(path) = sources.file {
        let file = File::from(path).format(FileFormat::Toml);
        for key in file.collect()?.keys() {
            check(key, &known, || path.display().to_string())?;
        }
        builder = builder.add_source(file);
    }
    let prefix = format!("{}_", sources.prefix);
    for (name, text) in &sources.environment {
        let Some(key) = name.strip_prefix(&prefix).map(str::to_lowercase) else {
            continue;
        };
        check(&key, &known, || format!("the environment variable {name}"))?;
        let is_list = sources.lists.contains(&key.as_str());
        builder = builder.set_override(key, if is_list { list(text) } else { text.as_str().into() })?;
    }
    for (key, value) in sources.overrides {
        builder = builder.set_override_option(key, value)?;
    }
    Ok(builder.build()?.try_deserialize()?)
}

/// What stands between commas. A text is never taken for a number: a token may consist of digits.
fn list(text: &str) -> Value {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.collect::<Vec<_>>().into()
}

fn check(key: &str, known: &[String], place: impl FnOnce() -> String) -> Result<(), LoadError> {
    if known.iter().any(|known| known == key) {
        return Ok(());
    }
    let mut known = known.to_vec();
    known.sort_unstable();
    Err(LoadError::UnknownKey {
        place: place(),
        key: key.to_owned(),
        known: known.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        listen: String,
        peers: Vec<String>,
        json: bool,
    }

    fn sources(environment: &[(&str, &str)]) -> Sources<'static> {
        Sources {
            defaults: "listen = \"a\"\npeers = []\njson = false",
            environment: environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            prefix: "FEDSX",
            lists: &["peers"],
            ..Sources::default()
        }
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_defaults() {
        let mut both = sources(&[("FEDSX_LISTEN", "b"), ("FEDSX_PEERS", "x,y"), ("OTHER", "z")]);
        assert_eq!(
            load::<Sample>(sources(&[])).unwrap(),
            Sample {
                listen: "a".into(),
                peers: vec![],
                json: false
            }
        );
        both.overrides.push(("listen", Some("c".into())));
        assert_eq!(
            load::<Sample>(both).unwrap(),
            Sample {
                listen: "c".into(),
                peers: vec!["x".into(), "y".into()],
                json: false
            }
        );
    }

    #[test]
    fn the_environment_is_text_but_where_a_list_or_a_truth_is_wanted() {
        let environment = [
            ("FEDSX_LISTEN", "0012e3"),
            ("FEDSX_PEERS", "007, ,x"),
            ("FEDSX_JSON", "true"),
        ];
        let sample: Sample = load(sources(&environment)).unwrap();
        assert_eq!((sample.listen.as_str(), sample.json), ("0012e3", true));
        assert_eq!(sample.peers, ["007", "x"]);
        let none: Sample = load(sources(&[("FEDSX_PEERS", "")])).unwrap();
        assert!(none.peers.is_empty());
    }

    #[test]
    fn a_wrong_key_is_named() {
        let error = load::<Sample>(sources(&[("FEDSX_LISTN", "b")]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("FEDSX_LISTN") && error.contains("json, listen, peers"),
            "{error}"
        );
    }
}
