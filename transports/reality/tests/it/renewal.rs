//! A site that changes while a bridge imitates it.

use std::sync::{Arc, Mutex};

use commucat_net::SystemNet;
use commucat_transport_api::{Cx, HostPort, Net, Target};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    place::{PATIENCE, Place},
    support::{site, site_with_names},
};

/// An address behind which now one site is, now another.
async fn changing(first: &HostPort) -> (HostPort, Arc<Mutex<HostPort>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = HostPort::from(listener.local_addr().unwrap());
    let current = Arc::new(Mutex::new(first.clone()));
    let site = Arc::clone(&current);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let to = site.lock().unwrap().socket_addr().unwrap();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, 16 << 10, 16 << 10).await
            });
        }
    });
    (at, current)
}

/// With a new certificate its flight has fewer records: one visitor is passed on, then the bridge knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_of_the_site_is_noticed() {
    let net: Arc<dyn Net> = SystemNet::new();
    // More than a record holds.
    let (long, short) = (site_with_names(&net, 700).await, site(&net).await);
    let (at, current) = changing(&long.at).await;
    let place = Place::before(at).await;
    place.serves().await;
    *current.lock().unwrap() = short.at;
    let cx = Cx::new(net, PATIENCE);
    place.client.dial(&cx, &Target::Bridge).await.unwrap_err();
    // The look takes a moment.
    for _try in 0..5 {
        if place.client.dial(&cx, &Target::Bridge).await.is_ok() {
            return place.serves().await;
        }
    }
    panic!("the bridge did not learn");
}
