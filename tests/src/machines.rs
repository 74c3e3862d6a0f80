//! Machines that are small, and an Orrery that can run them.

use orrery_test_libvirt::{Libvirtd, sector};
use serde_json::json;

use crate::installation::{Form, Installation};
use crate::publisher::Publisher;

/// An installation with a libvirtd of its own.
///
/// # Errors
/// When one of them does not start.
pub async fn with_libvirt() -> anyhow::Result<(Installation, Libvirtd)> {
    let libvirt = Libvirtd::start()?.warmed()?;
    let (vm, container, pool) = (libvirt.vm(), libvirt.container(), libvirt.folder().join("pool").display().to_string());
    let settings = [
        ("ORRERY_LIBVIRT_URI", vm.as_str()),
        ("ORRERY_LIBVIRT_LXC_URI", container.as_str()),
        ("ORRERY_LIBVIRT_POOL_DIR", pool.as_str()),
        ("ORRERY_LIBVIRT_ACCEL", "tcg"),
    ];
    let orrery = Installation::start_as(Form { settings: &settings, ..Form::default() }).await?;
    Ok((orrery, libvirt))
}

/// The box `boots`, of one sector: its guest says how often it has booted, and "that is all".
///
/// # Errors
/// When it is not imported.
pub async fn import(publisher: &Publisher) -> anyhow::Result<()> {
    import_as(publisher, "boots", sector::disk()).await
}

/// A box of this name and content.
///
/// # Errors
/// When it is not imported.
pub async fn import_as(publisher: &Publisher, name: &str, content: Vec<u8>) -> anyhow::Result<()> {
    let sha256 = orrery_contracts::Digest::of(&content);
    let url = served(content).await?;
    publisher.done(&json!({"type": "box.import", "target": name, "payload": {"url": url, "sha256": sha256}})).await.map(drop)
}

/// The address of a server that answers every request with this.
async fn served(content: Vec<u8>) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", content.len());
            let _ = stream.write_all(&[head.as_bytes(), &content].concat()).await;
            let _ = stream.shutdown().await;
        }
    });
    Ok(format!("http://{address}/boots.img"))
}
