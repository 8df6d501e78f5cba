//! What every transport must do, as checks that anybody can run against any [`PluggableTransport`].
//!
//! [`run_all`] checks everything and gives a [`Report`]; [`check`] checks one [`Behaviour`]. Each check starts a bridge of
//! its own, so none depends on another. A check that does not apply says why it was skipped.
//!
//! [`PluggableTransport`]: commucat_transport_api::PluggableTransport

mod bridge;
mod cancel;
mod config;
mod cover;
mod datagrams;
mod fixture;
mod load;
mod pattern;
mod report;
mod services;
mod session;
mod strangers;
mod streams;
mod tcp;
mod users;

use std::fmt;

pub use self::{
    cover::{Cover, Ending, Stranger},
    fixture::{Fixture, Scale},
    report::{CheckError, Outcome, Report},
    tcp::{StreamPair, TCP_SEMANTICS, TcpRule, tcp_semantics},
};

macro_rules! behaviours {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal by $check:path;)+) => {
        /// One thing that every transport must do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Behaviour {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Behaviour {
            /// All of them, in the order they are checked.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// What it is called in reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }

        /// Checks one behaviour.
        ///
        /// # Errors
        /// What is not as it should be.
        pub async fn check(behaviour: Behaviour, fixture: &Fixture) -> Result<Outcome, CheckError> {
            match behaviour {
                $(Behaviour::$name => Box::pin($check(fixture)).await,)+
            }
        }
    };
}

behaviours! {
    /// What is written comes back from an echo, and the bridge saw the target that was dialled.
    RoundTrip = "round trip" by streams::round_trip;
    /// A greeting arrives although the client has written nothing yet.
    ServerSpeaksFirst = "the server speaks first" by streams::server_speaks_first;
    /// The client ends its side, and the answer still arrives.
    HalfClose = "half-close, then the answer" by streams::half_close;
    /// The server ends its side, and the client's bytes still arrive.
    ServerHalfClose = "half-close by the server" by streams::server_half_close;
    /// Both ends see the end of stream exactly one link delay later (simulated networks).
    PromptEnd = "end of stream without added delay" by streams::prompt_end;
    /// Each rule of [`tcp_semantics`] holds on a channel.
    TcpSemantics = "TCP semantics" by tcp::over_a_transport;
    /// Bulk in both directions at once, compared by digest.
    Bulk = "bulk both ways with digests" by load::bulk;
    /// A channel that nobody reads holds no other up.
    SlowReader = "a slow reader beside a fast one" by load::slow_reader;
    /// Everything still works when each read and write moves one byte.
    OneByteAtATime = "one byte at a time" by load::one_byte_at_a_time;
    /// 200 channels at once.
    Concurrent = "200 concurrent channels" by load::concurrent;
    /// A dial that is dropped at any await point leaves nothing behind.
    CancelDial = "cancel the dial at every await point" by cancel::cancel_dial;
    /// A recorded first flight opens no second channel and is answered as the cover is.
    Replay = "a replayed first flight" by strangers::replay;
    /// Noise and foreign protocols get the cover, no channel, and cause no panic.
    Strangers = "strangers get the cover" by strangers::strangers;
    /// A user with a wrong secret gets no data.
    WrongSecret = "a wrong secret" by users::wrong_secret;
    /// The bridge knows which of two users a channel belongs to.
    TwoUsers = "two users are told apart" by users::two_users;
    /// A removed user cannot dial any more; open channels stay open.
    UserRemoved = "a removed user" by users::user_removed;
    /// Datagrams go to two peers and come back with their names.
    Datagrams = "datagram round trip" by datagrams::round_trip;
    /// A datagram of the longest length passes.
    LongestDatagram = "the longest datagram" by datagrams::longest;
    /// A longer one is `InvalidInput` and harms nothing.
    OversizeDatagram = "an oversize datagram" by datagrams::oversize;
    /// A client's link reads back as its spec.
    Link = "link round trip" by config::link;
    /// A client spec survives JSON, and the client made of it works.
    ClientSpec = "client spec through JSON" by config::client_spec;
    /// Parameters of the wrong shape are refused by both ends, before a packet leaves.
    BadParams = "bad parameters are refused" by config::bad_params;
    /// A dropped listener frees its port.
    PortFreed = "a dropped server frees its port" by config::port_freed;
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Checks all behaviours, one after the other.
pub async fn run_all(fixture: &Fixture) -> Report {
    let mut report = Report::new();
    for behaviour in Behaviour::ALL {
        report.push(*behaviour, check(*behaviour, fixture).await);
    }
    report
}
