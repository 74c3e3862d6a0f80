//! One digest over many files, to know whether a step has anything to do.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// Folders that are made by tools.
const MADE: [&str; 3] = ["node_modules", "target", "dist"];

/// The digest over the names and contents of all files under these paths.
pub(crate) fn of(root: &Path, paths: &[&str], words: &[String]) -> Result<String> {
    let mut digest = Sha256::new();
    for word in words {
        digest.update(word.as_bytes());
        digest.update([0]);
    }
    for file in files(root, paths)? {
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update([0]);
        digest.update(u64::try_from(bytes.len())?.to_le_bytes());
        digest.update(&bytes);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// All files under these paths that people wrote, in order.
pub(crate) fn files(root: &Path, paths: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let walk = WalkDir::new(root.join(path)).sort_by_file_name().into_iter().filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            let hidden = entry.depth() > 0 && name.starts_with('.') && entry.file_type().is_dir();
            !hidden && !MADE.contains(&name.as_ref())
        });
        for entry in walk {
            let entry = entry.with_context(|| format!("cannot list {path}"))?;
            if entry.file_type().is_file() {
                found.push(entry.into_path());
            }
        }
    }
    Ok(found)
}
