//! The crates of the workspace, from `cargo metadata`.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::{files::normal, root};

/// A crate of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root.
    pub folder: String,
    /// `package.metadata.commucat.floor`.
    pub floor: Option<u64>,
    /// `package.description`.
    pub description: Option<String>,
    /// Root files of its library and its programs, relative to the root of the checkout.
    pub roots: Vec<String>,
    /// Root files of its tests, benches, examples and build script.
    pub side_roots: Vec<String>,
    /// What its manifest asks for.
    pub dependencies: Vec<Dependency>,
}

/// A line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package.
    pub name: String,
    /// Whether only tests, benches and examples see it.
    pub dev: bool,
}

/// Every member of the workspace.
///
/// # Errors
/// `cargo metadata` failed.
pub fn crates() -> Result<Vec<Crate>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let base = metadata.workspace_root.clone();
    metadata.packages.iter().map(|package| read(package, base.as_str())).collect()
}

fn read(package: &Package, base: &str) -> Result<Crate> {
    let relative = |path: &str| normal(path.strip_prefix(base).unwrap_or(path));
    let manifest = relative(package.manifest_path.as_str());
    let folder = manifest.strip_suffix("/Cargo.toml").context("a member without a folder")?.to_owned();
    let (product, side): (Vec<_>, Vec<_>) = package
        .targets
        .iter()
        .partition(|target| target.is_lib() || target.is_bin() || target.is_proc_macro());
    Ok(Crate {
        name: package.name.to_string(),
        folder,
        floor: package.metadata.pointer("/commucat/floor").and_then(|floor| floor.as_u64()),
        description: package.description.clone(),
        roots: product.iter().map(|target| relative(target.src_path.as_str())).collect(),
        side_roots: side.iter().map(|target| relative(target.src_path.as_str())).collect(),
        dependencies: package
            .dependencies
            .iter()
            .map(|dependency| Dependency {
                name: dependency.name.clone(),
                dev: dependency.kind == DependencyKind::Development,
            })
            .collect(),
    })
}
