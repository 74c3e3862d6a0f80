//! The page. Logic lives in plain structs that are built and tested natively; the folder `web` turns them into what a
//! browser shows, and exists for wasm32 alone.
//!
//! **Invariant:** the page knows the REST API and its SSE and nothing else; whether a definition is right is said by
//! `orrery-compose` and `orrery-machine`, the executors' own code; what may follow what in the life of a command is said by
//! `orrery-contracts`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
// Natively only the tests call the logic.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]

mod archive;
mod chart;
mod check;
mod checker;
mod diff;
mod draft;
mod feed;
mod log_lines;
mod machine_checker;
mod machine_form;
mod orbit;
mod palette;
mod progress;
mod route;
mod seat;
mod sending;
mod shortest_edit;
mod words;

#[cfg(target_arch = "wasm32")]
mod web;

pub use checker::check_json;
pub use machine_checker::{check_machine_json, fill_machine_json};

/// Puts the page on the screen.
#[cfg(target_arch = "wasm32")]
pub fn start() {
    web::start();
}
