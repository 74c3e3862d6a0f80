//! Bundles as people send and fetch them: JSON, tar, gzipped tar or zip, all with the same limits and the same rules.
//!
//! **Invariant:** nothing of an archive is written to a disk, and no path in it is believed.

mod archive;
pub mod sweep;
mod tarball;
pub mod upload;

pub use archive::{Kind, longest, unpack};
pub use tarball::tar_of;
