//! `commucat reality fingerprint`: the hellos of our clients, beside one that was captured.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use commucat_dissect::tls::{ClientHello, Defragment, Transport, client_hello, is_grease};
use commucat_mimic::{Client, ClientOptions, Hellos, NoRandomness, Template, WebPki};
use commucat_net::SystemNet;
use commucat_transport_api::Net as _;
use serde::Serialize;

use super::pack;
use crate::{
    exit::{Exit, OrExit as _, usage},
    terminal::{say, say_json},
};

/// Show the hellos of our clients, or compare them with a captured one
#[derive(Debug, clap::Args)]
pub(super) struct FingerprintArgs {
    /// The name in the hello
    #[arg(long, value_name = "HOST", default_value = "www.example.com")]
    name: String,

    /// The first TLS record of a browser, as it was received, to compare with
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    /// The hellos of this pack instead of those that are built in; its signature is not looked at
    #[arg(long, value_name = "FILE")]
    pack: Option<PathBuf>,

    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What a censor reads in a hello.
#[derive(Debug, Serialize)]
struct Shown {
    of: String,
    ja4: String,
    bytes: usize,
    extensions: Vec<String>,
}

pub(super) fn run(args: &FingerprintArgs) -> anyhow::Result<Exit> {
    let mut all = Vec::new();
    let hellos = match &args.pack {
        None => Hellos::built_in()?,
        Some(file) => Hellos::of_pack(&pack::read(file)?).or_exit(Exit::Usage)?,
    };
    for template in [hellos.chromium().clone(), hellos.firefox().clone()] {
        let name = template.name.clone();
        all.push((shown(&name, &ours(template, &args.name)?), name));
    }
    let captured = args.compare.as_ref().map(read).transpose()?;
    let captured = captured.as_ref().map(|hello| shown("captured", hello));
    if args.json {
        let ours: Vec<&Shown> = all.iter().map(|(shown, _)| shown).collect();
        say_json(&serde_json::json!({ "ours": ours, "captured": captured }))?;
    } else {
        for one in all.iter().map(|(shown, _)| shown).chain(&captured) {
            say(format_args!("{:<14} {}  {} bytes", one.of, one.ja4, one.bytes))?;
            say(format_args!("               extensions {}", one.extensions.join(" ")))?;
        }
    }
    let Some(captured) = captured else { return Ok(Exit::Ok) };
    // Chrome permutes its extensions, so a captured hello is ours when the set is the same.
    let same = all.iter().find(|(shown, _)| shown.ja4 == captured.ja4 && set(shown) == set(&captured));
    if let (Some((_, name)), false) = (same, args.json) {
        say(format_args!("the captured hello is one of {name}"))?;
    }
    if same.is_none() && !args.json {
        say("the captured hello is none of ours")?;
    }
    Ok(if same.is_some() { Exit::Ok } else { Exit::Failed })
}

fn set(shown: &Shown) -> Vec<&String> {
    let mut set: Vec<_> = shown.extensions.iter().collect();
    set.sort();
    set
}

/// A fresh hello of this browser.
fn ours(template: Template, name: &str) -> anyhow::Result<ClientHello> {
    let net = SystemNet::default();
    let mut random = |bytes: &mut [u8]| net.fill_random(bytes).map_err(|_error| NoRandomness);
    let options = ClientOptions::new(template, Some(name), Arc::new(WebPki::bundled()));
    let client = Client::new(options, Duration::ZERO, &mut random)?;
    ClientHello::parse(client.client_hello()).context("our own hello cannot be read")
}

fn read(file: &PathBuf) -> anyhow::Result<ClientHello> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let hello = client_hello(&bytes, Defragment::Records).complete();
    hello.map(|hello| *hello).ok_or_else(|| {
        usage(
            format_args!("{} holds no whole TLS hello", file.display()),
            "the bytes of the first record are expected, as `nc -l` would receive them",
        )
    })
}

fn shown(of: &str, hello: &ClientHello) -> Shown {
    let extensions = hello
        .extensions()
        .map(|(number, _body)| if is_grease(number) { "grease".to_owned() } else { format!("{number:04x}") });
    Shown {
        of: of.to_owned(),
        ja4: hello.ja4(Transport::Tcp),
        bytes: hello.message().len(),
        extensions: extensions.collect(),
    }
}
