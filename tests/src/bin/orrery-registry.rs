//! A registry of one small image for the tests of pulls; see `orrery_tests::registry`.

use std::path::PathBuf;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("which folder?")?;
    orrery_tests::registry::serve(&folder)
}
