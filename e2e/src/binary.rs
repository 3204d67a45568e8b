//! The program under test.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

/// The `fedsx` binary: `FEDSX_BIN`, else the one that Cargo built beside the tests. A binary older than its sources is
/// refused, since a scenario would then prove something about yesterday's code.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("FEDSX_BIN") {
        Some(path) => PathBuf::from(path),
        None => built().unwrap_or_else(|problem| panic!("{problem}; cargo build --workspace --bins --tests")),
    })
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn built() -> Result<PathBuf, String> {
    // target/<profile>/deps/scenarios-<hash>
    let test =
        std::env::current_exe().map_err(|error| format!("where the tests lie is unknown ({error})"))?;
    let profile = test.ancestors().nth(2).unwrap_or(Path::new("."));
    let binary = profile.join("fedsx");
    let Some(built) = changed(&binary) else {
        return Err(format!("{} is missing", binary.display()));
    };
    // Cargo's list of what the binary was made from: `<binary>: <source> <source> …`, spaces in names escaped.
    let list = std::fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let sources = list
        .split_once(": ")
        .map_or("", |(_, sources)| sources)
        .replace("\\ ", "\u{0}");
    let newer = sources
        .split_whitespace()
        .map(|source| PathBuf::from(source.replace('\u{0}', " ")))
        .find(|source| changed(source).is_none_or(|changed| changed > built));
    match newer {
        Some(source) => Err(format!("{} is older than {}", binary.display(), source.display())),
        None => Ok(binary),
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
