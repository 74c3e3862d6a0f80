//! The profile `libvirt`: the executor in its container works on a libvirtd of the test's own, by its socket.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use orrery_test_libvirt::Libvirtd;
use serde_json::json;

use super::asked::Person;
use super::site::Site;
use crate::free_port::free_port;
use crate::say;
use crate::shell;

/// A machine without a system: that it runs is all that is asked of it here.
const DEFINITION: &str = "kind: vm\nsource:\n  box: empty\ncpus: 1\nmemory: 64MiB\ndisks:\n  - name: root\n";

/// Adds the profile to what runs, imports a box, and has a machine run on it.
pub(super) fn tell(site: &mut Site, person: &Person) -> Result<()> {
    let began = Instant::now();
    let libvirtd = Libvirtd::start()?.warmed()?;
    site.add(&[
        ("COMPOSE_PROFILES", "libvirt".to_owned()),
        ("ORRERY_ENGINES", "docker,libvirt".to_owned()),
        ("ORRERY_LIBVIRT_SOCKETS", libvirtd.folder().join("run/libvirt").display().to_string()),
        ("ORRERY_LIBVIRT_POOL_DIR", libvirtd.folder().join("images").display().to_string()),
        ("ORRERY_BROKER_PORT", free_port().to_string()),
    ]);
    site.up()?;
    let disk = libvirtd.folder().join("empty.qcow2");
    shell::quiet(shell::command("qemu-img").args(["create", "-f", "qcow2"]).arg(&disk).arg("16M"))?;
    let digest = shell::quiet(shell::command("sha256sum").arg(&disk))?;
    let sha256 = digest.split(' ').next().unwrap_or_default();
    person.does("/api/v1/boxes", Some(&json!({"name": "empty", "url": serve(&disk)?, "sha256": sha256})))?;
    let name = site.thing("machine");
    person.does("/api/v1/machines", Some(&json!({"name": name, "bundle": {"files": {"machine.yaml": DEFINITION}}})))?;
    let path = format!("/api/v1/machines/{name}");
    person.does(&format!("{path}/apply/1"), None)?;
    is_running(person, &path)?;
    site.run(&["restart", "libvirt-executor", "broker-door"])?;
    person.does(&format!("{path}/stop"), None)?;
    person.does(&format!("{path}/delete"), Some(&json!({"disks": true})))?;
    say::done("story", "a machine ran, and is gone", began);
    Ok(())
}

fn is_running(person: &Person, path: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let machine = person.get(path)?;
        if machine["state"] == "running" {
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(20), "the machine does not run: {machine:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Serves one file on the loopback address to whoever asks, for as long as this process lives.
fn serve(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = format!("http://{}/empty.qcow2", listener.local_addr()?);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
        }
    });
    Ok(address)
}
