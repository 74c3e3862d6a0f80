//! What came to be a box: found out from its bytes, held against what was said of it, and a box of Vagrant unpacked to its disk.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use orrery_contracts::Digest;
use orrery_contracts::command::BoxFormat;
use orrery_queue::StepFailure;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::converge::root;

/// How much of a file's beginning is looked at.
const HEAD: usize = 64 * 1024;
/// The first bytes of a qcow2 image (QEMU, docs/interop/qcow2.txt).
const QCOW2: &[u8] = b"QFI\xfb";
/// Where a qcow2 image says which of its features must be understood, and the one that its data lie in another file (the same).
const INCOMPATIBLE: (usize, u64) = (72, 1 << 2);
/// Where an archive of tar has its mark, and the mark (POSIX, pax Interchange Format).
const TAR: (usize, &[u8]) = (257, b"ustar");
/// Where an ISO 9660 image has its mark, and the mark (ECMA-119, 8.1).
const ISO: (usize, &[u8]) = (32769, b"CD001");
/// What says of a box of Vagrant which disks it has (vagrant-libvirt, "Box Format").
const METADATA: &str = "metadata.json";
/// The most that such a description may have.
const METADATA_BYTES: u64 = 64 * 1024;

/// What is known of a file once it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) format: BoxFormat,
    pub(super) sha256: Digest,
    /// In bytes.
    pub(super) size: u64,
    /// What a disk made of it holds, in bytes.
    pub(super) capacity: u64,
}

/// Reads a file from its first byte to its last.
pub(super) fn look(path: &Path) -> io::Result<Found> {
    let mut file = File::open(path)?;
    let (mut hash, mut size, mut head) = (Sha256::new(), 0_u64, Vec::new());
    let mut buffer = vec![0_u8; 1024 * 1024];
    loop {
        let n = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
        if head.len() < HEAD {
            head.extend_from_slice(bytes);
        }
        hash.update(bytes);
        size = size.saturating_add(u64::try_from(n).unwrap_or_default());
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let sha256 = digest.parse().map_err(|error| io::Error::other(format!("{error}")))?;
    let (format, capacity) = recognised(&head, size);
    let format = if format == BoxFormat::File && root::is_packed(&head) { packed(path) } else { format };
    let format = if format == BoxFormat::Rootfs && is_vagrant(path) { BoxFormat::Vagrant } else { format };
    Ok(Found { format, sha256, size, capacity })
}

/// What bytes begin like, and what a disk made of them holds.
fn recognised(head: &[u8], size: u64) -> (BoxFormat, u64) {
    if head.starts_with(QCOW2) {
        return (BoxFormat::Qcow2, number(head, 24).unwrap_or(size));
    }
    if has(head, ISO) {
        return (BoxFormat::Iso, size);
    }
    if has(head, TAR) {
        return (BoxFormat::Rootfs, size);
    }
    if head.get(510..512) == Some(&[0x55, 0xaa]) && size > 1024 * 1024 && head.get(514..518) != Some(b"HdrS") {
        return (BoxFormat::Raw, size);
    }
    (BoxFormat::File, size)
}

fn has(head: &[u8], (at, mark): (usize, &[u8])) -> bool {
    head.get(at..at.saturating_add(mark.len())) == Some(mark)
}

fn number(head: &[u8], at: usize) -> Option<u64> {
    head.get(at..at.saturating_add(8))?.try_into().ok().map(u64::from_be_bytes)
}

/// What lies in a file that gzip packed: a tar, or something that is taken as it is, as an initramfs is.
fn packed(path: &Path) -> BoxFormat {
    let mut head = Vec::new();
    let read = root::unpacked(path).and_then(|bytes| bytes.take(1024).read_to_end(&mut head));
    if read.is_ok() && has(&head, TAR) { BoxFormat::Rootfs } else { BoxFormat::File }
}

/// Why an image would have the host read another file of its own for the guest, when it would.
///
/// The guest would see what lies in that file, and who brings an image names it (QEMU, docs/interop/qcow2.txt, "Header").
pub(super) fn other_file(path: &Path) -> io::Result<Option<&'static str>> {
    let mut head = Vec::new();
    File::open(path)?.take(104).read_to_end(&mut head)?;
    if !head.starts_with(QCOW2) {
        return Ok(None);
    }
    let (at, bit) = INCOMPATIBLE;
    let version_2 = head.get(4..8) == Some(&2_u32.to_be_bytes());
    if number(&head, 8).is_some_and(|behind| behind != 0) {
        return Ok(Some("a backing file"));
    }
    let elsewhere = !version_2 && number(&head, at).is_some_and(|features| features & bit != 0);
    Ok(elsewhere.then_some("a data file beside it"))
}

/// What `metadata.json` says.
#[derive(Debug, Deserialize)]
struct Metadata {
    provider: Option<String>,
    format: Option<String>,
    #[serde(default)]
    disks: Vec<Disk>,
}

#[derive(Debug, Deserialize)]
struct Disk {
    path: String,
    format: Option<String>,
}

