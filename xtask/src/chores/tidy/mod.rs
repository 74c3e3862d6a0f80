//! `cargo xtask tidy`: the rules of the repository that no compiler knows, read from the repository itself.

mod dependencies;
mod manifest;
mod texts;

use anyhow::{Result, bail};

use crate::folders;
use crate::say;

/// Something that breaks a rule, with its place.
type Complaint = String;

pub(crate) fn run() -> Result<()> {
    let root = folders::repository();
    let crates = manifest::read_all(&root)?;
    let mut complaints = dependencies::check(&crates);
    complaints.extend(texts::check(&root)?);
    if complaints.is_empty() {
        say::step("tidy", "the rules hold");
        return Ok(());
    }
    for complaint in &complaints {
        say::step("tidy", complaint);
    }
    bail!("{} places break a rule", complaints.len())
}
