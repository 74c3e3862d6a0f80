//! A Docker Engine: the one at `DOCKER_HOST`, else at the usual socket; where none answers on this machine, one is started
//! there. Nothing here ever stops one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::folders;
use crate::processes;
use crate::readiness;
use crate::say;
use crate::shell;

const USUAL: &str = "unix:///var/run/docker.sock";

const READY_WITHIN: Duration = Duration::from_secs(90);

/// Sees to it that an engine answers.
pub(crate) fn find_or_start(docker_host: Option<&str>) -> Result<()> {
    let host = docker_host.unwrap_or(USUAL);
    if answers(host) {
        return Ok(());
    }
    let Some(socket) = host.strip_prefix("unix://").map(PathBuf::from) else {
        bail!("no engine answers at DOCKER_HOST={host}: start it, or unset DOCKER_HOST to use one on this machine");
    };
    if is_forbidden(&socket) {
        bail!(
            "an engine listens at {host}, and you may not speak to it: run `sudo usermod -aG docker $USER`, sign in again \
             and try again"
        );
    }
    if !folders::is_root() {
        bail!(
            "no engine answers at {host}, and starting one needs root: run `sudo apt-get install docker.io`, \
             `sudo systemctl start docker` and `sudo usermod -aG docker $USER`, sign in again and try again"
        );
    }
    if shell::on_path("dockerd").is_none() {
        apt::install(&["docker.io", "iptables", "ca-certificates"], "Docker Engine")?;
    }
    let began = Instant::now();
    if socket == Path::new("/var/run/docker.sock") && Path::new("/run/systemd/system").is_dir() {
        say::step("engine", "starting docker.service");
        shell::quiet(shell::command("systemctl").args(["start", "docker"]))
            .context("docker.service does not start: see `journalctl -u docker`")?;
    } else if !answers(host) {
        start(&socket)?;
    }
    wait(host)?;
    say::done("engine", &format!("answers at {host}"), began);
    Ok(())
}

/// Whether an engine answers there.
pub(crate) fn answers(host: &str) -> bool {
    let answer = if let Some(socket) = host.strip_prefix("unix://") {
        readiness::unix(Path::new(socket), "/_ping")
    } else if let Some(address) = host.strip_prefix("tcp://") {
        // Behind TLS the answer is not HTTP; that somebody listens has to do.
        return std::net::TcpStream::connect(address).is_ok();
    } else {
        None
    };
    answer.is_some_and(|(status, _)| status == 200)
}

/// Whether there is a socket that this user may not open.
fn is_forbidden(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// Starts an engine in the background; it outlives every installation.
fn start(socket: &Path) -> Result<()> {
    mount_control_groups()?;
    let log = Path::new("/var/log/orrery-dockerd.log");
    say::step("engine", &format!("starting dockerd; it logs to {}", log.display()));
    let mut dockerd = Command::new(shell::on_path("dockerd").context("dockerd is not there")?);
    dockerd.args(["--host", &format!("unix://{}", socket.display())]);
    if socket != Path::new("/var/run/docker.sock") && !socket.starts_with("/run/docker.sock") {
        dockerd.args(apart(socket)?);
    }
    std::fs::create_dir_all(socket.parent().unwrap_or(Path::new("/var/run")))?;
    processes::start_detached(&dockerd, log).map(drop)
}

/// What an engine beside the usual one must not share with it.
fn apart(socket: &Path) -> Result<Vec<String>> {
    let beside = socket.with_extension("engine").display().to_string();
    let mut options: Vec<String> = [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")]
        .iter()
        .map(|(option, name)| format!("{option}={beside}/{name}"))
        .collect();
    std::fs::create_dir_all(&beside)?;
    // The usual bridge is the usual engine's, also when that one is started later.
    options.push(format!("--bridge={}", own_bridge(socket)?));
    Ok(options)
}

/// A bridge for an engine that runs beside the usual one, which has the usual bridge: made once, with addresses that
/// follow from the socket's path.
fn own_bridge(socket: &Path) -> Result<String> {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(socket.as_os_str().as_encoded_bytes());
    let (first, second, third) = (digest[0], digest[1], digest[2]);
    let name = format!("orr{first:02x}{second:02x}{third:02x}");
    if !Path::new("/sys/class/net").join(&name).exists() {
        let address = format!("10.{}.{}.1/24", 64 + first % 64, second);
        for arguments in [
            vec!["link", "add", "name", &name, "type", "bridge"],
            vec!["address", "add", &address, "dev", &name],
            vec!["link", "set", &name, "up"],
        ] {
            shell::quiet(shell::command("ip").args(&arguments)).context("a bridge for the second engine cannot be made")?;
        }
    }
    Ok(name)
}

/// Without an init system nobody has mounted the control groups.
fn mount_control_groups() -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    let mounted = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    if mounted {
        return Ok(());
    }
    say::step("engine", "mounting the control groups at /sys/fs/cgroup");
    shell::quiet(shell::command("mount").args(["-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]))
        .map(drop)
        .context("the control groups cannot be mounted: mount /sys/fs/cgroup and try again")
}

fn wait(host: &str) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    while !answers(host) {
        if Instant::now() > deadline {
            bail!(
                "no engine answers at {host} after {} s: look at /var/log/orrery-dockerd.log or `journalctl -u docker`",
                READY_WITHIN.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
