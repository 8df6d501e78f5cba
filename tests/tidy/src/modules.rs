//! Which source files make up a crate, found as the compiler finds them: from the root file along its `mod` lines.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result};
use syn::{Attribute, Expr, Item, Lit, Meta};

use crate::{File, files::normal};

/// A source file as part of a crate.
#[derive(Clone)]
pub struct Module {
    /// Relative to the root of the checkout.
    pub path: String,
    /// Its syntax, without the items that only tests see.
    pub syntax: syn::File,
    /// Whether only tests see the whole file.
    pub test_only: bool,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("path", &self.path)
            .field("test_only", &self.test_only)
            .finish_non_exhaustive()
    }
}

/// The files of the crate whose root file is `root`, out of `files`.
///
/// # Errors
/// A file does not parse, or a `mod` line has no file.
pub fn modules(root: &str, files: &BTreeMap<String, File>) -> Result<Vec<Module>> {
    let mut found = Vec::new();
    let folder = parent(root).to_owned();
    follow(root, &folder, false, files, &mut found)?;
    Ok(found)
}

/// `folder` is where the files of this module's own submodules lie.
fn follow(
    path: &str,
    folder: &str,
    test_only: bool,
    files: &BTreeMap<String, File>,
    found: &mut Vec<Module>,
) -> Result<()> {
    let file =
        files.get(path).with_context(|| format!("{path}: a `mod` line names it, and it is not there"))?;
    let mut syntax = syn::parse_file(&file.text).with_context(|| path.to_owned())?;
    let items = syntax.items.clone();
    syntax.items.retain(|item| !only_for_tests(attributes(item)));
    found.push(Module { path: path.to_owned(), syntax, test_only });
    submodules(&items, path, folder, test_only, files, found)
}

fn submodules(
    items: &[Item],
    path: &str,
    folder: &str,
    test_only: bool,
    files: &BTreeMap<String, File>,
    found: &mut Vec<Module>,
) -> Result<()> {
    for item in items {
        let Item::Mod(module) = item else { continue };
        let test_only = test_only || only_for_tests(&module.attrs);
        let name = module.ident.to_string();
        let inner = format!("{folder}/{name}");
        if let Some((_brace, items)) = &module.content {
            submodules(items, path, &inner, test_only, files, found)?;
            continue;
        }
        if let Some(written) = path_attribute(&module.attrs) {
            let file = normal(&format!("{}/{written}", parent(path)));
            let below = parent(&file).to_owned();
            follow(&file, &below, test_only, files, found)?;
            continue;
        }
        let flat = format!("{inner}.rs");
        let folded = format!("{inner}/mod.rs");
        let file = if files.contains_key(&folded) { folded } else { flat };
        follow(&file, &inner, test_only, files, found)?;
    }
    Ok(())
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _name)| folder)
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

/// `#[cfg(test)]`, `#[cfg(all(test, …))]` and `#[test]`, but not `#[cfg(not(test))]` or `#[cfg(any(test, …))]`.
fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.segments.last().is_some_and(|last| last.ident == "test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            condition == "test" || condition.starts_with("all(test,")
        }
        Meta::List(list) => list.path.segments.last().is_some_and(|last| last.ident == "test"),
        Meta::NameValue(_) => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
