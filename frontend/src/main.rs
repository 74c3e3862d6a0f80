//! Where the browser enters. Natively there is nothing to start; the binary exists so that the workspace builds whole.

#[cfg(target_arch = "wasm32")]
fn main() {
    orrery_frontend::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
