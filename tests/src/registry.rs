//! An image registry of one image, in the network of a daemon of one's own: plain HTTP on its loopback address, where an engine
//! asks for no certificate. It hands out half of the layer and waits, so that a pull can be caught in the middle.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use orrery_contracts::Digest;
use serde_json::json;

use crate::daemon::Daemon;
use crate::images;
use crate::service::test_program;

/// The image that it has.
pub const IMAGE: &str = "127.0.0.1:5000/orrery/small:1";

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The registry as a process in a daemon's network.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    process: Child,
}

impl Registry {
    /// Starts it beside a daemon. Files in the folder say what it does: `asked` once a layer was begun, and `go` when the
    /// rest of it may follow.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn beside(daemon: &Daemon, folder: &Path) -> anyhow::Result<Self> {
        let pid = daemon.pid().context("the daemon does not run")?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string(), "--net", "--"]).arg(test_program("orrery-registry")?).arg(folder);
        let process = command.stdin(Stdio::null()).spawn().context("run nsenter")?;
        Ok(Self { folder: folder.to_owned(), process })
    }

    /// Whether the layer is in hand.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.folder.join("asked").exists()
    }

    /// From now on nothing is held back.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn go(&self) -> anyhow::Result<()> {
        std::fs::write(self.folder.join("go"), "").context("write go")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The image's three parts.
struct Image {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Image {
    fn make() -> anyhow::Result<Self> {
        let files = images::root_file_system()?;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&files)?;
        let layer = packed.finish()?;
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(&files)]},
        });
        let config = serde_json::to_vec(&config)?;
        let part = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.docker.{kind}"), "size": bytes.len(), "digest": digest(bytes)});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": part("container.image.v1+json", &config), "layers": [part("image.rootfs.diff.tar.gzip", &layer)],
        });
        Ok(Self { manifest: serde_json::to_vec(&manifest)?, config, layer })
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

/// Serves the image for ever; the program `orrery-registry` is this.
///
/// # Errors
/// When it cannot listen.
pub fn serve(folder: &Path) -> anyhow::Result<()> {
    let image = Image::make()?;
    let listener = TcpListener::bind("127.0.0.1:5000").context("listen on 127.0.0.1:5000")?;
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let image = &image;
            scope.spawn(move || answer(stream, image, folder));
        }
    });
    Ok(())
}

fn answer(mut stream: TcpStream, image: &Image, folder: &Path) -> anyhow::Result<()> {
    let mut first = [0];
    stream.peek(&mut first)?;
    if !first[0].is_ascii_uppercase() {
        // An engine tries TLS first, and takes this for an answer.
        return Ok(stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")?);
    }
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().context("nothing was asked")??;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, kind, body): (_, _, &[u8]) = if path.contains("/manifests/") {
        ("200 OK", MANIFEST, &image.manifest)
    } else if path.ends_with(&digest(&image.layer)) {
        ("200 OK", "application/octet-stream", &image.layer)
    } else if path.ends_with(&digest(&image.config)) {
        ("200 OK", "application/octet-stream", &image.config)
    } else if path == "/v2/" {
        ("200 OK", "application/json", b"{}")
    } else {
        ("404 Not Found", "application/json", b"{}")
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
        body.len(),
        digest(body)
    );
    stream.write_all(head.as_bytes())?;
    if method == "HEAD" {
        return Ok(());
    }
    let (one, other) = body.split_at(body.len() / 2);
    stream.write_all(one)?;
    if body == image.layer.as_slice() {
        stream.flush()?;
        std::fs::write(folder.join("asked"), "")?;
        while !folder.join("go").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    stream.write_all(other)?;
    Ok(())
}
