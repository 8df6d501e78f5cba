//! A resolver that lies: what is connected to is what was looked at.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use commucat_transport_api::{BoxFuture, StreamPort, UdpPort};

use super::*;
use crate::config::EgressConfig;

/// Answers each lookup with the next of its lists, and notes where connections go.
#[derive(Debug, Default)]
struct LyingNet {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    connected: Mutex<Vec<HostPort>>,
    hang: bool,
}

impl Net for LyingNet {
    fn connect_stream<'a>(&'a self, to: &'a HostPort) -> BoxFuture<'a, io::Result<BoxStream>> {
        self.connected.lock().unwrap().push(to.clone());
        Box::pin(async {
            if self.hang {
                std::future::pending::<()>().await;
            }
            Err(io::ErrorKind::ConnectionRefused.into())
        })
    }
    fn bind_datagram(&self, _local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn UdpPort>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
    fn listen_stream(&self, _local: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn StreamPort>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
    fn resolve<'a>(&'a self, _to: &'a HostPort) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async {
            let mut answers = self.answers.lock().unwrap();
            if answers.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(answers.remove(0)) }
        })
    }
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
    fn unix_time(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(at.into()))
    }
    fn fill_random(&self, _bytes: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn egress(net: &Arc<LyingNet>) -> Egress {
    let config = EgressConfig { allow_private: false, blocked_ports: vec![25] };
    Egress::new(Arc::<LyingNet>::clone(net), Policy::new(&config), Duration::from_secs(10))
}

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let net = Arc::new(LyingNet::default());
    // A second lookup would give the inside address: there must be none.
    *net.answers.lock().unwrap() = vec![addresses(&["1.2.3.4:80"]), addresses(&["127.0.0.1:80"])];
    let error = egress(&net).connect(&"rebind.test:80".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect(_)), "{error:?}");
    assert_eq!(*net.connected.lock().unwrap(), ["1.2.3.4:80".parse().unwrap()]);
    assert_eq!(net.answers.lock().unwrap().len(), 1, "one lookup");
}

#[tokio::test(start_paused = true)]
async fn only_allowed_addresses_of_a_mixed_answer_are_tried() {
    let net = Arc::new(LyingNet::default());
    *net.answers.lock().unwrap() =
        vec![addresses(&["127.0.0.1:80", "[2606:4700::1]:80", "10.0.0.1:80", "1.2.3.4:80", "[::1]:80"])];
    egress(&net).connect(&"mixed.test:80".parse().unwrap()).await.unwrap_err();
    let tried: Vec<_> = net.connected.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tried, ["[2606:4700::1]:80", "1.2.3.4:80"]);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_class_and_touch_nothing() {
    let net = Arc::new(LyingNet::default());
    let cases =
        [(vec![addresses(&["127.0.0.1:80"])], "x.test:80", "denied"), (vec![], "x.test:80", "resolve")];
    for (answers, to, class) in cases {
        *net.answers.lock().unwrap() = answers;
        assert_eq!(egress(&net).connect(&to.parse().unwrap()).await.unwrap_err().class(), class);
    }
    *net.answers.lock().unwrap() = vec![addresses(&["1.2.3.4:25"])];
    assert_eq!(egress(&net).connect(&"mail.test:25".parse().unwrap()).await.unwrap_err().class(), "denied");
    assert_eq!(net.answers.lock().unwrap().len(), 1, "a blocked port is not even looked up");
    assert!(net.connected.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_silent_target_times_out() {
    let net = Arc::new(LyingNet { hang: true, ..LyingNet::default() });
    *net.answers.lock().unwrap() = vec![addresses(&["1.2.3.4:80", "1.2.3.5:80"])];
    let error = egress(&net).connect(&"silent.test:80".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.class(), "timeout");
    assert_eq!(net.connected.lock().unwrap().len(), 2, "the second address got its chance");
}
