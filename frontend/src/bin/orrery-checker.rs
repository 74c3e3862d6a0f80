//! The checker in the browser: one call, and nothing of the page around it. Natively there is nothing to start; the binary
//! exists so that the workspace builds whole.
// The macro of wasm-bindgen writes the calls across the border; none is written by hand.
#![cfg_attr(target_arch = "wasm32", allow(unsafe_code))]

/// What the executor's own code says of a bundle, as JSON.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
#[must_use]
pub fn check(bundle: &str, project: &str) -> String {
    orrery_frontend::check_json(bundle, project)
}

fn main() {}
