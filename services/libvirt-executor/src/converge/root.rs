//! Root filesystems of containers: checked when their archive is imported, unpacked beside the place and put there whole, removed with all that is
//! in them. Nothing is written, owned or removed outside of the folder: no path of an archive leaves it, and none goes through a link.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use orrery_queue::{StepDone, StepFailure};
use tar::{Archive, Entry, EntryType};

/// The first bytes of what gzip made (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The largest number of a user that a container knows.
const NOBODY: u64 = 65_534;
/// The bits that change whose rights a program has; a change of its owner takes them away.
const SPECIAL: u32 = 0o7000;

/// What an archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    /// How many files, folders and links.
    pub(crate) entries: u64,
    /// How many bytes they have.
    pub(crate) bytes: u64,
}

/// Looks through an archive: that all of it can be read, and stays below its root.
pub(crate) fn look(archive: &Path) -> io::Result<Holds> {
    let mut holds = Holds::default();
    let mut links = BTreeSet::new();
    for entry in open(archive)?.entries()? {
        let entry = entry?;
        let Some(path) = place(&entry, &links)? else { continue };
        if entry.header().entry_type() == EntryType::Symlink {
            links.insert(path);
        }
        holds.entries = holds.entries.saturating_add(1);
        holds.bytes = holds.bytes.saturating_add(entry.size());
    }
    if holds.entries == 0 {
        return Err(wrong("it is empty, or no tar archive"));
    }
    Ok(holds)
}

fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// Whether bytes begin like what gzip made.
pub(crate) fn is_packed(head: &[u8]) -> bool {
    head.starts_with(&GZIP)
}

/// A file, unpacked where gzip packed it.
pub(crate) fn unpacked(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut first = [0; 2];
    let packed = File::open(path)?.read_exact(&mut first).is_ok() && is_packed(&first);
    let file = io::BufReader::new(File::open(path)?);
    Ok(if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// An archive of tar, as it is or packed by gzip.
pub(crate) fn open(archive: &Path) -> io::Result<Archive<Box<dyn Read>>> {
    unpacked(archive).map(Archive::new)
}

/// Where an entry comes to, below the root; none for the root itself, and for devices and pipes, which a container gets from libvirt.
fn place<R: Read>(entry: &Entry<'_, R>, links: &BTreeSet<PathBuf>) -> io::Result<Option<PathBuf>> {
    let path = below(&entry.path()?)?;
    let kind = entry.header().entry_type();
    if kind.is_hard_link() {
        let to = entry.link_name()?.ok_or_else(|| wrong(format!("{} is a link to nothing", path.display())))?;
        through_no_link(&below(&to)?, links)?;
    } else if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() || kind.is_dir() || kind.is_symlink()) {
        return Ok(None);
    }
    through_no_link(&path, links)?;
    Ok(Some(path).filter(|path| !path.as_os_str().is_empty()))
}

/// A path without its dots, which must not lead out.
fn below(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(wrong(format!("{} leads out of the archive", path.display())));
            }
        }
    }
    Ok(plain)
}

fn through_no_link(path: &Path, links: &BTreeSet<PathBuf>) -> io::Result<()> {
    match path.ancestors().skip(1).find(|folder| links.contains(*folder)) {
        Some(link) => Err(wrong(format!("{} lies behind the link {}", path.display(), link.display()))),
        None => Ok(()),
    }
}

/// Unpacks an archive into a folder of the pool. One that is there whole is left as it is.
pub(crate) async fn unpack(archive: PathBuf, folder: PathBuf, shift: u32) -> Result<StepDone, StepFailure> {
    let from = archive.clone();
    let work = move || {
        if folder.exists() {
            return Ok(None);
        }
        let mut part = folder.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        emptied(&part)?;
        let holds = fill(&archive, &part, shift)?;
        fs::rename(&part, &folder).map(|()| Some(holds))
    };
    match tokio::task::spawn_blocking(work).await.map_err(|error| StepFailure::new("files", error.to_string()))? {
        Ok(None) => Ok(StepDone::found_done(String::new())),
        Ok(Some(holds)) => Ok(StepDone::done(format!("{} files, {} bytes", holds.entries, holds.bytes))),
        Err(error) => Err(failure(&from, &error)),
    }
}

fn failure(path: &Path, error: &io::Error) -> StepFailure {
    let path = path.display();
    if error.kind() == io::ErrorKind::NotFound {
        let why = "containers need the pool's folder at the same path for libvirt and the executor";
        return StepFailure::new("pool_elsewhere", format!("{path} is not to be seen from here: {why}"));
    }
    let code = if error.kind() == io::ErrorKind::StorageFull { "disk_full" } else { "rootfs" };
    StepFailure::new(code, format!("{path}: {error}"))
}

fn emptied(folder: &Path) -> io::Result<()> {
    removed(folder)?;
    fs::create_dir(folder)
}

