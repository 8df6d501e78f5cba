//! The hellos in use: those that are built in, or newer ones of a pack.

use super::{Code, Extension, Pack, PackError, Template, TemplateError};

/// The version of the templates that are built in; counts up when one of them changes. A pack must be newer.
pub const BUILT_IN_VERSION: u64 = 1;
/// X25519MLKEM768 and X25519 (IANA's registry of TLS groups).
const HYBRID: Code = Code::Known(0x11ec);
const X25519: Code = Code::Known(0x001d);

/// One template of each browser that we can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hellos {
    version: u64,
    chromium: Template,
    firefox: Template,
}

impl Hellos {
    /// Those of this program.
    ///
    /// # Errors
    /// Never: a test reads them.
    pub fn built_in() -> Result<Self, TemplateError> {
        let (chromium, firefox) = (Template::chromium_156()?, Template::firefox_153()?);
        Ok(Self { version: BUILT_IN_VERSION, chromium, firefox })
    }

    /// Those of a pack: of each browser the template with the greatest number, as in `chromium-158`. A browser that the
    /// pack leaves out stays as it is built in.
    ///
    /// # Errors
    /// [`PackError::NoBrowser`] when it leaves out all; [`PackError::Template`] when a template that would be used has no
    /// share of X25519MLKEM768 before the one of X25519: bridges take such hellos for strangers.
    pub fn of_pack(pack: &Pack) -> Result<Self, PackError> {
        let built_in = Self::built_in()
            .map_err(|source| PackError::Template { name: "that is built in".to_owned(), source })?;
        let (chromium, firefox) = (newest(pack, "chromium-")?, newest(pack, "firefox-")?);
        if chromium.is_none() && firefox.is_none() {
            return Err(PackError::NoBrowser);
        }
        Ok(Self {
            version: pack.version,
            chromium: chromium.unwrap_or(built_in.chromium),
            firefox: firefox.unwrap_or(built_in.firefox),
        })
    }

    /// The pack's version, or [`BUILT_IN_VERSION`].
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Chromium's.
    pub const fn chromium(&self) -> &Template {
        &self.chromium
    }

    /// Firefox's.
    pub const fn firefox(&self) -> &Template {
        &self.firefox
    }
}

fn newest(pack: &Pack, family: &str) -> Result<Option<Template>, PackError> {
    let number = |template: &&Template| template.name.strip_prefix(family)?.parse::<u32>().ok();
    let newest = pack.templates.iter().filter(|one| number(one).is_some()).max_by_key(number);
    let Some(template) = newest else { return Ok(None) };
    if !has_hybrid_first(template) {
        let source = TemplateError::Lacks("a share of X25519MLKEM768 before the one of X25519");
        return Err(PackError::Template { name: template.name.clone(), source });
    }
    Ok(Some(template.clone()))
}

fn has_hybrid_first(template: &Template) -> bool {
    let shares = template.extensions.iter().find_map(|extension| match extension {
        Extension::KeyShare { shares, .. } => Some(shares.as_slice()),
        _ => None,
    });
    let place = |group| shares.unwrap_or_default().iter().position(|share| *share == group);
    place(HYBRID).is_some_and(|hybrid| place(X25519).is_none_or(|alone| hybrid < alone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Template {
        Template { name: name.to_owned(), ..Template::firefox_153().unwrap() }
    }

    #[test]
    fn the_newest_of_each_browser_is_used() {
        let built_in = Hellos::built_in().unwrap();
        assert_eq!(built_in.version(), BUILT_IN_VERSION);
        let pack = Pack::new(7, vec![named("chromium-99"), named("chromium-158"), named("chromium-beta")]);
        let hellos = Hellos::of_pack(&pack).unwrap();
        assert_eq!((hellos.version(), hellos.chromium().name.as_str()), (7, "chromium-158"));
        assert_eq!(hellos.firefox(), built_in.firefox());
        let none = Pack::new(7, vec![named("safari-20")]);
        assert!(matches!(Hellos::of_pack(&none), Err(PackError::NoBrowser)));
    }

    #[test]
    fn a_hello_that_no_bridge_would_know_is_refused() {
        let mut template = named("firefox-160");
        for extension in &mut template.extensions {
            if let Extension::KeyShare { shares, .. } = extension {
                shares.retain(|share| *share != HYBRID);
            }
        }
        let error = Hellos::of_pack(&Pack::new(7, vec![template])).unwrap_err();
        assert!(error.to_string().contains("firefox-160"), "{error}");
    }
}
