//! Compiles the protocol's frames (no protoc needed) and bakes in a digest of what the engine is built from.
//!
//! The digest lets Python refuse a stale build: src/iris/wire/engine.py computes the same one over the files of a checkout.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const PROTOCOL: &str = "../protocol";
const FRAMES: &str = "iris/v1/frames.proto";

fn main() -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile([FRAMES], [PROTOCOL])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    let mut sources = rust_files(Path::new("src"))?;
    sources.push(PathBuf::from("build.rs"));
    sources.push(PathBuf::from("Cargo.toml"));
    sources.push(Path::new(PROTOCOL).join(FRAMES));
    sources.sort();
    for source in &sources {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-env=IRIS_SOURCE_DIGEST={}", digest(&sources)?);
    Ok(())
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// CRC-32 over the CRC-32s of the files, in order of their paths: quick to repeat in Python (zlib), and enough to see a change.
fn digest(sources: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let mut sums = Vec::new();
    for source in sources {
        sums.extend_from_slice(&crc32(&fs::read(source)?).to_be_bytes());
    }
    Ok(format!("{:08x}-{}", crc32(&sums), sources.len()))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}
