//! What active probers send, how a server answers, and whether two servers can be told apart by their answers.
//!
//! A censor that suspects a server connects to it and sends what no honest client would: a recorded first flight, the
//! same with a byte changed, random bytes of chosen lengths, foreign protocols. What comes back, when, and how the
//! connection ends is compared with an ordinary server. This crate holds those payloads as data ([`payloads`]), runs
//! them over any [`commucat_transport_api::Net`] ([`Runner`]), searches the byte counts at which a server gives up
//! ([`Runner::thresholds`]), and says what two servers do differently ([`compare`]), never just that they do.
//!
//! # What counts as the same answer
//!
//! Two servers of one make never send the same bytes twice: dates, random identifiers and key shares differ. Before
//! answers are compared:
//! * HTTP: values of `Date`, `Expires`, `Last-Modified` and `Age` are dropped, and in every other field value and in the
//!   body each run of 16 or more hexadecimal digits (with or without dashes) stands for *an identifier*. `Set-Cookie`
//!   keeps the name of the cookie and its attributes only.
//! * TLS: what is compared is the shape: record types and lengths (encrypted ones may differ by
//!   [`RECORD_LENGTH_SLACK`], because an ECDSA signature has no fixed length), version, cipher suite, group, extension
//!   types in their order, alerts, the chosen application protocol and the digest of the leaf certificate.
//! * Anything else: length and digest of the bytes.
//! * Time: the delay of an end is put into a class ([`Pace`]); two classes differ only if the delays also differ by
//!   more than [`PACE_SLACK`] and by more than a third.
//! * Byte counts: the count at which a server closes is exact; the count at which it resets, from [`RESET_SLACK_FROM`]
//!   on, may differ by a third, and is compared only where it came out again each time.
//!
//! With two or more rounds, an aspect in which a server differs from *itself* is not held against the other one; it is
//! listed as unstable.
//!
//! # Risk
//!
//! Every probe here has the risk class high: run them only against servers that were named by their owner. From inside
//! a censored network they point at the server.
#![forbid(unsafe_code)]

mod answer;
mod compare;
mod error;
mod facts;
pub mod payloads;
mod probe;
mod runner;
mod threshold;
mod tls;

pub use answer::{Answer, Class, End, Pace, Reply};
pub use compare::{
    Aspect, Comparison, Difference, PACE_SLACK, RECORD_LENGTH_SLACK, RESET_SLACK_FROM, RESET_SLACK_PART,
    Unstable, compare,
};
pub use error::BatteryError;
pub use facts::{HttpFacts, RecordFact, ServerHelloFacts, TlsFacts};
pub use probe::{Family, Probe, Risk, Step};
pub use runner::{Limits, Observed, Runner, Survey};
pub use threshold::Thresholds;
pub use tls::{SessionFacts, client_hello};
