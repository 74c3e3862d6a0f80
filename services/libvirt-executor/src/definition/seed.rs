//! The seed disk of cloud-init (NoCloud): a FAT image labelled `CIDATA`.

use std::io::{Cursor, Write};

use bytes::Bytes;
use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use orrery_machine::Machine;
use orrery_machine::cloud_init::{self, Documents};
use orrery_machine::model::Mac;
use sha2::{Digest as _, Sha256};

use super::Identity;

/// The least that a FAT image has, in bytes.
const LEAST: usize = 1024 * 1024;

/// The seed disk of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Its volume: named after what is in it, so that another content is another volume.
    pub volume: String,
    /// What is in it.
    pub image: Bytes,
}

impl Seed {
    /// The seed of a machine; none without a section `cloud_init`.
    pub(super) fn of(machine: &Machine, identity: &Identity, macs: &[Mac]) -> std::io::Result<Option<Self>> {
        let Some(section) = machine.cloud_init() else { return Ok(None) };
        // cloud-init does its work again only for another instance.
        let instance = format!("{}-{}", identity.machine, short(&serde_json::to_vec(section).unwrap_or_default()));
        let Some(documents) = cloud_init::documents(machine, &instance, macs) else { return Ok(None) };
        let image = image(&documents)?;
        let told: Vec<u8> =
            [&documents.meta_data, &documents.user_data, &documents.network_config].into_iter().flatten().copied().collect();
        Ok(Some(Self { volume: format!("{}.seed-{}.img", identity.machine, short(&told)), image: image.into() }))
    }
}

fn short(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn image(documents: &Documents) -> std::io::Result<Vec<u8>> {
    let files = [("meta-data", &documents.meta_data), ("user-data", &documents.user_data), ("network-config", &documents.network_config)];
    let told: usize = files.iter().map(|(_, content)| content.len()).sum();
    let size = LEAST.saturating_add(told.saturating_mul(2)).next_multiple_of(4096);
    let mut disk = Cursor::new(vec![0_u8; size]);
    let options =
        FormatVolumeOptions::new().volume_label(*b"CIDATA     ").fat_type(if size < 8 * LEAST { FatType::Fat12 } else { FatType::Fat16 });
    fatfs::format_volume(&mut disk, options)?;
    {
        let volume = FileSystem::new(&mut disk, FsOptions::new())?;
        let root = volume.root_dir();
        for (name, content) in files {
            root.create_file(name)?.write_all(content)?;
        }
    }
    Ok(disk.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_seed_is_a_disk_on_which_the_documents_lie() {
        let documents = Documents { meta_data: b"a".to_vec(), user_data: vec![b'u'; 3_000_000], network_config: b"n".to_vec() };
        let mut disk = Cursor::new(image(&documents).unwrap());
        let volume = FileSystem::new(&mut disk, FsOptions::new()).unwrap();
        assert_eq!(volume.volume_label(), "CIDATA");
        let mut read = Vec::new();
        volume.root_dir().open_file("user-data").unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, documents.user_data);
    }
}
