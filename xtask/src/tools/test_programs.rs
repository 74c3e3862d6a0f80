//! What only the tests need: a static busybox, of which they make their image, openssl, which makes their certificates, and
//! faketime, which has a clock of their own for the services.

use anyhow::Result;

use super::apt;
use crate::shell;

/// Sees to it that they are there.
pub(crate) fn find_or_install() -> Result<()> {
    for (program, package, what) in [
        ("busybox", "busybox-static", "the image that tests run"),
        ("openssl", "openssl", "the certificates of the tests"),
        ("faketime", "faketime", "a clock that tests may set"),
    ] {
        if shell::on_path(program).is_none() {
            apt::install(&[package], what)?;
        }
    }
    Ok(())
}
