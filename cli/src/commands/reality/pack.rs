//! `commucat reality pack`: hellos of newer browsers, for everybody who trusts the key that signs them.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use commucat_mimic::{BUILT_IN_VERSION, Hellos, MAX_PACK_BYTES, Pack, Template};
use commucat_net::SystemNet;
use commucat_transport_api::{Net as _, Secret};

use crate::{
    exit::{Exit, OrExit as _, usage},
    terminal::{note, say},
};

/// Bytes of a signing key.
const SEED_BYTES: usize = 32;
/// A text of a key has fewer bytes.
const MAX_KEY_FILE_BYTES: u64 = 256;

/// Make and sign packs of hellos: new browsers without a new program
#[derive(Debug, clap::Args)]
pub(super) struct PackArgs {
    #[command(subcommand)]
    command: PackCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PackCommand {
    /// Make a signing key, and show the key that clients need
    Key {
        /// Where the secret key goes; only you can read the file
        #[arg(value_name = "FILE")]
        out: PathBuf,
    },
    /// Show a template that is built in, to begin a newer one from
    Template {
        /// Whose
        #[arg(value_enum)]
        browser: Browser,
    },
    /// Put templates into a pack, and check that each can be a hello
    Make {
        /// Files with a template each, named chromium-NUMBER or firefox-NUMBER inside
        #[arg(value_name = "TEMPLATE", required = true)]
        templates: Vec<PathBuf>,
        /// Counts up with each pack; clients take a pack only when it is newer than what is built in
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(BUILT_IN_VERSION + 1..))]
        version: u64,
        /// Where the pack goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a pack: the signature goes into FILE.sig
    Sign {
        /// The pack
        #[arg(value_name = "FILE")]
        pack: PathBuf,
        /// The file with the signing key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Browser {
    Chromium,
    Firefox,
}

pub(super) fn run(args: PackArgs) -> anyhow::Result<Exit> {
    match args.command {
        PackCommand::Key { out } => make_key(&out),
        PackCommand::Template { browser } => show(browser),
        PackCommand::Make { templates, version, out } => make(&templates, version, &out),
        PackCommand::Sign { pack, key } => sign(&pack, &key),
    }
}

/// Reads a pack, whoever signed it.
pub(super) fn read(path: &Path) -> anyhow::Result<Pack> {
    Pack::unverified(&document(path)?)
        .with_context(|| format!("{} is no pack", path.display()))
        .or_usage("`commucat reality pack make` makes one")
}

fn document(path: &Path) -> anyhow::Result<Vec<u8>> {
    // One byte more than a pack may have, so that a longer one is refused instead of cut.
    read_at_most(path, MAX_PACK_BYTES as u64 + 1)
}

fn make_key(out: &Path) -> anyhow::Result<Exit> {
    let mut seed = [0; SEED_BYTES];
    SystemNet::default().fill_random(&mut seed)?;
    let seed = Secret::new(seed);
    let public = Pack::public_key(seed.expose())?;
    let text = Secret::new(format!("{}\n", URL_SAFE_NO_PAD.encode(seed.expose())));
    // An older key is somebody's trust: it is never written over.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .with_context(|| format!("cannot write {}", out.display()))
        .or_usage("choose another file")?;
    file.write_all(text.expose().as_bytes()).with_context(|| format!("cannot write {}", out.display()))?;
    note(format_args!("The secret key is in {}. Clients need this one:", out.display()));
    say(URL_SAFE_NO_PAD.encode(public))?;
    Ok(Exit::Ok)
}

fn show(browser: Browser) -> anyhow::Result<Exit> {
    let hellos = Hellos::built_in()?;
    let template = match browser {
        Browser::Chromium => hellos.chromium(),
        Browser::Firefox => hellos.firefox(),
    };
    say(serde_json::to_string_pretty(template)?)?;
    Ok(Exit::Ok)
}

fn make(templates: &[PathBuf], version: u64, out: &Path) -> anyhow::Result<Exit> {
    let read = |path: &PathBuf| {
        let text = String::from_utf8(document(path)?).or_usage("a template is JSON")?;
        Template::from_json(&text)
            .with_context(|| format!("{} is no template", path.display()))
            .or_usage("`commucat reality pack template chromium` shows one")
    };
    let pack = Pack::new(version, templates.iter().map(read).collect::<anyhow::Result<_>>()?);
    let hellos = Hellos::of_pack(&pack).or_usage("name the templates as in \"name\": \"chromium-158\"")?;
    let document = serde_json::to_vec_pretty(&pack)?;
    Pack::unverified(&document).or_exit(Exit::Usage)?;
    std::fs::write(out, document)
        .with_context(|| format!("cannot write {}", out.display()))
        .or_exit(Exit::Usage)?;
    let names = [hellos.chromium(), hellos.firefox()].map(|template| template.name.as_str());
    note(format_args!("{} has version {version}; clients will be {}", out.display(), names.join(" and ")));
    Ok(Exit::Ok)
}

fn sign(pack: &Path, key: &Path) -> anyhow::Result<Exit> {
    let document = document(pack)?;
    let text = Secret::new(read_at_most(key, MAX_KEY_FILE_BYTES)?);
    let seed = Secret::new(URL_SAFE_NO_PAD.decode(text.expose().trim_ascii()).unwrap_or_default());
    let (signature, public) = Pack::sign(&document, seed.expose())
        .with_context(|| format!("cannot sign {}", pack.display()))
        .or_usage("`commucat reality pack key` makes keys, `commucat reality pack make` makes packs")?;
    let mut beside = pack.as_os_str().to_owned();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    std::fs::write(&beside, format!("{}\n", URL_SAFE_NO_PAD.encode(signature)))
        .with_context(|| format!("cannot write {}", beside.display()))
        .or_exit(Exit::Usage)?;
    note(format_args!("The signature is in {}. Clients who trust this key take the pack:", beside.display()));
    say(URL_SAFE_NO_PAD.encode(public))?;
    Ok(Exit::Ok)
}

fn read_at_most(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    read().map_err(|error| {
        usage(format!("cannot read {}: {error}", path.display()), "give a file that you can read")
    })
}
