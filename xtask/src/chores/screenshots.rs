//! `cargo xtask screenshots`: the pictures of the documentation, from an installation of its own in which the examples run.

use anyhow::Result;

use super::browser::Installation;
use super::{images, web};
use crate::folders;
use crate::shell;
use crate::tools::cargo;

pub(crate) fn run() -> Result<()> {
    images::run()?;
    cargo::build_services()?;
    web::build()?;
    let out = folders::repository().join("docs/screenshots");
    Installation::with(|installation| {
        shell::loud(installation.npm("camera")?.args(["run", "--silent", "screenshots", "--", "--few", "--story"]).arg(&out))
    })
}