impl Metadata {
    /// The one disk: its path in the archive, and its format.
    fn disk(self) -> Result<(String, BoxFormat), StepFailure> {
        if let Some(other) = self.provider.filter(|provider| provider != "libvirt") {
            return Err(wrong(format!("it is a box for {other}, and one for libvirt is needed")));
        }
        let count = self.disks.len();
        let disk = self.disks.into_iter().next().unwrap_or_else(|| Disk { path: "box.img".to_owned(), format: self.format });
        if count > 1 {
            return Err(wrong(format!("it has {count} disks, and a box has one: unpack it, and import each as a box of its own")));
        }
        let format = match disk.format.as_deref() {
            None | Some("qcow2") => BoxFormat::Qcow2,
            Some("raw") => BoxFormat::Raw,
            Some(other) => return Err(wrong(format!("its disk is of format {other}, and qcow2 or raw is needed"))),
        };
        Ok((disk.path, format))
    }
}

fn wrong(why: String) -> StepFailure {
    StepFailure::new("format", format!("this box of Vagrant cannot be used: {why}"))
}

fn unreadable(error: io::Error) -> StepFailure {
    wrong(format!("its archive cannot be read: {error}; a tar is needed, as it is or packed by gzip"))
}

/// Whether an archive describes itself as a box of Vagrant. Its description comes first or among the first files.
fn is_vagrant(path: &Path) -> bool {
    let Ok(mut archive) = root::open(path) else { return false };
    let Ok(entries) = archive.entries() else { return false };
    entries.take(8).flatten().any(|entry| named(&entry, METADATA))
}

fn named<R: io::Read>(entry: &tar::Entry<'_, R>, name: &str) -> bool {
    entry.path().is_ok_and(|path| path.strip_prefix("./").unwrap_or(&path) == Path::new(name))
}

/// Unpacks the disk of a box of Vagrant into a file, and says its format.
pub(super) fn unpack(archive: &Path, to: &Path) -> Result<BoxFormat, StepFailure> {
    let (path, format) = metadata(archive)?.disk()?;
    let mut archive = root::open(archive).map_err(unreadable)?;
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        if named(&entry, &path) && entry.header().entry_type().is_file() {
            let files = |error: io::Error| StepFailure::new("files", format!("{}: {error}", to.display()));
            let mut file = File::create(to).map_err(files)?;
            io::copy(&mut entry, &mut file).map_err(files)?;
            file.sync_all().map_err(files)?;
            return Ok(format);
        }
    }
    Err(wrong(format!("there is no file {path} in it")))
}

fn metadata(archive: &Path) -> Result<Metadata, StepFailure> {
    let mut archive = root::open(archive).map_err(unreadable)?;
    for entry in archive.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if named(&entry, METADATA) {
            let mut text = String::new();
            entry.take(METADATA_BYTES).read_to_string(&mut text).map_err(unreadable)?;
            return serde_json::from_str(&text).map_err(|error| wrong(format!("its {METADATA}: {error}")));
        }
    }
    Err(wrong(format!("there is no {METADATA} in it")))
}

/// Where the disk of a box of Vagrant is unpacked to.
pub(super) fn disk_of(folder: &Path, archive: &Digest) -> PathBuf {
    folder.join(format!("{archive}.disk"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        let mut qcow2 = QCOW2.to_vec();
        qcow2.resize(24, 0);
        qcow2.extend(10_u64.to_be_bytes());
        assert_eq!(recognised(&qcow2, 3), (BoxFormat::Qcow2, 10));
        assert_eq!(recognised(b"anything", 8), (BoxFormat::File, 8));
        let mut iso = vec![0; 32769];
        iso.extend(b"CD001");
        assert_eq!(recognised(&iso, 99), (BoxFormat::Iso, 99));
    }

    fn disk(metadata: &str) -> Result<(String, BoxFormat), String> {
        serde_json::from_str::<Metadata>(metadata).unwrap().disk().map_err(|failure| failure.failure.message)
    }

    #[test]
    fn a_box_of_vagrant_says_which_disk_it_has() {
        let old = disk(r#"{"provider": "libvirt", "format": "qcow2", "virtual_size": 40}"#);
        assert_eq!(old.unwrap(), ("box.img".to_owned(), BoxFormat::Qcow2));
        let new = disk(r#"{"provider": "libvirt", "disks": [{"format": "raw", "name": "root", "path": "root.raw"}]}"#);
        assert_eq!(new.unwrap(), ("root.raw".to_owned(), BoxFormat::Raw));
    }

    #[test]
    fn a_box_for_another_provider_or_of_more_disks_is_refused() {
        assert!(disk(r#"{"provider": "virtualbox"}"#).unwrap_err().contains("a box for virtualbox"));
        assert!(disk(r#"{"format": "vmdk"}"#).unwrap_err().contains("of format vmdk"));
        assert!(disk(r#"{"disks": [{"path": "a"}, {"path": "b"}]}"#).unwrap_err().contains("has 2 disks"));
    }
}
