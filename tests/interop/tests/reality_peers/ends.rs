//! What every pair of ends has, whoever is the other one: the keys, our bridge, our client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_tests_interop::{RelayBridge, shadowsocks::user};
use commucat_transport_api::{
    BoxStream, Client, Cx, HostPort, PluggableTransport as _, Spec, Target, UserTable,
};
use serde_json::{Value, json};

use crate::site::{NAME, site};

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// An X25519 key as `xray x25519` makes them, and an ML-DSA-65 seed; of nobody.
pub(crate) const PRIVATE_KEY: &str = "WLTZYAAgODIEQ3dDmMtIC0lOo0Ib4rdK1QRzVNUCrXo";
pub(crate) const UUID: &str = "b831381d-6324-4d53-ad4f-8cda48b30811";
pub(crate) const SHORT_ID: &str = "0123456789abcdef";
pub(crate) const ML_DSA_SEED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// How a tunnel is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) ml_dsa: bool,
    pub(crate) flow: &'static str,
}

impl Setup {
    pub(crate) const VISION: Self = Self { ml_dsa: false, flow: "xtls-rprx-vision" };

    fn server_params(self, target: SocketAddr) -> Value {
        let mut params = json!({
            "target": target.to_string(), "server_names": [NAME], "private_key": PRIVATE_KEY,
            "short_ids": [SHORT_ID], "flow": self.flow, "carriers": 0,
        });
        if self.ml_dsa {
            params["mldsa65_seed"] = ML_DSA_SEED.into();
        }
        params
    }

    /// A bridge of ours with one user, in front of a site of its own.
    pub(crate) async fn bridge(self) -> RelayBridge {
        let params = self.server_params(site(120).await);
        RelayBridge::start(&Reality::new(), params, vec![user("anna", 1)]).await.unwrap()
    }

    /// A client of ours for a foreign bridge that has these keys and is reached at that address.
    pub(crate) fn client(self, bridge: SocketAddr, fingerprint: &str) -> Arc<dyn Client> {
        // Our own server says what a client of these keys needs.
        let params = self.server_params("127.0.0.1:1".parse().unwrap());
        let spec = Spec::new(commucat_reality::ID, "127.0.0.1:1".parse().unwrap(), params).unwrap();
        let server = Reality::new().server(&spec, &Arc::new(UserTable::default())).unwrap();
        let mut spec = server.client_spec(&HostPort::from(bridge), &user("anna", 1)).unwrap();
        spec.params["user"] = UUID.into();
        spec.params["fingerprint"] = fingerprint.into();
        Reality::new().client(&spec).unwrap()
    }
}

/// A stream to that target through a client of ours.
pub(crate) async fn stream(client: &dyn Client, target: SocketAddr) -> BoxStream {
    let cx = Cx::new(SystemNet::new(), PATIENCE);
    let opened = client.dial(&cx, &Target::Stream(target.into())).await.unwrap();
    opened.channel.into_stream().unwrap()
}

/// What the user of a bridge of ours is told, by key.
pub(crate) fn told(bridge: &RelayBridge, key: &str) -> String {
    let spec = bridge.client_spec(&user("anna", 1)).unwrap();
    spec.params.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
