//! During a whole life of a bridge no address, host name or user name is in a log line at INFO or above. A program
//! of its own, because it listens to everything that is logged in the process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::string_slice,
    reason = "tests"
)]
#![allow(dead_code, reason = "shared helpers, of which this program needs a few")]

#[path = "../bridge/plain.rs"]
mod plain;
#[path = "../bridge/support.rs"]
mod support;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use commucat_transport_api::{HostPort, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

use crate::support::{BASIC, World, config, echo, is_alive};

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(Level, String)>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _cx: Context<'_, S>) {
        let mut text = Text(event.metadata().target().to_owned());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }
}

#[test]
fn no_line_says_who_talks_to_whom() {
    let heard = Heard::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(heard.clone())).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(a_life());
    let heard = heard.0.lock().unwrap();
    let told: Vec<_> = heard.iter().filter(|(level, _text)| *level <= Level::INFO).collect();
    assert!(told.iter().any(|(_level, text)| text.contains("listening")), "the test hears: {told:?}");
    for (level, text) in &*heard {
        let private = ["127.0.0.1", "localhost", "::1", "secret-host", "ann", "hunter2"];
        // Debug lines may name what is redacted, which prints as such.
        if *level <= Level::INFO || text.starts_with("commucat") {
            for private in private {
                assert!(!support::says(text, private), "{level} line with {private}: {text}");
            }
        }
    }
}

async fn a_life() {
    let world = World::start(BASIC).await;
    world.await_self_check().await;
    let target = echo().await;
    let mut stream = world.stream(target).await;
    assert!(is_alive(&mut stream).await);
    let nowhere = HostPort::new("secret-host.invalid", 80).unwrap();
    let channel = world.dial(&world.ann, Target::Stream(nowhere)).await.unwrap();
    channel.into_stream().unwrap().read_to_end(&mut Vec::new()).await.unwrap_err();
    let mut stranger = tokio::net::TcpStream::connect(world.endpoint(0)).await.unwrap();
    stranger.write_all(&[0; 40]).await.unwrap();
    stranger.read_to_end(&mut Vec::new()).await.ok();
    world.bridge.reload(config(BASIC)).await.unwrap();
    world.users.remove("ann").await.unwrap();
    world.bridge.refresh_users().await.unwrap();
    world.bridge.drain(Duration::from_millis(100)).await;
}
