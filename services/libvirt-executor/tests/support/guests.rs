//! Guests of the tests: a kernel that boots into busybox, and a folder with busybox as the root of a container. Both greet
//! on their console, answer each line, and end when they are asked to.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a virtual machine runs. With `own=` on its command line it takes an address of its own, and asks nobody for one.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read module; do insmod /modules/$module.ko; done </modules/modules
mkdir -p /etc/acpi/PWRF
printf '#!/bin/sh\npoweroff -f\n' >/etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
sleep 1
acpid -d >/dev/null 2>&1 &
printf '#!/bin/sh\n[ "$1" = bound ] && ip addr add $ip/24 dev $interface && echo "address $ip" >/dev/console\nexit 0\n' >/udhcpc
chmod +x /udhcpc
ip link set lo up
echo "the page of the guest" >/index.html
httpd -p 80 -h /
ip link set eth0 up
read words </proc/cmdline
case $words in
  *own=*)
    own=${words##*own=}
    own=${own%% *}
    ip addr add $own/24 dev eth0
    ping -c 1 -W 5 ${own%.*}.1 >/dev/null
    ;;
  *) udhcpc -i eth0 -b -t 30 -T 1 -s /udhcpc >/dev/null 2>&1 & ;;
esac
printf '#!/bin/sh\necho hello from inside\nexec cat\n' >/greet
chmod +x /greet
nc -ll -p 12345 -e /greet >/dev/null 2>&1 &
echo "hello from the guest"
while read line; do echo "got $line"; done
while :; do sleep 1000; done
"#;

/// What a container runs.
const BOOT: &str = r#"#!/bin/sh
trap 'exit 0' TERM PWR INT
exec 3<&0
echo "hello from the guest"
(while read line; do echo "got $line"; done) <&3 &
while :; do sleep 1 & wait $!; done
"#;

/// Kernel and first file system of a virtual machine.
pub struct Boot {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
}

/// Makes them in a folder.
pub fn boot(folder: &Path) -> Boot {
    let source = guest_kernel();
    let root = folder.join("initramfs");
    busybox(&root);
    let modules = root.join("modules");
    std::fs::create_dir_all(&modules).unwrap();
    for entry in source.read_dir().unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "modules" || name.ends_with(".ko") {
            std::fs::copy(entry.path(), modules.join(name)).unwrap();
        }
    }
    program(&root.join("init"), INIT);
    for name in ["proc", "sys", "dev"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    let initrd = folder.join("initrd");
    let pack = format!("find . | cpio --quiet -o -H newc >'{}'", initrd.display());
    let packed = Command::new("sh").args(["-c", &pack]).current_dir(&root).stdin(Stdio::null()).status().unwrap();
    assert!(packed.success(), "cpio packs the first file system");
    Boot { kernel: source.join("vmlinuz"), initrd }
}

/// Makes the root of a container.
pub fn root(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    busybox(&root);
    for name in ["sh", "sleep", "echo"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    for name in ["proc", "sys", "dev", "etc", "tmp"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    program(&root.join("bin/boot"), BOOT);
    std::fs::write(root.join("index.html"), "the page of the container\n").unwrap();
    root
}

/// The same in an archive.
pub fn archive(folder: &Path) -> Vec<u8> {
    let packed = Command::new("tar").arg("-C").arg(root(folder)).args(["--owner=0", "--group=0", "-czf", "-", "."]).output().unwrap();
    assert!(packed.status.success());
    packed.stdout
}

/// The disk with a whole Debian.
pub fn debian() -> PathBuf {
    made("ORRERY_TEST_DEBIAN_DISK", "debian-disk-", ".qcow2")
}

/// The archive with the root of a Debian for a container.
pub fn debian_root() -> PathBuf {
    made("ORRERY_TEST_DEBIAN_ROOT", "debian-root-", ".tar.gz")
}

/// What is named, or the newest of its kind in the cache.
fn made(variable: &str, begins: &str, ends: &str) -> PathBuf {
    let newest = || {
        let all = cache().read_dir().unwrap().flatten().map(|entry| entry.path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let fits = all.filter(|path| name(path).starts_with(begins) && name(path).ends_with(ends));
        fits.max_by_key(|path| path.metadata().unwrap().modified().unwrap())
    };
    let found = std::env::var_os(variable).map(PathBuf::from).or_else(newest);
    found.unwrap_or_else(|| panic!("there is no {begins}*{ends}: `cargo xtask test` makes one"))
}

fn cache() -> PathBuf {
    match std::env::var_os("ORRERY_CACHE_DIR") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/orrery"),
    }
}

fn guest_kernel() -> PathBuf {
    let named = std::env::var_os("ORRERY_TEST_GUEST_KERNEL").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| cache().join("guest-kernel"));
    assert!(folder.join("modules").is_file(), "{} has no kernel for guests: `cargo xtask test` gets one", folder.display());
    folder
}

fn busybox(root: &Path) {
    std::fs::create_dir_all(root.join("bin")).unwrap();
    let program = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).is_file());
    std::fs::copy(program.expect("Debian's busybox-static is installed"), root.join("bin/busybox")).unwrap();
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
