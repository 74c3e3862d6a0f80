//! libvirt: the headers that our own programs are built with, the daemon and QEMU that the tests start for themselves, and
//! the kernel that their guests boot. A daemon of this machine is started for `up --machines` alone, and never used by a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::folders;
use crate::say;
use crate::shell;

/// Where machines are asked for unless `ORRERY_LIBVIRT_URI` says otherwise.
const USUAL: &str = "qemu:///system";
/// How long a daemon may take to answer, which asks QEMU first.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What the tests run, each with the package that Debian has it in. `cpio` packs what a guest boots into.
const PROGRAMS: [(&str, &str); 10] = [
    ("libvirtd", "libvirt-daemon-system"),
    ("virsh", "libvirt-clients"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("dnsmasq", "dnsmasq-base"),
    ("iptables", "iptables"),
    ("dbus-daemon", "dbus-daemon"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("cpio", "cpio"),
];

/// Files that show a package which brings no program.
const FILES: [(&str, &str); 3] = [
    ("/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so", "libvirt-daemon-driver-qemu"),
    ("/usr/lib/*/libvirt/connection-driver/libvirt_driver_lxc.so", "libvirt-daemon-driver-lxc"),
    ("/usr/share/OVMF/OVMF_CODE*.fd", "ovmf"),
];

/// The modules that a guest of the tests loads, in this order: its network, its power button.
const MODULES: [&str; 10] = [
    "failover",
    "net_failover",
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_net",
    "button",
    "evdev",
];

/// Sees to it that what links to libvirt can be built.
pub(crate) fn headers() -> Result<()> {
    let builds = |what: &str| shell::succeeds(shell::command("pkg-config").args(["--exists", what]));
    if !(builds("libvirt") && builds("libvirt-qemu")) {
        apt::install(&["libvirt-dev", "pkg-config"], "the library of libvirt, which the executor of machines is built with")?;
    }
    Ok(())
}

/// Sees to it that everything is there for tests with real guests; says where a guest's kernel and modules lie.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    headers()?;
    install("libvirt and QEMU, which the tests run for themselves")?;
    guest_kernel()
}

/// Sees to it that libvirt answers, so that there can be machines. Nothing here ever stops it.
pub(crate) fn find_or_start(uri: Option<&str>) -> Result<()> {
    let uri = uri.unwrap_or(USUAL);
    if answers(uri) {
        return Ok(());
    }
    if uri != USUAL {
        bail!("no libvirt answers at ORRERY_LIBVIRT_URI={uri}: start it, or unset ORRERY_LIBVIRT_URI to use one on this machine");
    }
    if !folders::is_root() {
        bail!(
            "no libvirt answers at {uri}, and starting one needs root: run `sudo apt-get install libvirt-daemon-system qemu-system-x86`, \
             `sudo systemctl start libvirtd` and `sudo usermod -aG libvirt $USER`, sign in again and try again"
        );
    }
    install("libvirt and QEMU, which machines run on")?;
    let began = Instant::now();
    say::step("libvirt", "starting libvirtd");
    if Path::new("/run/systemd/system").is_dir() {
        shell::quiet(shell::command("systemctl").args(["start", "libvirtd"]))
            .context("libvirtd does not start: see `journalctl -u libvirtd`")?;
    } else {
        for daemon in ["virtlogd", "libvirtd"] {
            let program = shell::on_path(daemon).with_context(|| format!("{daemon} is not there"))?;
            shell::quiet(shell::command(program).arg("--daemon")).with_context(|| format!("{daemon} does not start"))?;
        }
    }
    while !answers(uri) {
        if began.elapsed() > READY_WITHIN {
            bail!("libvirtd was started, and does not answer at {uri}: see `virsh -c {uri} version`");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    say::done("libvirt", &format!("answers at {uri}"), began);
    Ok(())
}

fn answers(uri: &str) -> bool {
    shell::on_path("virsh").is_some() && shell::succeeds(shell::command("virsh").args(["--connect", uri, "version"]))
}

fn install(why: &str) -> Result<()> {
    let programs = PROGRAMS.iter().filter(|(program, _)| shell::on_path(program).is_none());
    let files = FILES.iter().filter(|(pattern, _)| !exists(pattern));
    let missing: Vec<&str> = programs.chain(files).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        let missing = with_fitting_tools(missing)?;
        let names: Vec<&str> = missing.iter().map(String::as_str).collect();
        apt::install(&names, why)?;
    }
    Ok(())
}

/// QEMU and its tools must be of one version: where newer tools lie beside a QEMU that is missing, those of this release
/// are asked for as well.
fn with_fitting_tools(missing: Vec<&str>) -> Result<Vec<String>> {
    let mut wanted: Vec<String> = missing.iter().map(|&package| package.to_owned()).collect();
    if missing.contains(&"qemu-system-x86") && !missing.contains(&"qemu-utils") {
        let version = candidate("qemu-system-x86")?;
        let installed = shell::quiet(shell::command("dpkg-query").args(["-W", "-f=${Version}", "qemu-utils"])).unwrap_or_default();
        if installed.trim() != version {
            say::step("libvirt", &format!("qemu-utils {} does not go with QEMU {version}: it is exchanged", installed.trim()));
            wanted.push(format!("qemu-utils={version}"));
        }
    }
    Ok(wanted)
}

/// The version of a package that apt would install.
fn candidate(package: &str) -> Result<String> {
    let policy = shell::quiet(shell::command("apt-cache").args(["policy", package]))?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    Ok(version.filter(|version| *version != "(none)").with_context(|| format!("apt knows no {package}"))?.to_owned())
}

/// Whether a file is there; one folder of its path, or the end of its name, may be a star.
fn exists(pattern: &str) -> bool {
    let folder_of = |path: &str| Path::new(path).read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    match pattern.split_once("/*/") {
        Some((before, behind)) => folder_of(before).any(|folder| folder.join(behind).is_file()),
        None => {
            let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
            let (start, end) = name.split_once('*').unwrap_or((name, ""));
            let fits = |path: PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.starts_with(start) && name.ends_with(end)
            };
            folder_of(folder).any(fits)
        }
    }
}

/// Debian's newest kernel for guests, and a few of its modules, in the cache: `vmlinuz`, `<module>.ko`, and `modules` with
/// the names in the order in which they are loaded.
fn guest_kernel() -> Result<PathBuf> {
    let folder = folders::cache()?.join("guest-kernel");
    if folder.join("modules").is_file() {
        return Ok(folder);
    }
    let began = Instant::now();
    say::step("guest kernel", "getting Debian's kernel for guests");
    let work = tempfile::tempdir()?;
    let known = shell::quiet(shell::command("apt-cache").args(["depends", "linux-image-cloud-amd64"]))?;
    let package = known
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|package| package.starts_with("linux-image-"))
        .context("apt knows no kernel for guests: run `apt-get update` and try again")?;
    shell::quiet(shell::command("apt-get").current_dir(work.path()).args(["-o", "APT::Sandbox::User=", "download", package]))?;
    let archive = in_folder(work.path(), |name| name.ends_with(".deb")).context("apt downloaded nothing")?;
    let root = work.path().join("root");
    shell::quiet(shell::command("dpkg").arg("-x").arg(archive).arg(&root))?;
    fs::create_dir_all(&folder)?;
    let kernel = in_folder(&root.join("boot"), |name| name.starts_with("vmlinuz")).context("the package has no kernel")?;
    fs::copy(kernel, folder.join("vmlinuz"))?;
    for module in MODULES {
        let file = format!("{module}.ko");
        let found = walkdir::WalkDir::new(root.join("lib/modules"))
            .into_iter()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy() == file)
            .with_context(|| format!("the kernel {package} has no module {module}"))?;
        fs::copy(found.path(), folder.join(file))?;
    }
    fs::write(folder.join("modules"), MODULES.map(|module| format!("{module}\n")).concat())?;
    say::done("guest kernel", package, began);
    Ok(folder)
}

fn in_folder(folder: &Path, fits: impl Fn(&str) -> bool) -> Option<PathBuf> {
    folder.read_dir().ok()?.flatten().find(|entry| fits(&entry.file_name().to_string_lossy())).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_folder_or_a_part_of_a_name() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("lib/x86_64/drivers")).unwrap();
        fs::write(root.path().join("lib/x86_64/drivers/qemu.so"), "").unwrap();
        fs::write(root.path().join("lib/CODE_4M.fd"), "").unwrap();
        let at = |pattern: &str| exists(&format!("{}/{pattern}", root.path().display()));
        assert!(at("lib/*/drivers/qemu.so") && at("lib/CODE*.fd"));
        assert!(!at("lib/*/drivers/lxc.so") && !at("lib/VARS*.fd") && !at("nowhere/*/x"));
    }
}
