//! What each crate of the workspace depends on, as cargo itself reads it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;
use crate::tools::cargo;

/// A crate of the workspace.
#[derive(Debug, Clone)]
pub(super) struct Crate {
    pub(super) name: String,
    /// Its folder, seen from the root.
    pub(super) folder: PathBuf,
    /// What it uses when it runs.
    pub(super) uses: Vec<String>,
    /// What only its tests use.
    pub(super) tests_use: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

pub(super) fn read_all(root: &Path) -> Result<Vec<Crate>> {
    let text = shell::quiet(cargo::cargo().args(["metadata", "--no-deps", "--format-version", "1", "--offline"]))
        .or_else(|_| shell::quiet(cargo::cargo().args(["metadata", "--no-deps", "--format-version", "1"])))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata answered something strange")?;
    metadata.packages.into_iter().map(|package| read(root, package)).collect()
}

fn read(root: &Path, package: Package) -> Result<Crate> {
    let (tests_use, uses) = package.dependencies.into_iter().partition::<Vec<_>, _>(|dependency| dependency.kind.as_deref() == Some("dev"));
    let names = |list: Vec<Dependency>| list.into_iter().map(|dependency| dependency.name).collect();
    let folder = package.manifest_path.parent().unwrap_or(root).strip_prefix(root).unwrap_or(root).to_owned();
    Ok(Crate { name: package.name, folder, uses: names(uses), tests_use: names(tests_use) })
}
