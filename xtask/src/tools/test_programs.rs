//! What only the tests need: a static busybox, of which they make their image, openssl, which makes their certificates, faketime, which has
//! a clock of their own for the services, strace, which makes a disk slow, and a registry of images.

use anyhow::Result;

use super::apt;
use crate::shell;

/// Sees to it that they are there.
pub(crate) fn find_or_install() -> Result<()> {
    for (program, package, what) in [
        ("busybox", "busybox-static", "the image that tests run"),
        ("openssl", "openssl", "the certificates of the tests"),
        ("docker-registry", "docker-registry", "a registry of images that asks for a password"),
        ("faketime", "faketime", "a clock that tests may set"),
        ("strace", "strace", "a disk that tests make slow"),
    ] {
        if shell::on_path(program).is_none() {
            apt::install(&[package], what)?;
        }
    }
    Ok(())
}
