//! Every path that a source file mentions, written out in full: `use tokio::time as t; t::sleep(…)` mentions
//! `tokio::time` and `tokio::time::sleep`. Inside macros, where
//! there is only a row of tokens, names with `::` between them.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::{UseTree, spanned::Spanned, visit::Visit};

/// A path and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// `std::time::Instant::now`; a macro ends in `!`.
    pub path: String,
    /// Line in the file, from 1.
    pub line: usize,
}

impl Mention {
    /// Whether this is `forbidden` or something inside it.
    pub fn is_in(&self, forbidden: &str) -> bool {
        self.path.strip_prefix(forbidden).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }

    /// What stands after the last `::`.
    pub fn last(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or_default()
    }
}

/// All mentions of a file, in the order of the source.
pub fn mentions(file: &syn::File) -> Vec<Mention> {
    let mut imports = Imports::default();
    imports.visit_file(file);
    let mut walk = Walk { names: imports.names, found: imports.found };
    walk.visit_file(file);
    walk.found.sort_by_key(|mention| mention.line);
    walk.found
}

#[derive(Default)]
struct Imports {
    /// The short name in this file, and the path that it stands for.
    names: BTreeMap<String, String>,
    found: Vec<Mention>,
}

impl Imports {
    fn read(&mut self, tree: &UseTree, prefix: &str) {
        let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
        match tree {
            UseTree::Path(path) => self.read(&path.tree, &join(&path.ident.to_string())),
            UseTree::Name(name) if name.ident == "self" => {
                let short = prefix.rsplit("::").next().unwrap_or_default().to_owned();
                self.add(short, prefix.to_owned(), tree);
            }
            UseTree::Name(name) => self.add(name.ident.to_string(), join(&name.ident.to_string()), tree),
            UseTree::Rename(rename) if rename.ident == "self" => {
                self.add(rename.rename.to_string(), prefix.to_owned(), tree);
            }
            UseTree::Rename(rename) => {
                self.add(rename.rename.to_string(), join(&rename.ident.to_string()), tree)
            }
            UseTree::Glob(_) => self.found.push(Mention { path: prefix.to_owned(), line: line(tree) }),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.read(tree, prefix)),
        }
    }

    fn add(&mut self, short: String, full: String, at: &UseTree) {
        self.found.push(Mention { path: full.clone(), line: line(at) });
        self.names.insert(short, full);
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.read(&item.tree, "");
    }
}

struct Walk {
    names: BTreeMap<String, String>,
    found: Vec<Mention>,
}

impl Walk {
    fn add(&mut self, written: &str, line: usize) {
        let (first, rest) =
            written.split_once("::").map_or((written, None), |(first, rest)| (first, Some(rest)));
        let full = self.names.get(first).map_or(first, String::as_str);
        let path = rest.map_or_else(|| full.to_owned(), |rest| format!("{full}::{rest}"));
        self.found.push(Mention { path, line });
    }
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::");
        self.add(&written, line(path));
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        let name = invoked
            .path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect::<Vec<_>>()
            .join("::");
        let at = line(&invoked.path);
        self.add(&format!("{name}!"), at);
        self.row(invoked.tokens.clone());
    }
}

impl Walk {
    /// The paths in a row of tokens: names with `::` between them, and a `!` behind a macro's.
    fn row(&mut self, tokens: TokenStream) {
        let mut path = String::new();
        let mut at = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if !path.ends_with("::") {
                        self.end(&mut path, at);
                    }
                    at = name.span().start().line;
                    path.push_str(&name.to_string());
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => path.push(':'),
                TokenTree::Punct(mark) if mark.as_char() == '!' && !path.is_empty() => path.push('!'),
                TokenTree::Group(group) => {
                    self.end(&mut path, at);
                    self.row(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.end(&mut path, at),
            }
        }
        self.end(&mut path, at);
    }

    fn end(&mut self, path: &mut String, line: usize) {
        let whole = path.trim_end_matches(':');
        if !whole.is_empty() {
            self.add(whole, line);
        }
        path.clear();
    }
}

fn line(node: &impl Spanned) -> usize {
    node.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        mentions(&syn::parse_file(source).unwrap()).into_iter().map(|mention| mention.path).collect()
    }

    #[test]
    fn short_names_are_written_out() {
        let found = paths("use tokio::time as t;\nfn f() { t::sleep(D); }");
        assert!(found.contains(&"tokio::time::sleep".to_owned()), "{found:?}");
    }

    #[test]
    fn a_group_and_its_self_are_read() {
        let found =
            paths("use std::{thread::{self, Builder}};\nfn f() { thread::spawn(g); Builder::new(); }");
        assert!(found.contains(&"std::thread::spawn".to_owned()), "{found:?}");
        assert!(found.contains(&"std::thread::Builder::new".to_owned()), "{found:?}");
    }

    #[test]
    fn macros_are_looked_into() {
        let found = paths("fn f() { tokio::select! { _ = tokio::time::sleep(d) => todo!(), } }");
        assert!(found.contains(&"tokio::time::sleep".to_owned()), "{found:?}");
        assert!(found.contains(&"todo!".to_owned()), "{found:?}");
    }

    #[test]
    fn lines_are_known() {
        let found = mentions(&syn::parse_file("\n\nfn f() { a::b(); }").unwrap());
        assert_eq!(found, [Mention { path: "a::b".to_owned(), line: 3 }]);
    }
}
