//! A client and a rustls server joined by memory, and a plain reader of hellos.

use std::{
    io::{Read as _, Write as _},
    sync::Arc,
    time::Duration,
};

use commucat_mimic::{Client, ClientOptions, Error, Event, NoRandomness, Template, WebPki};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

pub(crate) const NAME: &str = "www.example.com";

/// A moment at which the test certificates are valid.
pub(crate) const NOW: Duration = Duration::from_secs(1_780_000_000);

pub(crate) fn seeded(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), NoRandomness> {
    let mut rng = fastrand::Rng::with_seed(seed);
    move |bytes| {
        rng.fill(bytes);
        Ok(())
    }
}

/// A certification authority, and a certificate of it for [`NAME`].
pub(crate) struct Pki {
    pub(crate) roots: RootCertStore,
    pub(crate) chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Pki {
    pub(crate) fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self { roots, chain: vec![leaf.der().clone()], key }
    }

    pub(crate) fn options(&self, template: Template) -> ClientOptions {
        ClientOptions::new(template, Some(NAME), Arc::new(WebPki::new(self.roots.roots.clone())))
    }

    pub(crate) fn server(&self, provider: rustls::crypto::CryptoProvider) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// What a handshake told.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) alpn: Option<String>,
    pub(crate) suite: u16,
    pub(crate) group: u16,
    pub(crate) resumed: bool,
}

/// Both ends, with nothing in between.
pub(crate) struct Pair {
    pub(crate) client: Client,
    pub(crate) server: ServerConnection,
    pub(crate) connected: Option<Connected>,
    pub(crate) tickets: Vec<commucat_mimic::Ticket>,
    pub(crate) closed: bool,
    received: Vec<u8>,
    /// Bytes handed over at once.
    pub(crate) portion: usize,
}

impl Pair {
    pub(crate) fn new(options: ClientOptions, config: &Arc<ServerConfig>, seed: u64) -> Self {
        let client = Client::new(options, NOW, &mut seeded(seed)).unwrap();
        let server = ServerConnection::new(Arc::clone(config)).unwrap();
        Self {
            client,
            server,
            connected: None,
            tickets: Vec::new(),
            closed: false,
            received: Vec::new(),
            portion: usize::MAX,
        }
    }

    /// Moves bytes until neither end has any.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        loop {
            let mut wire = Vec::new();
            self.client.poll_transmit(&mut wire);
            let moved = !wire.is_empty();
            self.hand_to_server(&wire);
            let mut back = Vec::new();
            self.collect_from_server(&mut back);
            for part in back.chunks(self.portion) {
                self.client.handle_input(NOW, part)?;
            }
            self.drain_events();
            if !moved && back.is_empty() {
                return Ok(());
            }
        }
    }

    fn collect_from_server(&mut self, back: &mut Vec<u8>) {
        while self.server.wants_write() {
            self.server.write_tls(back).unwrap();
        }
    }

    pub(crate) fn hand_to_server(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() {
            self.server.read_tls(&mut wire).unwrap();
            // A server that refuses us says so by an alert, which it has yet to write.
            self.server.process_new_packets().ok();
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = self.server.reader().read(&mut chunk) {
                self.received.extend_from_slice(&chunk[..read]);
            }
        }
    }

    /// What the server received since the last call.
    pub(crate) fn server_reads(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }

    pub(crate) fn server_writes(&mut self, bytes: &[u8]) {
        self.server.writer().write_all(bytes).unwrap();
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Connected { alpn, suite, group, resumed, .. } => {
                    self.connected = Some(Connected { alpn, suite, group, resumed });
                }
                Event::Ticket(ticket) => self.tickets.push(ticket),
                Event::Closed => self.closed = true,
                _ => {}
            }
        }
    }
}

/// The first record of a fresh client.
pub(crate) fn hello(template: Template, name: &str, seed: u64) -> Vec<u8> {
    let verifier = Arc::new(WebPki::bundled());
    let options = ClientOptions::new(template, Some(name), verifier);
    let mut client = Client::new(options, NOW, &mut seeded(seed)).unwrap();
    let mut wire = Vec::new();
    client.poll_transmit(&mut wire);
    wire
}
