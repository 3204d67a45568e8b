//! Where a bundle's files come from: the binary, or a folder.

mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use fedsx_kernel::definition::Kind;

pub(super) use yaml::Document;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/genesis.rs"));
}

/// What says that a folder is a bundle, and who speaks there.
pub(super) const MANIFEST: &str = "bundle.yaml";
/// What names the CIDs of a bundle's records.
pub(crate) const LOCK: &str = "genesis.lock";
/// Most bytes of a file.
const MAX_FILE: u64 = 1 << 20;

/// The folder of a kind's files in a bundle.
pub(super) const fn folder_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Type | Kind::Subtype => "types",
        Kind::Verb => "verbs",
        Kind::Projection => "projections",
        Kind::Behaviour => "behaviours",
    }
}

/// The kinds that have files; a link stands with the type that it is of.
pub(super) const WRITTEN: [Kind; 4] = [Kind::Type, Kind::Verb, Kind::Projection, Kind::Behaviour];

/// The folder of the objects that a domain has from the first day.
pub(super) const OBJECTS: &str = "objects";

/// The folders of a bundle.
pub(super) fn parts() -> impl Iterator<Item = &'static str> {
    WRITTEN.map(folder_of).into_iter().chain([OBJECTS])
}

/// The files of a bundle.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    place: Place,
    /// By their paths inside of the bundle.
    files: BTreeMap<String, String>,
    /// Folders of YAML that are none of a bundle's.
    unknown: Vec<String>,
}

#[derive(Debug, Clone)]
enum Place {
    BuiltIn(String),
    Folder(PathBuf),
}

impl Source {
    /// A built-in bundle by its name, or one from its folder.
    pub(crate) fn open(name: &str) -> anyhow::Result<Self> {
        match Self::built_in(name) {
            Some(built_in) => Ok(built_in),
            None => Self::folder(Path::new(name)),
        }
    }

    /// A bundle that is in the binary.
    fn built_in(name: &str) -> Option<Self> {
        let prefix = format!("{name}/");
        let files = embedded::FILES
            .iter()
            .filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?, text)))
            .filter(|(path, _)| is_part(path))
            .map(|(path, text)| (path.to_owned(), (*text).to_owned()));
        let files: BTreeMap<_, _> = files.collect();
        let place = Place::BuiltIn(name.to_owned());
        (!files.is_empty()).then_some(Self {
            place,
            files,
            unknown: Vec::new(),
        })
    }

    /// The names of the built-in bundles that a domain can be.
    fn names() -> BTreeSet<&'static str> {
        let paths = embedded::FILES.iter().map(|(path, _)| path);
        paths
            .filter_map(|path| path.strip_suffix(MANIFEST)?.strip_suffix('/'))
            .collect()
    }

    /// A bundle's folder, or one of definitions alone.
    fn folder(folder: &Path) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        for name in [MANIFEST, LOCK] {
            let path = folder.join(name);
            if path.exists() {
                files.insert(name.to_owned(), read(&path)?);
            }
        }
        for part in parts() {
            let path = folder.join(part);
            if !path.is_dir() {
                continue;
            }
            let entries = std::fs::read_dir(&path).with_context(|| path.display().to_string())?;
            for entry in entries {
                let entry = entry.with_context(|| path.display().to_string())?;
                let name = format!("{part}/{}", entry.file_name().to_string_lossy());
                files.insert(name, read(&entry.path())?);
            }
        }
        let unknown = unknown(folder)?;
        if files.keys().all(|name| name == LOCK) && unknown.is_empty() {
            let known: Vec<_> = Self::names().into_iter().collect();
            anyhow::bail!(
                "{:?} is neither a built-in bundle ({}) nor a folder with {MANIFEST}, types/, verbs/, projections/ or behaviours/",
                folder.display().to_string(),
                known.join(", ")
            );
        }
        let place = Place::Folder(folder.to_owned());
        Ok(Self {
            place,
            files,
            unknown,
        })
    }

    /// Folders of YAML that nobody reads: their names are misspelt.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }

    /// What this bundle stands on: a folder beside its own, or else a built-in one.
    pub(super) fn include(&self, name: &str) -> Option<anyhow::Result<Self>> {
        if let Place::Folder(folder) = &self.place {
            let beside = folder.join("..").join(name);
            if beside.join(MANIFEST).exists() {
                return Some(Self::folder(&beside));
            }
        }
        Self::built_in(name).map(Ok)
    }

    /// A file's text.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The paths and texts of the files of a kind's folder.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&str, &str)> {
        self.of_folder(folder_of(kind))
    }

    /// The paths and texts of a folder's files.
    pub(super) fn of_folder(&self, folder: &'static str) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter().map(|(path, text)| (&**path, &**text));
        files.filter(move |(path, _)| path.split_once('/').is_some_and(|(part, _)| part == folder))
    }

    /// How a file is named where something is wrong with it.
    pub(super) fn shown(&self, path: &str) -> String {
        format!("{self}/{path}")
    }

    /// The folder; none where the bundle is built in.
    pub(crate) fn on_disk(&self) -> Option<&Path> {
        match &self.place {
            Place::BuiltIn(_) => None,
            Place::Folder(folder) => Some(folder),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::BuiltIn(name) => write!(f, "genesis/{name}"),
            Place::Folder(folder) => f.write_str(folder.to_string_lossy().trim_end_matches('/')),
        }
    }
}

/// The folders beside a bundle's own that hold YAML, and are no bundles themselves.
fn unknown(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for inner in folders(folder)? {
        let name = inner
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_hidden = name.starts_with('.');
        if !is_hidden && parts().all(|part| part != name) && !holds_definitions(&inner) && holds_yaml(&inner)?
        {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn holds_yaml(folder: &Path) -> anyhow::Result<bool> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a path inside of a bundle's folder belongs to the bundle.
fn is_part(path: &str) -> bool {
    match path.split_once('/') {
        None => matches!(path, MANIFEST | LOCK),
        Some((folder, file)) => !file.contains('/') && parts().any(|part| part == folder),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let read = || -> anyhow::Result<String> {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(MAX_FILE + 1).read_to_string(&mut text)?;
        anyhow::ensure!(text.len() as u64 <= MAX_FILE, "is larger than {MAX_FILE} bytes");
        Ok(text)
    };
    read().with_context(|| path.display().to_string())
}

/// The bundles below a folder, two levels deep: `genesis/blog`, `genesis/core/runtime-verbs`.
pub(crate) fn in_folder(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in folders(root)? {
        for inner in folders(&folder)? {
            let name = inner.file_name().unwrap_or_default();
            let is_own = parts().any(|own| name == own);
            if !is_own && holds_definitions(&inner) {
                found.push(inner);
            }
        }
        if holds_definitions(&folder) {
            found.push(folder);
        }
    }
    found.sort();
    Ok(found)
}

fn holds_definitions(folder: &Path) -> bool {
    let mut parts = WRITTEN.map(folder_of).into_iter().chain([MANIFEST]);
    parts.any(|part| folder.join(part).exists())
}

fn folders(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(root).with_context(|| root.display().to_string())?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
}
