//! Both ends of a tunnel, one of them Xray's, behind a wire that is listened to.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use commucat_net::SystemNet;
use commucat_reality::Reality;
use commucat_tests_interop::{
    RelayBridge,
    programs::{Running, free_address},
    shadowsocks::user,
};
use commucat_transport_api::{
    BoxStream, Client, Cx, HostPort, PluggableTransport as _, Spec, Target, UserTable,
};
use serde_json::{Value, json};

use crate::{
    site::{NAME, site},
    tap::Tap,
    xray::Xray,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// An X25519 key as `xray x25519` makes them, and an ML-DSA-65 seed; of nobody.
const PRIVATE_KEY: &str = "WLTZYAAgODIEQ3dDmMtIC0lOo0Ib4rdK1QRzVNUCrXo";
const UUID: &str = "b831381d-6324-4d53-ad4f-8cda48b30811";
const SHORT_ID: &str = "0123456789abcdef";
const ML_DSA_SEED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

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
            "short_ids": [SHORT_ID], "flow": self.flow,
        });
        if self.ml_dsa {
            params["mldsa65_seed"] = ML_DSA_SEED.into();
        }
        params
    }
}

/// Our client, and Xray as its bridge.
pub(crate) struct ToXray {
    pub(crate) client: Arc<dyn Client>,
    pub(crate) tap: Tap,
    _running: Running,
}

impl ToXray {
    pub(crate) async fn start(xray: &Xray, setup: Setup, fingerprint: &str) -> Self {
        let site = site(120).await;
        let at = free_address().unwrap();
        let mut reality = json!({
            "target": site.to_string(), "serverNames": [NAME], "privateKey": PRIVATE_KEY, "shortIds": [SHORT_ID],
        });
        if setup.ml_dsa {
            reality["mldsa65Seed"] = ML_DSA_SEED.into();
        }
        let running = xray.server(at, UUID, setup.flow, &reality).await;
        let tap = Tap::start(at).await;
        // Our own server says what a client of these keys needs.
        let params = setup.server_params("127.0.0.1:1".parse().unwrap());
        let spec = Spec::new(commucat_reality::ID, "127.0.0.1:1".parse().unwrap(), params).unwrap();
        let server = Reality::new().server(&spec, &Arc::new(UserTable::default())).unwrap();
        let mut spec = server.client_spec(&HostPort::from(tap.address), &user("anna", 1)).unwrap();
        spec.params["user"] = UUID.into();
        spec.params["fingerprint"] = fingerprint.into();
        let client = Reality::new().client(&spec).unwrap();
        Self { client, tap, _running: running }
    }

    pub(crate) async fn stream(&self, target: SocketAddr) -> BoxStream {
        let cx = Cx::new(SystemNet::new(), PATIENCE);
        let opened = self.client.dial(&cx, &Target::Stream(target.into())).await.unwrap();
        opened.channel.into_stream().unwrap()
    }
}

/// Our bridge, and Xray as its client behind a SOCKS5 port.
pub(crate) struct FromXray {
    pub(crate) bridge: RelayBridge,
    pub(crate) proxy: SocketAddr,
    pub(crate) tap: Tap,
    _running: Running,
}

impl FromXray {
    /// With `cone` its UDP is XUDP, else VLESS UDP.
    pub(crate) async fn start(xray: &Xray, setup: Setup, cone: bool) -> Self {
        let params = setup.server_params(site(120).await);
        let bridge = RelayBridge::start(&Reality::new(), params, vec![user("anna", 1)]).await.unwrap();
        let tap = Tap::start(bridge.address).await;
        let (running, proxy) = Self::client(xray, &bridge, &tap, setup, cone).await;
        Self { bridge, proxy, tap, _running: running }
    }

    /// One more Xray in front of the same bridge, with another setup.
    pub(crate) async fn another(&self, xray: &Xray, setup: Setup) -> (Running, SocketAddr) {
        Self::client(xray, &self.bridge, &self.tap, setup, true).await
    }

    async fn client(
        xray: &Xray,
        bridge: &RelayBridge,
        tap: &Tap,
        setup: Setup,
        cone: bool,
    ) -> (Running, SocketAddr) {
        let spec = bridge.client_spec(&user("anna", 1)).unwrap();
        let text = |key: &str| spec.params.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut reality = json!({
            "serverName": NAME, "fingerprint": "chrome", "password": text("public_key"), "shortId": text("short_id"),
        });
        if setup.ml_dsa {
            reality["mldsa65Verify"] = text("mldsa65_verify").into();
        }
        xray.client(tap.address, &text("user"), setup.flow, &reality, cone).await
    }
}
