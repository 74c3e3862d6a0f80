//! What must hold of whatever is read from outside: one function a door, over any bytes, which panics when it does not
//! hold. The fuzzer calls them with bytes of its own (`cargo xtask fuzz`), the tests with the corpus that it left.
//!
//! Nothing here speaks to a broker, a database or an engine.

#![allow(clippy::unwrap_used, clippy::expect_used)] // An assertion that fails is what this crate is for.

pub mod bundle;
pub mod command;
pub mod compose;
mod operations;
pub mod request;

/// One door that outside input comes through.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its folder of the corpus.
    pub name: &'static str,
    /// What must hold of any bytes.
    pub run: fn(&[u8]),
}

/// Every door.
pub const TARGETS: [Target; 4] = [
    Target { name: "command", run: command::run },
    Target { name: "bundle", run: bundle::run },
    Target { name: "compose", run: compose::run },
    Target { name: "request", run: request::run },
];

/// Asserts that a value is read back as what was written.
fn is_read_back<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let written = serde_json::to_vec(value).expect("it can be written");
    let read: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(&read, value, "what was written is read back the same");
}
