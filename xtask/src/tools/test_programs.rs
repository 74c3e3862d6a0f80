//! What only the tests need: a static busybox, of which they make their image, and openssl, which makes their certificates.

use anyhow::Result;

use super::apt;
use crate::shell;

/// Sees to it that they are there.
pub(crate) fn find_or_install() -> Result<()> {
    for (program, package, what) in
        [("busybox", "busybox-static", "the image that tests run"), ("openssl", "openssl", "the certificates of the tests")]
    {
        if shell::on_path(program).is_none() {
            apt::install(&[package], what)?;
        }
    }
    Ok(())
}
