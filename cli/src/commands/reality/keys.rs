//! `commucat reality keys`: what stands in the bridge's configuration, and what clients are told.

use std::sync::Arc;

use commucat_bundle::Bundle;
use commucat_net::SystemNet;
use commucat_transport_api::{Net as _, Secret, Spec, TransportId, USER_SECRET_BYTES, User, UserTable};
use serde_json::{Value, json};

use crate::{
    exit::{Exit, OrExit as _},
    terminal::{note, say, say_json},
};

const REALITY: TransportId = TransportId::from_static("reality");

/// Make keys for a REALITY endpoint
#[derive(Debug, clap::Args)]
pub(super) struct KeysArgs {
    /// The site to imitate, as HOST or HOST:PORT
    #[arg(long, value_name = "HOST", default_value = "www.example.com:443")]
    target: String,

    /// With an ML-DSA-65 key: certificates grow to 3.5 kB, so the site's must be as long
    #[arg(long)]
    ml_dsa: bool,

    /// As one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &KeysArgs) -> anyhow::Result<Exit> {
    let target = if args.target.contains(':') { args.target.clone() } else { format!("{}:443", args.target) };
    let name = target.rsplit_once(':').map_or(target.as_str(), |(host, _port)| host);
    let bundle = Bundle::standard();
    let mut params = bundle.generate_server_params(&REALITY)?;
    let more = json!({ "target": target, "server_names": [name] });
    if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
        params.extend(more);
        if args.ml_dsa {
            params.insert("mldsa65_seed".to_owned(), base64url(&random::<32>()?).into());
        }
    }
    let client = client_params(&bundle, &params)?;
    if args.json {
        say_json(&json!({ "server": params, "client": client }))?;
        return Ok(Exit::Ok);
    }
    note("For the bridge's configuration; private_key and mldsa65_seed are secret:");
    say("[[endpoints]]")?;
    say("transport = \"reality\"")?;
    say("listen = \"[::]:443\"")?;
    say("[endpoints.params]")?;
    say(toml::to_string(&params)?.trim_end())?;
    note("Clients are told, by `commucat user link` or a vless:// link:");
    for key in ["public_key", "mldsa65_verify"] {
        if let Some(value) = client.get(key).and_then(Value::as_str) {
            note(format_args!("  {key} = {value}"));
        }
    }
    Ok(Exit::Ok)
}

/// What a client of these parameters would be told.
fn client_params(bundle: &Bundle, params: &Value) -> anyhow::Result<Value> {
    let here: commucat_transport_api::HostPort = "[::]:443".parse()?;
    let spec = Spec::new(REALITY, here.clone(), params)?;
    let user = User { id: "anybody".parse()?, secret: Secret::new(random::<USER_SECRET_BYTES>()?) };
    let server = bundle.server(&spec, &Arc::new(UserTable::new(vec![user.clone()]))).or_exit(Exit::Usage)?;
    let mut client = server.client_spec(&here, &user)?.params;
    // The user above is nobody.
    if let Some(client) = client.as_object_mut() {
        client.remove("user");
    }
    Ok(client)
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemNet::default().fill_random(&mut bytes)?;
    Ok(bytes)
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
