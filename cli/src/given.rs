//! What people hand over: a link of ours, a transport's own link, a SIP008 document, or a file that holds one of them.

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use commucat_bundle::Bundle;
use commucat_proto::link::{Link, MAX_LINK_BYTES};

use crate::exit::{OrExit as _, usage};

const HINT: &str = "a link begins with commucat://, ss:// or commucat-ws://; `commucat up` prints one";

/// Reads a link, or the file or standard input (`-`) that holds one.
pub(crate) fn link(bundle: &Bundle, given: &str) -> anyhow::Result<Link> {
    let text = if given.contains("://") { given.to_owned() } else { read(given)? };
    parse(bundle, text.trim())
}

fn read(given: &str) -> anyhow::Result<String> {
    // One byte more than a link may have, so that a longer one is refused instead of cut.
    let limit = MAX_LINK_BYTES as u64 + 1;
    let mut text = String::new();
    if given == "-" {
        std::io::stdin()
            .take(limit)
            .read_to_string(&mut text)
            .context("cannot read standard input")
            .or_usage(HINT)?;
        return Ok(text);
    }
    let path = Path::new(given);
    if !path.exists() {
        return Err(usage(format!("`{given}` is neither a link nor a file"), HINT));
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {given}")).or_usage(HINT)?;
    file.take(limit)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {given}"))
        .or_usage(HINT)?;
    Ok(text)
}

fn parse(bundle: &Bundle, text: &str) -> anyhow::Result<Link> {
    if Link::has_scheme(text) {
        return Link::parse(text).or_usage("ask whoever runs the bridge for the link again");
    }
    if text.starts_with('{') {
        let endpoints =
            bundle.parse_document(text).context("the document holds no usable server").or_usage(HINT)?;
        let name = endpoints.first().map(|(name, _spec)| name.clone()).unwrap_or_default();
        return Ok(Link::new(&name, endpoints.into_iter().map(|(_name, spec)| spec).collect(), false));
    }
    let mut endpoints = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        endpoints.push(bundle.parse_link(line).context("the link cannot be used").or_usage(HINT)?);
    }
    if endpoints.is_empty() {
        return Err(usage("there is no link in it", HINT));
    }
    Ok(Link::new("", endpoints, false))
}
