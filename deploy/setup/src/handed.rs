//! The shelf of secrets: a folder for each service, which its group alone may read. The setup owns it all.
//!
//! No capability is needed for that: an owner may give a file to any group that he is in.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::members::Member;
use crate::{authority, broker, database};

/// The folder of all secrets that are handed out.
pub(crate) struct Shelf(PathBuf);

impl Shelf {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    /// Where a service finds a file.
    pub(crate) fn place(&self, member: Member, name: &str) -> PathBuf {
        self.0.join(member.name()).join(name)
    }

    /// Puts a file there, whole or not at all; one that is as it should be is left alone.
    pub(crate) fn put(&self, member: Member, name: &str, text: &str) -> Result<()> {
        let folder = self.0.join(member.name());
        own(&folder, member, 0o750)?;
        let path = folder.join(name);
        if is_as(&path, member, text) {
            return Ok(());
        }
        let part = folder.join(format!(".{name}"));
        write_private(&part, text)?;
        give(&part, member, 0o640)?;
        fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Gives every service what it needs, and nobody anything else.
pub(crate) fn hand_out(data: &Path, shelf: &Shelf) -> Result<()> {
    broker::hand_out(data, shelf)?;
    database::hand_out(data, shelf)?;
    authority::hand_out(data, shelf)
}

fn is_as(path: &Path, member: Member, text: &str) -> bool {
    let right = |there: fs::Metadata| there.gid() == member.group() && there.mode() & 0o777 == 0o640;
    fs::metadata(path).is_ok_and(right) && fs::read_to_string(path).is_ok_and(|there| there == text)
}

fn own(folder: &Path, member: Member, mode: u32) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    give(folder, member, mode)
}

fn give(path: &Path, member: Member, mode: u32) -> Result<()> {
    chown(path, None, Some(member.group()))
        .with_context(|| format!("cannot give {} to the group {} of {}", path.display(), member.group(), member.name()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| format!("cannot protect {}", path.display()))
}

/// Writes a file that its owner alone may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(|| format!("cannot write {}", path.display()))
}

/// A file's text, or nothing where there is no such file.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The process's own group: whoever runs the tests may give a file to no other.
    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_private_file_is_its_owners_alone_and_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/secret");
        write_private(&path, "one").unwrap();
        write_private(&path, "two").unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode_of(&path)), ("two", 0o600));
    }
}
