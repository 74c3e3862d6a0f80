//! The image that tests run: one static busybox, made here, so that no registry is asked.
//!
//! The image must not change while any test runs (a plan would see it), so it is made once, under a lock.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bollard::Docker;
use bollard::query_parameters::CreateImageOptions;
use futures::TryStreamExt as _;
use rustix::fs::{FlockOperation, flock};

use crate::engine::Engine;

/// A shell, an HTTP server and a hundred tools in two megabytes.
pub const BUSYBOX: &str = "orrery/busybox:test";

/// The tools of busybox that have a name of their own in [`BUSYBOX`].
const TOOLS: [&str; 15] =
    ["sh", "sleep", "cat", "echo", "httpd", "wget", "true", "false", "touch", "test", "mkdir", "ls", "hostname", "nc", "nslookup"];

/// The base of the examples' images, made by `cargo xtask images`.
pub const BASE: &str = "orrery/base:bookworm";

/// Makes [`BUSYBOX`] when the engine has none.
///
/// # Errors
/// When there is no static busybox on this machine, or the engine refuses the image.
pub async fn busybox(docker: &Docker) -> anyhow::Result<()> {
    // Kept to the end of this function. Waited for elsewhere: the one who holds it may run on this very thread.
    let _lock = tokio::task::spawn_blocking(lock).await.context("the lock")??;
    if docker.inspect_image(BUSYBOX).await.is_ok() {
        return Ok(());
    }
    let (name, tag) = BUSYBOX.split_once(':').context("a name with a tag")?;
    let options = CreateImageOptions {
        from_src: Some("-".into()),
        repo: Some(name.into()),
        tag: Some(tag.into()),
        changes: vec!["ENV PATH=/bin".into()],
        ..CreateImageOptions::default()
    };
    let body = bollard::body_full(root_file_system()?.into());
    docker.create_image(Some(options), Some(body), None).try_collect::<Vec<_>>().await.context("import the test image")?;
    Ok(())
}

fn lock() -> anyhow::Result<File> {
    let lock = File::create(std::env::temp_dir().join("orrery-test-images.lock")).context("make the lock file")?;
    flock(&lock, FlockOperation::LockExclusive).context("take the lock")?;
    Ok(lock)
}

/// Fails with what to do when [`BASE`] is not there.
///
/// # Errors
/// When it is not there.
pub async fn base(engine: &Engine) -> anyhow::Result<()> {
    engine.docker().inspect_image(BASE).await.map(drop).with_context(|| format!("{BASE} is missing: run `cargo xtask images`"))
}

/// The files of [`BUSYBOX`], as an archive.
///
/// # Errors
/// When there is no static busybox on this machine.
pub fn root_file_system() -> anyhow::Result<Vec<u8>> {
    let program = std::fs::read(static_busybox()?)?;
    let mut archive = tar::Builder::new(Vec::new());
    for folder in ["bin/", "tmp/", "etc/", "www/"] {
        let mut header = header(0o1777, tar::EntryType::Directory, 0);
        archive.append_data(&mut header, folder, std::io::empty())?;
    }
    let accounts = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
    archive.append_data(&mut header(0o644, tar::EntryType::Regular, accounts.len()), "etc/passwd", accounts.as_slice())?;
    archive.append_data(&mut header(0o755, tar::EntryType::Regular, program.len()), "bin/busybox", program.as_slice())?;
    for tool in TOOLS {
        let mut header = header(0o777, tar::EntryType::Symlink, 0);
        archive.append_link(&mut header, format!("bin/{tool}"), "busybox")?;
    }
    Ok(archive.into_inner()?)
}

fn header(mode: u32, kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mtime(0);
    header
}

/// The static busybox that is installed: Debian's package busybox-static.
fn static_busybox() -> anyhow::Result<PathBuf> {
    let usual = ["/usr/bin/busybox", "/bin/busybox"].map(PathBuf::from);
    let found = usual.into_iter().find(|path| path.is_file() && is_static(path));
    found.context("no static busybox: run `cargo xtask test`, which installs it, or install the package busybox-static")
}

/// A program without an interpreter needs nothing but itself. The name of glibc's loader is in every other one.
fn is_static(path: &Path) -> bool {
    let loader = b"/lib64/ld-linux";
    std::fs::read(path).is_ok_and(|bytes| !bytes.get(..4096).unwrap_or(&bytes).windows(loader.len()).any(|window| window == loader))
}

#[cfg(test)]
mod tests {
    use super::{BUSYBOX, busybox};
    use crate::engine::Engine;

    #[tokio::test]
    async fn the_test_image_is_made_once_and_then_kept() {
        let engine = Engine::connect().await.unwrap();
        busybox(engine.docker()).await.unwrap();
        let first = engine.docker().inspect_image(BUSYBOX).await.unwrap().id;
        busybox(engine.docker()).await.unwrap();
        assert_eq!(engine.docker().inspect_image(BUSYBOX).await.unwrap().id, first);
    }
}
