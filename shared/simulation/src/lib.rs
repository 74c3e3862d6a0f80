//! The queue and its executors on ports in memory, under a seeded scheduler that may stop any of them at any await, lose
//! answers, repeat deliveries, delay, cut the connection of any of them, and freeze an executor while another takes over.
//!
//! One simulated history is a [`Plan`]: the same plan is the same history, to the last step. Time is simulated too, so an
//! hour of it costs milliseconds. After every step a small model of the promises is asked whether they still hold.
#![allow(clippy::print_stdout, clippy::panic)] // It serves tests: they print what they did, and panic.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod broker;
mod cast;
mod engine;
mod history;
mod host;
mod people;
mod reference;
mod state;
mod sweep;
mod told;
mod wire;
mod world;

pub use cast::{Cast, Place, Toys};
pub use history::{Control, Plan, Report};
pub use reference::{Broken, audit};
pub use state::{Dice, Weather};
pub use sweep::{Sums, sweep};
pub use wire::{Trap, Wire};
pub use world::{ENGINES, HOSTS, World};
