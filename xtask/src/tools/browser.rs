//! A Chromium for the tests of the page; Debian's, since the tests' own library cannot be relied on to fetch one.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::apt;
use crate::shell;

/// The program.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    apt::install(&["chromium", "fonts-liberation"], "Chromium, for the tests of the page")?;
    find().context("chromium was installed, and it is not on the path")
}

fn find() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| shell::on_path(name))
}
