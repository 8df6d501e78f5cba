//! `server.tls_cert` and `server.tls_key` for the endpoints that have none of their own.

use std::sync::Arc;

use commucat_bundle::Bundle;
use commucat_transport_api::{Spec, UserTable};
use serde_json::Value;

use super::{BridgeConfig, EndpointConfig, TlsFiles};

/// What a transport that speaks TLS calls its two files.
const CERT_FILE: &str = "cert_file";
const KEY_FILE: &str = "key_file";

impl BridgeConfig {
    /// The endpoints with the bridge's certificate put into each transport that takes one and names none itself.
    pub(crate) fn resolved_endpoints(&self, bundle: &Bundle) -> Vec<EndpointConfig> {
        let mut endpoints = self.endpoints.clone();
        if let Some(tls) = &self.server.tls {
            for endpoint in &mut endpoints {
                fill(&mut endpoint.spec, tls, bundle);
            }
        }
        endpoints
    }
}

fn fill(spec: &mut Spec, tls: &TlsFiles, bundle: &Bundle) {
    if let Some(via) = &mut spec.via {
        fill(via, tls, bundle);
    }
    let mut params = match &spec.params {
        Value::Null => serde_json::Map::new(),
        Value::Object(params) => params.clone(),
        _ => return,
    };
    if params.contains_key(CERT_FILE) || params.contains_key(KEY_FILE) {
        return;
    }
    params.insert(CERT_FILE.to_owned(), tls.cert.to_string_lossy().into());
    params.insert(KEY_FILE.to_owned(), tls.key.to_string_lossy().into());
    let with_tls = Spec { params: Value::Object(params), via: None, ..spec.clone() };
    if takes_files(&with_tls, bundle) {
        spec.params = with_tls.params;
    }
}

/// A transport says by its own parameters whether it has a use for a certificate.
fn takes_files(spec: &Spec, bundle: &Bundle) -> bool {
    match bundle.server(spec, &Arc::new(UserTable::default())) {
        Ok(_server) => true,
        Err(error) => {
            let text = super::check::reasons(&error);
            ![CERT_FILE, KEY_FILE].iter().any(|key| text.contains(&format!("unknown field `{key}`")))
        }
    }
}
