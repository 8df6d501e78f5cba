//! Every policy on a client that it must hurt and on one that it must spare, over real sockets in a lab.
//!
//! A policy without both is no test of anything. So each [`Case`] is run three times, each time in a lab of its own:
//! its victim under the policy must be blocked, by what the client saw *and* by an event of the judge; its innocent
//! must get all that it asked for while the judge does nothing to it; and the victim must get all when there is no
//! policy, because a client that never works would seem to be blocked.
//!
//! ```no_run
//! # use commucat_lab::victims::{SuiteConfig, all, run_suite};
//! let report = run_suite(all(), SuiteConfig::default(), |run| println!("{run}"));
//! assert!(report.wrong.is_empty());
//! ```

mod case;
mod catalog;
mod check;
mod counted;
mod datagram;
mod dtls;
mod hellos;
mod keyed;
mod nested;
mod openvpn;
mod outcome;
mod quic;
mod scene;
mod secure;
mod steady;
mod stream;
mod suite;
mod tunnel;

pub use self::{
    case::{Case, Client, Run},
    catalog::{all, of_policy},
    check::{RunReport, check},
    outcome::{Harm, Outcome},
    scene::Scene,
    secure::page,
    stream::echo,
    suite::{JOBS_DEFAULT, JOBS_MAX, SuiteConfig, SuiteReport, run_suite},
};
