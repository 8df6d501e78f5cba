//! `commucat demo`: the main job on one machine, and its proof.
//!
//! Starts this very program as a bridge and, for each transport, as a client; fetches a page and a large file from an
//! origin of its own through each client's SOCKS5 port; compares digests; prints one table. Nothing leaves loopback.

mod fetch;
mod origin;
mod process;

use std::time::Duration;

use anyhow::Context as _;
use commucat_bundle::Bundle;
use commucat_proto::link::Link;

use self::{fetch::Fetched, origin::Origin, process::Child};
use crate::{
    exit::{Exit, failed},
    terminal::{Style, Styled, note, say, say_json, table},
};

/// Size of the large file, in bytes.
const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Longest time for one transport's whole run. Far above what it takes; only a hang reaches it.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Start a bridge and a client on this machine and fetch through every transport
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Stay up afterwards, for trying it with a browser
    #[arg(long)]
    keep: bool,
    /// The table as JSON lines
    #[arg(long)]
    json: bool,
}

struct Row {
    transport: String,
    outcome: anyhow::Result<Run>,
}

struct Run {
    connect: Duration,
    page: Fetched,
    file: Fetched,
}

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a temporary directory")?;
    let origin = Origin::start(FILE_BYTES).await?;
    note(format_args!("bridge   starting (state in {})", scratch.path().display()));
    let bridge = Child::bridge(scratch.path()).await?;
    let link = Link::parse(&bridge.link)?;
    for spec in &link.endpoints {
        note(format_args!("         {} on {}", spec.transport, spec.endpoint));
    }

    let mut rows = Vec::new();
    let bundle = Bundle::standard();
    for descriptor in bundle.descriptors().filter(|known| !known.needs_operator) {
        let transport = descriptor.id.to_string();
        note(format_args!("client   {transport}: a page and {} MiB", FILE_BYTES >> 20));
        let attempt = tokio::time::timeout(RUN_LIMIT, one(&bridge.link, &transport, &origin));
        let outcome =
            attempt.await.unwrap_or_else(|_elapsed| Err(anyhow::anyhow!("did not finish in {RUN_LIMIT:?}")));
        rows.push(Row { transport, outcome });
    }
    print(&rows, &origin, args.json)?;
    let broken = rows.iter().filter(|row| !row.good(&origin)).count();
    if broken > 0 {
        return Err(failed(
            Exit::Failed,
            format_args!("{broken} of {} transports did not deliver", rows.len()),
        ));
    }
    if args.keep {
        keep(&bridge).await?;
    }
    Ok(())
}

async fn one(link: &str, transport: &str, origin: &Origin) -> anyhow::Result<Run> {
    let client = Child::client(link, Some(transport)).await?;
    let page = fetch::through_socks(client.proxy, origin.address, "/page").await.context("the page")?;
    let file = fetch::through_socks(client.proxy, origin.address, "/file").await.context("the large file")?;
    Ok(Run { connect: page.first_byte, page, file })
}

impl Row {
    fn good(&self, origin: &Origin) -> bool {
        let Ok(run) = &self.outcome else { return false };
        run.page.digest == origin.page_digest && run.file.digest == origin.file_digest
    }
}

impl Fetched {
    #[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
    fn mib_per_second(&self) -> f64 {
        self.bytes as f64 / (1024.0 * 1024.0) / self.took.as_secs_f64().max(1e-9)
    }
}

fn print(rows: &[Row], origin: &Origin, json: bool) -> anyhow::Result<()> {
    let mut cells = vec![["transport", "connect ms", "MiB/s", "digest"].map(str::to_owned).to_vec()];
    for row in rows {
        let good = row.good(origin);
        match &row.outcome {
            Ok(run) => {
                let connect = format!("{:.1}", run.connect.as_secs_f64() * 1000.0);
                let rate = format!("{:.1}", run.file.mib_per_second());
                let verdict = if good { "equal" } else { "DIFFERENT" };
                let digest =
                    format!("{verdict} ({}…)", run.file.digest.to_hex().chars().take(12).collect::<String>());
                cells.push(vec![row.transport.clone(), connect, rate, digest]);
            }
            Err(error) => {
                cells.push(vec![row.transport.clone(), "-".into(), "-".into(), format!("{error:#}")])
            }
        }
        if json {
            say_json(&serde_json::json!({
                "transport": row.transport,
                "ok": good,
                "connect_ms": row.outcome.as_ref().ok().map(|run| run.connect.as_secs_f64() * 1000.0),
                "mib_per_s": row.outcome.as_ref().ok().map(|run| run.file.mib_per_second()),
                "digest": row.outcome.as_ref().ok().map(|run| run.file.digest.to_hex().to_string()),
                "error": row.outcome.as_ref().err().map(|error| format!("{error:#}")),
            }))?;
        }
    }
    if !json {
        say("")?;
        say(table(&cells))?;
    }
    Ok(())
}

async fn keep(bridge: &Child) -> anyhow::Result<()> {
    let client = Child::client(&bridge.link, None).await?;
    note("");
    note(format_args!(
        "Put this proxy into a browser: {}",
        Styled(Style::Bold, format!("socks5h://{}", client.proxy))
    ));
    note(format_args!("or as an HTTP proxy:           http://{}", client.proxy));
    note(format_args!("try: curl -x socks5h://{} http://example.org/", client.proxy));
    note("The bridge runs on this machine and reaches whatever this machine reaches. Ctrl-C ends both.");
    tokio::signal::ctrl_c().await.context("cannot wait for ctrl-C")?;
    Ok(())
}
