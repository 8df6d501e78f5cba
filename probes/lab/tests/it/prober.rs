//! The active prober in a lab: a proxy without a memory of replays is found out and banned, a server that hands
//! strangers to the site it names is not, and one that only names it is.

use std::{io, sync::Arc, time::Duration};

use commucat_censor::Done;
use commucat_lab::{
    Lab,
    prober::{Examinations, Finding, ProberConfig, attended},
    runs::{Ends, Subject, run},
    services::{Authority, World, WorldPlan},
};
use commucat_net::{RelayOptions, SystemNet, relay};
use commucat_transport_api::{
    AcceptError, Addressing, BoxStream, ChannelKinds, ConfigError, Descriptor, HostPort, Net,
    PluggableTransport as _, Roles, Simple, Spec, StreamTransport, Target, TransportId, UserTable,
    read_exact, write_all,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    runs::{shadowsocks, short, websocket},
    support::{allowed, config},
};

/// Looks like random bytes, knows its clients by a tag over them, and forgets at once whom it has seen.
#[derive(Debug)]
struct Forgetful;

const FORGETFUL: Descriptor = Descriptor::new(
    TransportId::from_static("forgetful"),
    "random bytes, without a memory of replays",
    ChannelKinds::STREAM,
    Roles::Both,
    Addressing::Bridge,
);
/// Random bytes, and a tag over them.
const HELLO_BYTES: usize = 240;
const TAG_BYTES: usize = 32;

fn tag(noise: &[u8]) -> [u8; TAG_BYTES] {
    *blake3::Hasher::new_keyed(&[9; 32]).update(noise).finalize().as_bytes()
}

impl StreamTransport for Forgetful {
    const DESCRIPTOR: &'static Descriptor = &FORGETFUL;
    type Params = Value;

    fn generate_server_params(&self) -> Result<Value, ConfigError> {
        Ok(json!({}))
    }

    async fn connect(&self, _params: &Value, mut carrier: BoxStream, _to: &Target) -> io::Result<BoxStream> {
        let mut hello = vec![0; HELLO_BYTES];
        fastrand::fill(&mut hello);
        let tag = tag(&hello);
        hello.extend_from_slice(&tag);
        write_all(&mut carrier, &hello).await?;
        let mut answer = [0; TAG_BYTES];
        read_exact(&mut carrier, &mut answer).await?;
        Ok(carrier)
    }

    async fn accept(
        &self,
        _params: &Value,
        mut carrier: BoxStream,
    ) -> Result<(BoxStream, Target), AcceptError> {
        let mut hello = [0; HELLO_BYTES + TAG_BYTES];
        read_exact(&mut carrier, &mut hello).await.map_err(AcceptError::Io)?;
        let (noise, theirs) = hello.split_at(HELLO_BYTES);
        if theirs != tag(noise) {
            // It reads for ever, as proxies do that want to look dead.
            while let Ok(1..) = carrier.read(&mut [0; 1024]).await {}
            return Err(AcceptError::Unauthenticated);
        }
        write_all(&mut carrier, &tag(theirs)).await.map_err(AcceptError::Io)?;
        Ok((carrier, Target::Bridge))
    }
}

fn forgetful() -> Subject {
    Subject::new("forgetful", 4433, |place| {
        let transport = Simple::new(Forgetful);
        let spec = Spec::new(FORGETFUL.id, HostPort::from(place.bridge), json!({}))?;
        let server = transport.server(&spec, &Arc::new(UserTable::default()))?;
        Ok(Ends { server, client: transport.client(&spec)? })
    })
}

#[test]
fn a_proxy_that_answers_replays_is_banned_and_one_that_remembers_is_not() {
    if !allowed() {
        return;
    }
    let report = run(&short("active-prober?probes=replay"), &forgetful());
    let commucat_lab::report::RunResult::Failed { reason, .. } = &report.result else { panic!("{report:?}") };
    assert!(reason.starts_with("active-prober passed a sentence"), "{reason}");
    assert!(reason.contains("answers_replay") && reason.contains("the second visit"), "{reason}");
    assert!(report.probed[0].starts_with("answers_replay after 2 probes"), "{:?}", report.probed);
    // The same traffic from a transport with a memory: called, and left alone.
    let report = run(&short("active-prober?bytes-min=30&bytes-max=1500&entropy=0.5"), &shadowsocks());
    assert!(report.passed(), "{report:?}");
    assert!(report.events.contains_key("active-prober called the prober"), "{:?}", report.events);
}

