//! The benchmark harness: measures CommuCat beside other products on this machine and prints ratios.
//!
//! How a run goes, from the outside in:
//! - [`options`] says what to measure, [`peers`] makes the products ready and starts them, [`isolate`] moves the run into a network of its own.
//! - [`session`] runs the rounds. Inside a round every product is visited in the order of [`rounds::palindrome`] (A B B A), one of them twice (A/A).
//! - One visit of one product for one [`cells::Cell`] is a [`sample::Sample`], taken by [`measure`] with the help of [`load`].
//! - [`summary`] turns samples into ratios, [`goals`] compares these with what the project promises, [`report`] writes all of it down.
//!
//! It never asserts a timing: figures are printed, and whoever reads them judges.
#![forbid(unsafe_code)]

pub mod cache;
pub mod cells;
pub mod goals;
pub mod isolate;
pub mod load;
pub mod measure;
pub mod options;
pub mod peers;
pub mod process;
pub mod report;
pub mod rig;
pub mod rounds;
pub mod sample;
pub mod session;
pub mod stats;
pub mod summary;
