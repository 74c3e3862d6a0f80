//! The end-to-end tests: each starts a whole Orrery of its own, does what people and programs do, and looks at what really
//! happened on the engine, in the streams and in the database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod anonymous;
mod both_engines;
mod broker_harmed;
mod cancelled_gate;
mod clock;
mod command_line;
mod crash;
mod database_away;
mod database_harmed;
mod definitions;
mod duplicates;
mod edits;
mod failed_apply;
mod held_queue;
mod live_events;
mod machines;
mod main_job_nats;
mod main_job_rest;
mod on_the_engine;
mod plans;
mod ports;
mod rejections;
mod secrets;
mod small_stacks;
mod two_executors;
mod uploads;