fn fill(archive: &Path, root: &Path, shift: u32) -> io::Result<Holds> {
    let (mut holds, mut links) = (Holds::default(), BTreeSet::new());
    fs::set_permissions(root, Permissions::from_mode(0o755))?;
    lchown(root, Some(shift), Some(shift))?;
    for entry in open(archive)?.entries()? {
        let mut entry = entry?;
        let Some(path) = place(&entry, &links)? else { continue };
        folders(root, &path, shift)?;
        let to = root.join(&path);
        entry.set_preserve_permissions(true);
        entry.set_preserve_mtime(true);
        if !entry.unpack_in(root)? {
            return Err(wrong(format!("{} leads out of the archive", path.display())));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::Symlink {
            links.insert(path);
        }
        if kind != EntryType::Link {
            own(&entry, &to, shift)?;
        }
        holds = Holds { entries: holds.entries.saturating_add(1), bytes: holds.bytes.saturating_add(entry.size()) };
    }
    Ok(holds)
}

/// The folders above a path, which an archive need not name.
fn folders(root: &Path, path: &Path, shift: u32) -> io::Result<()> {
    let mut folder = root.to_owned();
    for component in path.parent().into_iter().flat_map(Path::components) {
        folder.push(component);
        match fs::create_dir(&folder) {
            Ok(()) => lchown(&folder, Some(shift), Some(shift))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives what was unpacked to its owner, as the host knows him.
fn own<R: Read>(entry: &Entry<'_, R>, to: &Path, shift: u32) -> io::Result<()> {
    let header = entry.header();
    let outside = |number: u64| u32::try_from(number.min(NOBODY)).unwrap_or_default().checked_add(shift);
    lchown(to, outside(header.uid()?), outside(header.gid()?))?;
    let mode = header.mode()?;
    if mode & SPECIAL != 0 && header.entry_type() != EntryType::Symlink {
        fs::set_permissions(to, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Removes a root filesystem.
pub(crate) async fn remove(folder: PathBuf) -> Result<StepDone, StepFailure> {
    let path = folder.clone();
    let work = move || removed(&folder);
    match tokio::task::spawn_blocking(work).await.map_err(|error| StepFailure::new("files", error.to_string()))? {
        Ok(true) => Ok(StepDone::done(String::new())),
        Ok(false) => Ok(StepDone::found_done(String::new())),
        Err(error) => Err(failure(&path, &error)),
    }
}

/// Removes a folder; says whether there was one.
fn removed(folder: &Path) -> io::Result<bool> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with these entries: a path, and where it links to.
    fn archive(folder: &Path, entries: &[(&str, EntryType, &str)]) -> PathBuf {
        let path = folder.join("a.tar");
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        for (name, kind, to) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(if *kind == EntryType::Regular { 2 } else { 0 });
            // Written as it is: the library would refuse such paths.
            let field = &mut header.as_old_mut().name;
            field.get_mut(..name.len()).unwrap().copy_from_slice(name.as_bytes());
            let field = &mut header.as_old_mut().linkname;
            field.get_mut(..to.len()).unwrap().copy_from_slice(to.as_bytes());
            header.set_cksum();
            let content: &[u8] = if *kind == EntryType::Regular { b"hi" } else { b"" };
            builder.append(&header, content).unwrap();
        }
        builder.finish().unwrap();
        path
    }

    #[test]
    fn no_path_of_an_archive_leaves_it() {
        use EntryType as T;
        let folder = tempfile::tempdir().unwrap();
        for (entries, why) in [
            (vec![("../out", T::Regular, "")], "leads out"),
            (vec![("/etc/out", T::Regular, "")], "leads out"),
            (vec![("a/../../out", T::Regular, "")], "leads out"),
            (vec![("a", T::Symlink, "/"), ("a/out", T::Regular, "")], "lies behind the link a"),
            (vec![("a", T::Symlink, ".."), ("a/b/out", T::Regular, "")], "lies behind the link a"),
            (vec![("a", T::Link, "../../etc/shadow")], "leads out"),
            (vec![("a", T::Symlink, "/etc"), ("b", T::Link, "a/shadow")], "lies behind the link a"),
            (vec![("dev/null", T::Char, "")], "it is empty"),
        ] {
            let path = archive(folder.path(), &entries);
            let error = look(&path).unwrap_err();
            assert!(error.to_string().contains(why), "{entries:?}: {error}");
            let root = folder.path().join("root");
            emptied(&root).unwrap();
            assert!(why == "it is empty" || fill(&path, &root, 0).is_err(), "{entries:?}");
            assert!(!folder.path().join("out").exists() && !root.join("out").exists());
        }
    }

    #[tokio::test]
    async fn a_root_comes_to_its_place_whole_and_goes_with_all_that_is_in_it() {
        use EntryType as T;
        let folder = tempfile::tempdir().unwrap();
        let entries =
            [("./", T::Directory, ""), ("./bin/su", T::Regular, ""), ("./bin/sh", T::Symlink, "/bin/su"), ("b", T::Link, "bin/su")];
        let path = archive(folder.path(), &entries);
        assert_eq!(look(&path).unwrap(), Holds { entries: 3, bytes: 2 });
        let root = folder.path().join("m.rootfs");
        fs::create_dir_all(folder.path().join("m.rootfs.part/left")).unwrap();
        let me = rustix::process::geteuid().is_root();
        if !me {
            return;
        }
        unpack(path.clone(), root.clone(), 100_000).await.unwrap();
        let of = |name: &str| {
            use std::os::unix::fs::MetadataExt as _;
            let found = fs::symlink_metadata(root.join(name)).unwrap();
            (found.uid(), found.mode() & 0o7777)
        };
        assert_eq!((of("."), of("bin"), of("bin/su")), ((100_000, 0o755), (100_000, 0o755), (100_000, 0o4755)));
        assert_eq!((of("bin/sh").0, fs::read(root.join("b")).unwrap().as_slice()), (100_000, b"hi".as_slice()));
        assert!(!folder.path().join("m.rootfs.part").exists() && !root.join("left").exists());
        assert!(unpack(path, root.clone(), 100_000).await.is_ok(), "it is found");
        assert!(removed(&root).unwrap() && !removed(&root).unwrap());
    }
}
