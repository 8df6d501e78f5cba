//! `commucat user`: who may use the bridge. Works while the bridge runs; it notices within seconds.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    path::PathBuf,
};

use anyhow::Context as _;
use commucat_bundle::Bundle;
use commucat_server::{BridgeConfig, StateDir, Users, client_link, open_storage, setup};
use commucat_transport_api::{Host, User};

use super::serve;
use crate::{
    exit::{Exit, OrExit as _, usage},
    terminal::{note, say, say_json, table},
};

/// Add, list, disable and remove users; print a user's link
#[derive(Debug, clap::Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    action: Action,

    /// The state directory [default: /var/lib/commucat as root, else ~/.local/share/commucat]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    state: Option<PathBuf>,

    /// The configuration [default: bridge.toml in the state directory]
    #[arg(long, global = true, value_name = "FILE", env = "COMMUCAT_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a user and print the link
    Add {
        /// 1 to 64 letters, digits or any of - _ . @
        name: String,
        /// Something to remember the user by
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        public: Public,
    },
    /// List all users
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep a user out; open connections are cut
    Disable { name: String },
    /// Let a disabled user in again
    Enable { name: String },
    /// Remove a user; open connections are cut
    Rm {
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Give a user a new secret; the old link stops working
    Rotate {
        name: String,
        #[command(flatten)]
        public: Public,
    },
    /// Print a user's link
    Link {
        name: String,
        #[command(flatten)]
        public: Public,
    },
}

#[derive(Debug, clap::Args)]
struct Public {
    /// The address or name under which clients reach the bridge, when the configuration does not say
    #[arg(long, value_name = "HOST")]
    public: Option<String>,
}

struct Admin {
    users: Users,
    config: BridgeConfig,
}

pub(crate) async fn run(args: UserArgs) -> anyhow::Result<()> {
    let admin = open(&args).await?;
    let users = &admin.users;
    match args.action {
        Action::Add { name, note, public } => {
            let user = users.add(&name, &note).await.or_exit(Exit::Usage)?;
            admin.print_link(&user, &public)
        }
        Action::List { json } => list(users, json).await,
        Action::Disable { name } => users.disable(&name).await.or_exit(Exit::Usage),
        Action::Enable { name } => users.enable(&name).await.or_exit(Exit::Usage),
        Action::Rm { name, yes } => {
            users.get(&name).await.or_exit(Exit::Usage)?;
            if !yes && !confirmed(&name)? {
                return Err(usage("not removed", "answer `yes`, or give --yes"));
            }
            users.remove(&name).await.or_exit(Exit::Usage)
        }
        Action::Rotate { name, public } => {
            users.rotate(&name).await.or_exit(Exit::Usage)?;
            let user = users.get(&name).await.or_exit(Exit::Usage)?.user;
            admin.print_link(&user, &public)
        }
        Action::Link { name, public } => {
            let user = users.get(&name).await.or_exit(Exit::Usage)?.user;
            admin.print_link(&user, &public)
        }
    }
}

async fn open(args: &UserArgs) -> anyhow::Result<Admin> {
    let state = StateDir::open(args.state.as_deref()).or_exit(Exit::Usage)?;
    let path = args.config.clone().unwrap_or_else(|| state.config_path());
    if !path.exists() {
        let hint = "start a bridge with `commucat up`, or name its state with --state or its configuration with --config";
        return Err(usage(format!("there is no bridge here: {} does not exist", path.display()), hint));
    }
    let config = BridgeConfig::load(Some(&path), std::env::vars()).or_exit(Exit::Usage)?;
    let storage = open_storage(&config, &state).await.or_exit(Exit::Failed)?;
    Ok(Admin { users: Users::new(storage, serve::actor()), config })
}

impl Admin {
    fn print_link(&self, user: &User, public: &Public) -> anyhow::Result<()> {
        let host = public.public.as_deref().map(Host::parse).transpose();
        let mut host =
            host.map_err(|error| usage(format!("--public: {error}"), "write an address or a name"))?;
        if host.is_none() && self.config.public_host().is_none() {
            let (guess, warning) = setup::guess_public();
            warning.inspect(|warning| note(format_args!("note: {warning}")));
            host = guess;
        }
        let link =
            client_link(&self.config, &Bundle::standard(), user, host.as_ref()).or_exit(Exit::Usage)?;
        Ok(say(link.to_text().expose())?)
    }
}

async fn list(users: &Users, json: bool) -> anyhow::Result<()> {
    let users = users.list().await.or_exit(Exit::Failed)?;
    if json {
        let form = |user: &commucat_storage::StoredUser| {
            let name = user.user.id.as_str();
            serde_json::json!({ "name": name, "created_at_ms": user.created_at_ms, "disabled": user.disabled, "note": user.note })
        };
        return say_json(&users.iter().map(form).collect::<Vec<_>>());
    }
    let mut rows = vec![["user", "state", "note"].map(str::to_owned).to_vec()];
    for user in &users {
        let state = if user.disabled { "disabled" } else { "enabled" };
        rows.push(vec![user.user.id.to_string(), state.to_owned(), user.note.clone()]);
    }
    Ok(say(table(&rows))?)
}

fn confirmed(name: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    note(format_args!("Remove `{name}`? Its link stops working and its open connections are cut. Type yes:"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(answer.trim() == "yes")
}
