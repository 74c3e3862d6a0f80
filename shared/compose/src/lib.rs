//! Orrery's Compose model: reads, checks, normalises and compares definitions. No I/O: the input
//! is the files of a bundle, the output is a typed project, a canonical form and located problems.
//! It compiles to WebAssembly too, so that the page checks with the very code of the executor.
//!
//! # How to use it
//!
//! - [`load`] with [`Files`] and [`LoadOptions`] gives an [`Outcome`]. [`Outcome::runnable`] is what may be planned and
//!   applied; [`Outcome::errors`], [`Outcome::refusals`] and [`Outcome::notes`] are the three lists of a check, and
//!   `Outcome::normalized` is the canonical form, as Compose's `config --format json` prints it.
//! - [`model`] holds the typed [`Project`]. Values that the executor may complain about carry their [`Place`]; with it,
//!   [`Problem::refused`] makes one more problem of the same kind.
//! - [`render()`] shows a problem with its line and a mark. [`diff::changes`] compares two canonical forms, [`diff::files`]
//!   two bundles.
//! - [`schema`] is the one table of all keys: what each must look like and what it does here. [`schema::keys_at`] names the
//!   keys that may stand at a path, for an editor.
//!
//! # How a definition is read
//!
//! [`yaml`] gives a tree in which every node knows its place, aliases and merge keys resolved. Then, on that tree:
//! [`interpolate`] replaces variables; [`schema::check`] looks at every key and value; `extends`, `include` and override
//! files are merged (`assemble`, `extends`, `merge`); short forms become long ones (`short`); what is implicit becomes
//! explicit (`normalize`); profiles and env files are applied. Last, `decode` makes the typed project of the tree and
//! `consistency` looks at what must fit together, and `canonical` prints the tree.
//!
//! **Invariant**: nothing leaves the bundle. A path that climbs out, or begins at a root where a file of the bundle is
//! meant, is a refusal, never a look at a file system.
//!
//! **Invariant**: every input ends in bounded time and memory, without a panic.
//!
//! ```
//! use orrery_compose::{Files, LoadOptions, load, render};
//!
//! let files = Files::of_compose("services:\n  web:\n    image: nginx\n    prots: ['80:80']\n");
//! let outcome = load(&files, &LoadOptions::default());
//! assert!(!outcome.is_valid());
//! assert_eq!(outcome.problems[0].hint.as_deref(), Some("Did you mean ports?"));
//! assert!(render(&outcome.problems[0], &files).contains("compose.yaml:4:5"));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod assemble;
mod canonical;
mod consistency;
mod decode;
pub mod diff;
pub mod dotenv;
mod envfiles;
mod extends;
pub mod files;
pub mod interpolate;
pub mod load;
mod merge;
pub mod model;
mod normalize;
mod paths;
pub mod problem;
mod profiles;
mod render;
pub mod schema;
mod short;
pub mod units;
mod used;
pub mod yaml;

pub use envfiles::missing as missing_file;
pub use files::Files;
pub use load::{LoadOptions, Outcome, load};
pub use model::{Project, Service};
pub use problem::{Kind, Place, Problem, Severity};
pub use render::render;
