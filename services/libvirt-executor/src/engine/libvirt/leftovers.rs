//! What a daemon that was killed while it started a network leaves behind and never clears away: the bridge, and the dnsmasq that serves
//! it. Both are in the way of the same network's next start. Only who is on the daemon's own host, and has the right to, can do this.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a dnsmasq may take to end.
const ENDS: Duration = Duration::from_secs(2);

/// Whether what keeps a network from being started is its own bridge, by libvirt's words.
pub(super) fn is_in_its_own_way(bridge: &str, words: &str) -> bool {
    words.contains(&format!("bridge interface {bridge}: File exists"))
        || words.trim_end().ends_with(&format!("already in use by interface {bridge}"))
}

/// Removes the bridge of a network that libvirt does not run, and ends the dnsmasq on it. Answers why that is not possible.
pub(super) fn clear(network: &str, bridge: &str) -> Result<(), String> {
    let ports = ip(&["-oneline", "link", "show", "master", bridge])?;
    if let Some(port) = ports.lines().next() {
        return Err(format!("something is plugged into it: {}", port.trim()));
    }
    for pid in servants(network) {
        end(pid)?;
    }
    ip(&["link", "delete", "dev", bridge]).map(drop)
}

fn ip(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output().map_err(|error| format!("`ip` does not run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Processes of dnsmasq in our own network that have this network's configuration.
fn servants(network: &str) -> Vec<Pid> {
    let here = place(Path::new("/proc/self"));
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = processes.filter(|process| {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        serves(&command, network) && here.is_some() && place(&process.path()) == here
    });
    ours.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?)).collect()
}

/// The network that a process lives in.
fn place(process: &Path) -> Option<PathBuf> {
    std::fs::read_link(process.join("ns/net")).ok()
}

/// Whether this is the command line of a network's dnsmasq.
fn serves(command: &[u8], network: &str) -> bool {
    let mut words = command.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    let configuration = format!("/dnsmasq/{network}.conf");
    program.ends_with(b"dnsmasq") && words.any(|word| word.starts_with(b"--conf-file=") && word.ends_with(configuration.as_bytes()))
}

fn end(pid: Pid) -> Result<(), String> {
    let begun = Instant::now();
    let folder = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    if let Err(error) = kill_process(pid, Signal::KILL)
        && folder.exists()
    {
        return Err(format!("the dnsmasq on it cannot be ended: {error}"));
    }
    while folder.join("exe").exists() && begun.elapsed() < ENDS {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_bridge_is_meant() {
        let own = |words| is_in_its_own_way("virbr1", words);
        assert!(own("error creating bridge interface virbr1: File exists"));
        assert!(own("internal error: Network is already in use by interface virbr1"));
        assert!(!own("internal error: Network is already in use by interface virbr10"));
        assert!(!own("internal error: Network is already in use by interface eth0"));
    }

    #[test]
    fn a_networks_dnsmasq_is_known_by_its_configuration() {
        let command = b"/usr/sbin/dnsmasq\0--conf-file=/var/lib/libvirt/dnsmasq/inside.conf\0--leasefile-ro\0";
        assert!(serves(command, "inside"));
        assert!(!serves(command, "side"));
        assert!(!serves(b"/bin/cat\0--conf-file=/var/lib/libvirt/dnsmasq/inside.conf\0", "inside"));
        assert!(!serves(b"", "inside"));
    }
}
