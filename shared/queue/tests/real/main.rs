//! The loop against a real broker, with an executor whose engine is a list of effects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, missing_docs)]

mod chaos;
mod crashes;
mod definitions;
mod disk;
mod endings;
mod long_life;
mod losses;
mod order;
mod races;
mod refusals;
mod slow_disk;
mod toy;
mod world;