/// A lab with its world, the client's visits to the bridge's address in the name of a site, and what the prober found.
fn visited(bridge: impl FnOnce(&World) + Send, visits: usize) -> (Lab, Vec<Finding>) {
    let lab = Lab::start(config("active-prober?trigger=tls")).unwrap();
    let plan = WorldPlan::default();
    let world = World::start(lab.world(), &plan).unwrap();
    bridge(&world);
    let mut prober = ProberConfig::default();
    prober.sites = plan.sites.iter().map(|site| (site.name.clone(), site.https)).collect();
    let visit = |examinations: &Examinations| {
        for _visit in 0..visits {
            let hello = hello_to_site();
            lab.client()
                .run(move || {
                    use std::io::{Read as _, Write as _};
                    let mut stream = std::net::TcpStream::connect("203.0.113.10:443").unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                    stream.write_all(&hello).unwrap();
                    stream.read_exact(&mut [0; 5]).unwrap();
                })
                .unwrap();
        }
        for _look in 0..600 {
            let (calls, answered) = examinations.counts();
            if calls > 0 && calls == answered {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        examinations.done().into_iter().map(|examination| examination.finding).collect()
    };
    let found = attended(&lab, &prober, visit).unwrap();
    drop(world);
    (lab, found)
}

fn hello_to_site() -> Vec<u8> {
    commucat_battery::client_hello("innocent.example").unwrap()
}

fn banned(lab: &Lab) -> bool {
    lab.event_totals().iter().any(|total| total.policy == "active-prober" && total.action == Done::Kill)
}

#[test]
fn who_hands_strangers_to_the_site_is_taken_for_the_site() {
    if !allowed() {
        return;
    }
    let (lab, found) = visited(
        |world| {
            let start = async {
                let net: Arc<dyn Net> = SystemNet::new();
                let mut listener = net.listen_stream("203.0.113.10:443".parse().unwrap()).await.unwrap();
                tokio::spawn(async move {
                    while let Ok((stranger, _)) = listener.accept().await {
                        tokio::spawn(hand_over(stranger));
                    }
                });
            };
            world.runtime().block_on(start).unwrap();
        },
        1,
    );
    assert!(
        matches!(&found[..], [Finding::LikeSite { site, .. }] if site == "innocent.example"),
        "{found:?}"
    );
    assert!(!banned(&lab));
}

/// To the site, byte for byte, ends and resets included.
async fn hand_over(stranger: BoxStream) {
    let site = "198.51.100.20:443".parse().unwrap();
    let site = SystemNet::new().connect_stream(&site).await.unwrap();
    // When it breaks, it breaks on both sides: the relay resets what it drops.
    drop(relay(stranger, site, &RelayOptions::default()).await);
}

#[test]
fn who_only_names_the_site_is_found_out() {
    if !allowed() {
        return;
    }
    let (lab, found) = visited(
        |world| {
            let own = Authority::new().unwrap();
            let tls = own.server_config(&["innocent.example"], "203.0.113.10".parse().unwrap()).unwrap();
            let start = async {
                let listener = TcpListener::bind("203.0.113.10:443").await.unwrap();
                let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
                tokio::spawn(async move {
                    while let Ok((stranger, _)) = listener.accept().await {
                        let tls = tls.clone();
                        tokio::spawn(async move {
                            let mut stream = tls.accept(stranger).await?;
                            let _request = stream.read(&mut [0; 1024]).await?;
                            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await
                        });
                    }
                });
            };
            world.runtime().block_on(start).unwrap();
        },
        1,
    );
    assert!(matches!(&found[..], [Finding::DiffersFromSite { .. }]), "{found:?}");
    let ban = lab.wait_for_event(0, Duration::from_secs(5), |event| event.action == Done::Kill);
    assert!(ban.is_some() && banned(&lab));
}

#[test]
fn a_websocket_bridge_with_its_own_name_is_no_known_proxy() {
    if !allowed() {
        return;
    }
    let report = run(&short("active-prober?trigger=any"), &websocket());
    assert!(report.passed(), "{report:?}");
    assert!(report.events.contains_key("active-prober called the prober"), "{:?}", report.events);
}
