//! Lists the files of the bundles that the binary carries.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../genesis");
    let root = root.canonicalize()?;
    let mut list = String::from("pub(super) const FILES: &[(&str, &str)] = &[\n");
    visit(&root, "", &mut list)?;
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("genesis.rs"), list)?;
    Ok(())
}

/// Adds the files of a folder, in the order of their names.
fn visit(folder: &Path, prefix: &str, list: &mut String) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = format!("{prefix}{}", name.to_string_lossy());
        if path.is_dir() {
            visit(&path, &format!("{name}/"), list)?;
        } else if name.ends_with(".yaml") || name.ends_with(".lock") {
            println!("cargo:rerun-if-changed={}", path.display());
            writeln!(
                list,
                "    ({name:?}, include_str!({:?})),",
                path.display().to_string()
            )?;
        }
    }
    Ok(())
}
