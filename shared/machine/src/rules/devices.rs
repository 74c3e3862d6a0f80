//! Disks: their names, what is behind them, and which bus can hold them.

use super::Rules;
use crate::schema::{DEFAULT_DISK, DISK_NAME, VOLUME};
use crate::tree::At;

/// An IDE controller has two channels of two devices each.
const IDE_DEVICES: usize = 4;

impl Rules<'_> {
    pub(super) fn disks(&mut self) {
        if !self.is_vm() {
            return;
        }
        let disks = self.root.list("disks");
        for (index, disk) in disks.iter().enumerate() {
            if disk.node.as_map().is_some() {
                self.backing(disk, index);
                self.named(disk, index);
            }
        }
        self.unique(&disks);
        self.ide(&disks);
        if let Some(iso) = self.source("iso").filter(|_| disks.is_empty() && self.source("box").is_none()) {
            let hint = "Add disks: [{size: 20GiB}], unless it is a system that needs no disk.";
            self.warn(&iso, "there is no disk to install on: nothing outlives a shutdown", hint);
        }
        if let Some(list) = self.root.get("disks").filter(|list| list.node.as_list().is_some_and(<[_]>::is_empty))
            && self.source("box").is_some()
        {
            self.wrong(&list, "a machine from a box needs its first disk", "Remove disks: the first disk is the overlay on the box then.");
        }
    }

    /// What is behind a disk: the box, a size, or a volume.
    fn backing(&mut self, disk: &At<'_>, index: usize) {
        let overlay = index == 0 && self.source("box").is_some();
        if let Some(volume) = disk.get("volume").filter(|_| overlay) {
            let hint = "Put a disk before it, such as - name: root.";
            self.wrong(&volume, "the first disk is the overlay on the box, and cannot be a volume", hint);
        }
        if !overlay && !disk.has("size") && !disk.has("volume") {
            let what =
                if index == 0 { "the first disk is empty without a box, and needs a size" } else { "this disk is empty, and needs a size" };
            self.wrong(disk, what, "Add size: 20GiB, or volume: with the name of a volume that exists.");
        }
    }

    /// A disk without a name: the first is `root`, a volume's is the volume's.
    fn named(&mut self, disk: &At<'_>, index: usize) {
        if disk.has("name") || index == 0 {
            return;
        }
        match disk.text_of("volume") {
            None => self.wrong(disk, "this disk needs a name", "Add name:, such as data. Changes of the disk are told by it."),
            Some(volume) if (VOLUME.check)(volume).is_ok() && (DISK_NAME.check)(volume).is_err() => {
                self.wrong(disk, format!("{volume} cannot be the name of the disk"), "Add name:, such as data.");
            }
            Some(_) => {}
        }
    }

    fn unique(&mut self, disks: &[At<'_>]) {
        let names: Vec<_> =
            disks.iter().enumerate().filter_map(|(index, disk)| Some((disk.clone(), name(disk, index)?.to_owned()))).collect();
        for (disk, line) in Self::twice(names) {
            let at = disk.get("name").unwrap_or(disk);
            self.wrong(&at, format!("another disk has this name, in line {line}"), "Give each disk a name of its own.");
        }
        let volumes = disks.iter().filter_map(|disk| Some((disk.get("volume")?, disk.text_of("volume")?)));
        for (volume, line) in Self::twice(volumes) {
            self.wrong(&volume, format!("another disk is this volume, in line {line}"), "A volume can be one disk of one machine.");
        }
    }

    /// Machines with UEFI have no IDE, and the ISO takes a place on it where there is one.
    fn ide(&mut self, disks: &[At<'_>]) {
        let buses: Vec<At<'_>> =
            disks.iter().filter(|disk| disk.text_of("bus") == Some("ide")).filter_map(|disk| disk.get("bus")).collect();
        if self.root.text_of("firmware") == Some("uefi") {
            for bus in &buses {
                self.wrong(bus, "a machine with UEFI has no IDE", "Write bus: sata, or firmware: bios.");
            }
        }
        let taken = usize::from(self.source("iso").is_some());
        if let Some(bus) = buses.get(IDE_DEVICES.saturating_sub(taken)) {
            let with = if taken > 0 { ", and the ISO is one of them" } else { "" };
            self.wrong(bus, format!("IDE holds {IDE_DEVICES} devices{with}"), "Put this disk on another bus.");
        }
    }
}

/// The name that a disk has.
pub(crate) fn name<'n>(disk: &At<'n>, index: usize) -> Option<&'n str> {
    let default = if index == 0 { Some(DEFAULT_DISK) } else { None };
    disk.text_of("name").or_else(|| if index == 0 { default } else { disk.text_of("volume") })
}
