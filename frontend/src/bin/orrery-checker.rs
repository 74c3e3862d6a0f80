//! The checker in the browser: one call, and nothing of the page around it. Natively there is nothing to start; the binary
//! exists so that the workspace builds whole.
// The macro of wasm-bindgen writes the calls across the border; none is written by hand.
#![cfg_attr(target_arch = "wasm32", allow(unsafe_code))]

/// What the executor's own code says of a bundle, as JSON.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
#[must_use]
pub fn check(bundle: &str, project: &str, machine: bool) -> String {
    if machine { orrery_frontend::check_machine_json(bundle) } else { orrery_frontend::check_json(bundle, project) }
}

/// A machine's definition with a field of the form written into it, as JSON: the text, or why not.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen(js_name = fillMachine)]
#[must_use]
pub fn fill_machine(text: &str, field: &str, value: &str) -> String {
    orrery_frontend::fill_machine_json(text, field, value)
}

fn main() {}
