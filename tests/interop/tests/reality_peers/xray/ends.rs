//! Both ends of a tunnel, one of them Xray's, behind a wire that is listened to.

use std::{net::SocketAddr, sync::Arc};

use commucat_tests_interop::{
    RelayBridge,
    programs::{Running, free_address},
};
use commucat_transport_api::{BoxStream, Client};
use serde_json::json;

use super::program::Xray;
use crate::{
    ends::{self, ML_DSA_SEED, PRIVATE_KEY, SHORT_ID, Setup, UUID, told},
    site::{NAME, site},
    tap::Tap,
};

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
        let client = setup.client(tap.address, fingerprint);
        Self { client, tap, _running: running }
    }

    pub(crate) async fn stream(&self, target: SocketAddr) -> BoxStream {
        ends::stream(&*self.client, target).await
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
        let bridge = setup.bridge().await;
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
        let mut reality = json!({
            "serverName": NAME, "fingerprint": "chrome", "password": told(bridge, "public_key"),
            "shortId": told(bridge, "short_id"),
        });
        if setup.ml_dsa {
            reality["mldsa65Verify"] = told(bridge, "mldsa65_verify").into();
        }
        xray.client(tap.address, &told(bridge, "user"), setup.flow, &reality, cone).await
    }
}
