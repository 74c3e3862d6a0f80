//! What a machine boots from, and when it counts as ready.

use super::Rules;
use crate::tree::At;

/// So many devices are looked at. More of them are too many in any case.
const LOOKED_AT: usize = 8;

impl Rules<'_> {
    pub(super) fn boot(&mut self) {
        self.direct();
        let Some(boot) = self.root.get("boot").filter(|_| self.is_vm()) else { return };
        let Some(items) = boot.node.as_list() else { return };
        let kernel = self.source("kernel").is_some();
        if kernel && !items.is_empty() {
            return self.warn(&boot, "boot has no effect: the kernel is loaded directly", "Remove it.");
        }
        if items.is_empty() && !kernel {
            self.wrong(&boot, "boot is empty, so that nothing would start", "Remove it, or write [disk].");
        }
        let devices: Vec<_> = boot.items().into_iter().take(LOOKED_AT).filter_map(|at| Some((at.clone(), at.text()?))).collect();
        for (device, _) in Self::twice(devices.iter().cloned()) {
            self.wrong(&device, format!("{} is there twice", device.text().unwrap_or_default()), "Keep the first.");
        }
        for (at, device) in &devices {
            self.device(at, device);
        }
    }

    fn device(&mut self, at: &At<'_>, device: &str) {
        let no_disk = self.source("box").is_none() && self.root.list("disks").is_empty();
        match device {
            "cdrom" if self.source("iso").is_none() => {
                self.wrong(at, "there is no cdrom to boot from", "Write source: {iso: …}, or remove cdrom.");
            }
            "network" if self.offer().nothing => {
                self.wrong(at, "there is no network to boot from", "Add an interface to networks, or remove network.");
            }
            "disk" if no_disk => self.wrong(at, "there is no disk to boot from", "Add one to disks, or remove disk."),
            _ => {}
        }
    }

    /// What belongs to a kernel.
    fn direct(&mut self) {
        if !self.is_vm() || self.source("kernel").is_some() {
            return;
        }
        for key in ["initramfs", "cmdline"] {
            if let Some(at) = self.source(key) {
                self.wrong(&at, format!("{key} belongs to a kernel, and there is none"), format!("Add kernel:, or remove {key}."));
            }
        }
    }

    pub(super) fn ready(&mut self) {
        let Some(ready) = self.root.get("ready") else { return };
        if let Some(at) = ready.get("console").filter(|_| self.root.flag("console") == Some(false)) {
            self.wrong(&at, "there is no console to read from", "Remove console: false, or wait for something else.");
        }
        if let Some(at) = ready.get("address").filter(|_| !self.offer().leases) {
            let hint = "Wait for agent: true or console: \"login:\", or add an interface of nat.";
            self.wrong(&at, "no interface has an address that is seen here", hint);
        }
        if let Some(at) = ready.get("tcp").filter(|_| !self.offer().reachable) {
            let hint = "Wait for agent: true or console: \"login:\", add an interface of nat, or give the isolated one an address.";
            self.wrong(&at, "no interface has an address that can be reached from here", hint);
        }
    }
}
