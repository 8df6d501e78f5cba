//! The acceptance suite for transports, and a seeded network simulator to run it in.
//!
//! * [`suite`]: what every transport must do, as checks. Every transport in the tree runs it, and so should the author of
//!   a plug-in.
//! * [`sim`]: a network in memory, with delay, loss, reordering and a rate, from one seed and on a paused clock.
//! * [`wrap`]: networks around networks, to record streams and to hold them up.
//!
//! # How a transport runs the suite
//!
//! ```ignore
//! use std::{sync::Arc, time::Duration};
//!
//! use commucat_testkit::{sim::{LinkPolicy, SimNet}, suite::{self, Cover, Fixture, Scale}};
//!
//! #[tokio::test(start_paused = true)]
//! async fn passes_over_a_lossy_path() {
//!     let net = SimNet::new(7);
//!     net.set_policy(LinkPolicy::with_delay(Duration::from_millis(80)).loss_percent(5));
//!     let fixture = Fixture::simulated(Arc::new(MyTransport), &net, Cover::silence()).unwrap();
//!     suite::run_all(&fixture).await.into_result().unwrap();
//! }
//!
//! #[tokio::test]
//! async fn passes_over_loopback() {
//!     let net = commucat_net::SystemNet::new();
//!     let fixture = Fixture::over(Arc::new(MyTransport), net, Cover::silence()).unwrap().with_scale(Scale::Full);
//!     suite::run_all(&fixture).await.into_result().unwrap();
//! }
//! ```
//!
//! Run it on a third path too, `LinkPolicy::with_delay(..)` without loss: only there can the suite see that an end of
//! stream takes exactly the delay of the link. [`suite::Cover`] says what a stranger must get.
#![forbid(unsafe_code)]

pub mod sim;
pub mod suite;
pub mod wrap;
