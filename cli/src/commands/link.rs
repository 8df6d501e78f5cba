//! `commucat link`: look into a link, draw it, turn it into another form.

use std::{io::IsTerminal, path::PathBuf};

use anyhow::Context as _;
use commucat_bundle::Bundle;
use commucat_proto::link::Link;
use commucat_transport_api::{Secret, Spec};

use crate::{
    exit::usage,
    given, qr,
    terminal::{self, colour, note, say, say_json},
};

/// Look into a link, draw it as a QR code, convert it
#[derive(Debug, clap::Args)]
pub(crate) struct LinkArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say what is in a link: its endpoints, without keys
    Show {
        /// A link, a file that holds one, or - for standard input
        link: String,
        /// As JSON; keys are included only with --secrets
        #[arg(long)]
        json: bool,
        /// Include keys
        #[arg(long, requires = "json")]
        secrets: bool,
    },
    /// Draw a link as a QR code
    Qr {
        /// A link, a file that holds one, or - for standard input
        link: String,
        /// Write an SVG file instead of drawing on the terminal
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Turn a link into another form
    Convert {
        /// A link, a file that holds one, or - for standard input
        link: String,
        /// The form: commucat (one link with all endpoints), native (one link of each transport's own scheme a line), sip008 (a JSON document of all Shadowsocks servers), json (the endpoints as JSON)
        #[arg(long, value_enum, default_value_t = Form::Native)]
        to: Form,
        /// The name to put into it
        #[arg(long)]
        name: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Commucat,
    Native,
    Sip008,
    Json,
}

pub(crate) fn run(args: LinkArgs) -> anyhow::Result<()> {
    let bundle = Bundle::standard();
    match args.action {
        Action::Show { link, json, secrets } => show(&bundle, &given::link(&bundle, &link)?, json, secrets),
        Action::Qr { link, svg } => draw(&given::link(&bundle, &link)?, svg),
        Action::Convert { link, to, name } => {
            convert(&bundle, &given::link(&bundle, &link)?, to, name.as_deref())
        }
    }
}

fn show(bundle: &Bundle, link: &Link, json: bool, secrets: bool) -> anyhow::Result<()> {
    if json {
        let endpoints: Vec<Spec> =
            link.endpoints.iter().map(|spec| if secrets { spec.clone() } else { public(spec) }).collect();
        let form = serde_json::json!({ "name": link.name, "assist": link.assist, "endpoints": endpoints });
        return say_json(&form);
    }
    let mut rows = vec![["transport", "endpoint", "carried by", "usable here"].map(str::to_owned).to_vec()];
    for spec in &link.endpoints {
        let usable = match bundle.client(spec) {
            Ok(_) => "yes".to_owned(),
            Err(error) => format!(
                "no: {}",
                anyhow::Error::from(error).chain().map(|e| e.to_string()).collect::<Vec<_>>().join(": ")
            ),
        };
        let via = spec.via.as_ref().map_or_else(|| "-".to_owned(), |via| via.transport.to_string());
        rows.push(vec![spec.transport.to_string(), spec.endpoint.to_string(), via, usable]);
    }
    if !link.name.is_empty() {
        say(format_args!("bridge   {}", link.name))?;
    }
    say(format_args!("assist   {}", if link.assist { "yes" } else { "no" }))?;
    say("")?;
    Ok(say(terminal::table(&rows))?)
}

/// The spec without its parameters: they hold the keys.
fn public(spec: &Spec) -> Spec {
    let via = spec.via.as_deref().map(|via| Box::new(public(via)));
    Spec { params: serde_json::Value::Null, via, ..spec.clone() }
}

fn draw(link: &Link, svg: Option<PathBuf>) -> anyhow::Result<()> {
    let text = link.to_text();
    let code = qr::encode(text.expose())?;
    if let Some(path) = svg {
        std::fs::write(&path, qr::svg(&code)).with_context(|| format!("cannot write {}", path.display()))?;
        note(format_args!("wrote {}; whoever sees it can use the bridge as this user", path.display()));
        return Ok(());
    }
    Ok(say(qr::terminal(&code, colour(std::io::stdout().is_terminal())))?)
}

fn convert(bundle: &Bundle, link: &Link, to: Form, name: Option<&str>) -> anyhow::Result<()> {
    let name = name.unwrap_or(&link.name);
    match to {
        Form::Commucat => Ok(say(Link::new(name, link.endpoints.clone(), link.assist).to_text().expose())?),
        Form::Json => say_json(&link.endpoints),
        Form::Sip008 => Ok(say(bundle.render_sip008(name, &link.endpoints)?.expose())?),
        Form::Native => {
            let links = native(bundle, link, name)?;
            if links.is_empty() {
                return Err(usage("no endpoint of this link has a link form of its own", "use --to json"));
            }
            links.iter().try_for_each(|text| Ok(say(text.expose())?))
        }
    }
}

fn native(bundle: &Bundle, link: &Link, name: &str) -> anyhow::Result<Vec<Secret<String>>> {
    let mut links = Vec::new();
    for spec in &link.endpoints {
        match bundle.client(spec)?.link(name) {
            Some(text) => links.push(text),
            None => note(format_args!("left out: {} has no link form for this endpoint", spec.transport)),
        }
    }
    Ok(links)
}
