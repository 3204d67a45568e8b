//! Compiles `fedsx/v1/*.proto` with protox, so that no system protoc is needed.

use std::path::PathBuf;

use protox::prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let files =
        ["log", "projection", "flows", "delivery"].map(|name| root.join(format!("fedsx/v1/{name}.proto")));
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    let descriptors = protox::compile(&files, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("fedsx.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Stored beside each entry as JSON, where an unknown or a missing field is no error.
        .type_attribute(
            "fedsx.v1.Meta",
            "#[derive(serde::Serialize, serde::Deserialize)]\n#[serde(default)]",
        )
        .bytes(".fedsx.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
