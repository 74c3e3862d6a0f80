//! The definition of a machine, `machine.yaml`: reads it, checks it, and says what two of them differ in. No I/O: the input is
//! the files of a bundle, the output is a typed machine and located problems. It compiles to WebAssembly too, so that the page
//! checks with the very code of the executor.
//!
//! # How to use it
//!
//! - [`load`] looks for the definition in [`Files`] and reads it; [`read`] reads the one at a path. [`Outcome::machine`] is there
//!   when nothing is wrong, [`Outcome::problems`] is all there is to say, and [`Outcome::place`] is where something is written,
//!   for what only an executor can complain about.
//! - [`model`] holds the typed [`Machine`]. [`canonical()`] is the definition that one would have written for it with every default
//!   filled in, [`diff()`] what two machines differ in, and [`applies_to`] when such a change applies.
//! - [`cloud_init::documents`] makes what the seed disk holds.
//! - [`schema`] is the one table of all keys. [`schema::json_schema`] and [`schema::document`] are made from it, and
//!   [`schema::keys_at`] names the keys that may stand at a path, for an editor.
//!
//! # How a definition is read
//!
//! The YAML reader of `orrery_compose` gives a tree in which every node knows its place. `check` holds it against the table,
//! `rules` looks at what must fit together, and both tell everything at once. A tree without errors is decoded.
//!
//! **Invariant**: a machine comes out exactly when there is no error, and its canonical form reads as the same machine.
//!
//! **Invariant**: every input ends in bounded time and memory, without a panic.
//!
//! ```
//! use orrery_machine::{Files, load, render};
//!
//! let files: Files = [("machine.yaml", "kind: vm\nsource: {box: debian-12}\nmemroy: 1GiB\n")].into_iter().collect();
//! let outcome = load(&files);
//! assert!(outcome.machine.is_none());
//! assert!(outcome.problems[0].hint.as_deref().unwrap_or_default().starts_with("Did you mean memory?"));
//! assert!(render(&outcome.problems[0], &files).contains("machine.yaml:3:1"));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod canonical;
mod check;
pub mod cloud_init;
mod decode;
mod diff;
pub mod model;
mod outcome;
mod rules;
pub mod schema;
mod tree;
mod words;

pub use canonical::canonical;
pub use diff::{Change, diff};
pub use model::Machine;
pub use orrery_compose::{Files, Place, Problem, Severity, render};
pub use outcome::{FILE_NAMES, Outcome, load, read};
pub use schema::{Applies, applies_to};
