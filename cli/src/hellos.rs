//! Hellos of newer browsers than this program knows, from a signed pack.

use std::path::PathBuf;

use commucat_bundle::Bundle;

use crate::exit::OrExit as _;

const HINT: &str = "`commucat reality pack --help` says how packs are made and signed";

/// Which pack, and whose.
#[derive(Debug, clap::Args)]
pub(crate) struct HelloArgs {
    /// Hellos of newer browsers: a pack, beside which its signature stands in FILE.sig
    #[arg(long, value_name = "FILE", env = "COMMUCAT_HELLO_PACK", requires = "hello_pack_key")]
    hello_pack: Option<PathBuf>,

    /// The key that signed the pack, in base64url
    #[arg(long, value_name = "KEY", env = "COMMUCAT_HELLO_PACK_KEY", requires = "hello_pack")]
    hello_pack_key: Option<String>,
}

impl HelloArgs {
    /// The transports, with the pack's hellos when there is a pack.
    pub(crate) fn bundle(&self) -> anyhow::Result<Bundle> {
        match (&self.hello_pack, &self.hello_pack_key) {
            (Some(pack), Some(key)) => Bundle::with_hello_pack(pack, key).or_usage(HINT),
            _ => Ok(Bundle::standard()),
        }
    }
}
