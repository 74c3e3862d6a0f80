//! How volumes and interfaces are called: derived from ids, so that whoever looks knows whose they are.

use std::path::PathBuf;

use orrery_contracts::MachineId;
use orrery_contracts::command::BoxFormat;
use orrery_machine::model::Mac;
use sha2::{Digest as _, Sha256};

/// The pool of volumes that Orrery makes for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its folder on the daemon's host.
    pub path: PathBuf,
}

impl Pool {
    /// Its name.
    pub const NAME: &'static str = "orrery";

    /// `ORRERY_LIBVIRT_POOL_DIR`, else `/var/lib/libvirt/images/orrery`.
    #[must_use]
    pub fn from_env() -> Self {
        let path = std::env::var("ORRERY_LIBVIRT_POOL_DIR").ok().filter(|path| !path.is_empty());
        Self { path: path.unwrap_or_else(|| "/var/lib/libvirt/images/orrery".to_owned()).into() }
    }

    /// The file of a volume.
    #[must_use]
    pub fn file(&self, volume: &str) -> String {
        self.path.join(volume).display().to_string()
    }
}

/// The volume of a machine's disk.
#[must_use]
pub fn disk_volume(machine: MachineId, disk: &str) -> String {
    format!("{machine}.{disk}.qcow2")
}

/// The volume of a box.
#[must_use]
pub fn box_volume(name: &str, format: BoxFormat) -> String {
    format!("box.{name}.{}", format.as_str())
}

/// Whether a volume is a machine's own.
#[must_use]
pub fn is_of(machine: MachineId, volume: &str) -> bool {
    volume.strip_prefix(&machine.to_string()).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a volume is a seed disk of a machine.
#[must_use]
pub fn is_seed(machine: MachineId, volume: &str) -> bool {
    volume.strip_prefix(&machine.to_string()).is_some_and(|rest| rest.starts_with(".seed-"))
}

/// The hardware address of a machine's interface at this place, in QEMU's own range (`52:54:00`).
#[must_use]
pub fn mac_of(machine: MachineId, at: usize) -> Mac {
    let digest = Sha256::digest(format!("{machine}/{at}").as_bytes());
    let octet = |n: usize| digest.get(n).copied().unwrap_or_default();
    let [a, b, c] = [octet(0), octet(1), octet(2)];
    // The range is of single interfaces, so that it always is an address.
    Mac::new([0x52, 0x54, 0x00, a, b, c])
        .unwrap_or_else(|| Mac::parse("52:54:00:00:00:01").unwrap_or_else(|| mac_of(machine, at.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_stays_and_differs() {
        let (one, two) = (MachineId::new(uuid::Uuid::from_u128(1)), MachineId::new(uuid::Uuid::from_u128(2)));
        assert_eq!(mac_of(one, 0), mac_of(one, 0));
        assert_ne!(mac_of(one, 0), mac_of(one, 1));
        assert_ne!(mac_of(one, 0), mac_of(two, 0));
        assert!(mac_of(one, 0).to_string().starts_with("52:54:00:"));
        assert!(is_of(one, &disk_volume(one, "root")));
        assert!(!is_of(two, &disk_volume(one, "root")));
    }
}
