//! The data folder: bundles as files for the engine to mount, the folder that a stack's versions share, and what the
//! executor remembers beside the streams. Both have the same path here as on the engine's host.

mod context;
mod ignore;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use orrery_contracts::{Bundle, Digest, FileContent, StackId};
use orrery_sealing::Opener;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::definition::{Desired, Facts, InlineFile, secret_files};

pub use context::archive;

/// Where bundles are laid out, each under its digest.
const BUNDLES: &str = "bundles";
/// Where files lie that are the definition's, and no bundle's.
const INLINE: &str = "inline";
/// The key that opens secrets.
const SEALING_KEY: &str = "sealing.key";
/// When images were pulled.
const PULLS: &str = "pulls.json";

/// The data folder.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
    aside: bool,
}

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be {what}", path = path.display())]
pub struct FileError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl FileError {
    /// Work on the disk that ended in a panic.
    pub(crate) fn broken(error: tokio::task::JoinError) -> Self {
        Self { what: "worked on", path: PathBuf::new(), source: io::Error::other(error) }
    }
}

fn at<T>(what: &'static str, path: &Path, result: io::Result<T>) -> Result<T, FileError> {
    result.map_err(|source| FileError { what, path: path.to_owned(), source })
}

/// What is not there needs no removal.
fn gone(path: &Path, result: io::Result<()>) -> Result<(), FileError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => at("removed", path, result),
    }
}

impl DataDir {
    /// This folder.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), aside: true }
    }

    /// This folder, with all work on it done where it is asked for: in a simulation nothing may depend on other threads.
    #[must_use]
    pub fn in_step(root: impl Into<PathBuf>) -> Self {
        Self { aside: false, ..Self::new(root) }
    }

    /// Does work on the disk, off the threads that must not wait.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, tokio::task::JoinError> {
        if self.aside { tokio::task::spawn_blocking(work).await } else { Ok(work()) }
    }

    /// Its path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Lays a bundle out as files. What is there already is hashed, and mended where it differs: a file of a bundle is
    /// what its digest says, whoever wrote to it meanwhile.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn lay_out(&self, bundle: &Bundle, digest: &Digest) -> Result<(), FileError> {
        let home = self.closed(BUNDLES)?.join(digest.as_str());
        if home.is_dir() {
            return mend(&home, bundle);
        }
        let aside = self.root.join(BUNDLES).join(format!(".{digest}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&aside);
        for (path, file) in &bundle.files {
            write(&aside.join(path), file)?;
        }
        at("made", &aside, fs::create_dir_all(&aside))?;
        at("put in its place", &home, fs::rename(&aside, &home))
    }

    /// Whether a bundle lies here as files.
    #[must_use]
    pub fn is_laid_out(&self, digest: &Digest) -> bool {
        self.root.join(BUNDLES).join(digest.as_str()).is_dir()
    }

    /// Removes these bundles and inline files, but for those in which something lies that is mounted. What is needed again
    /// is laid out again.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_unmounted(
        &self,
        bundles: &BTreeSet<Digest>,
        inline: &BTreeSet<String>,
        mounted: &BTreeSet<PathBuf>,
    ) -> Result<(), FileError> {
        // By its end: the engine may know the data folder by another path.
        let is_free = |end: &PathBuf| !mounted.iter().any(|path| path.ancestors().any(|above| above.ends_with(end)));
        let bundles = bundles.iter().map(|digest| Path::new(BUNDLES).join(digest.as_str()));
        for path in bundles.filter(is_free).map(|end| self.root.join(end)) {
            gone(&path, fs::remove_dir_all(&path))?;
        }
        let inline = inline.iter().map(|name| Path::new(INLINE).join(name));
        for path in inline.filter(is_free).map(|end| self.root.join(end)) {
            gone(&path, fs::remove_file(&path))?;
        }
        Ok(())
    }

    /// Makes everything that a version mounts and that is no file of its bundle.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn prepare(&self, desired: &Desired) -> Result<(), FileError> {
        let inline = self.root.join(INLINE);
        if !desired.inline.is_empty() {
            at("made", &inline, fs::create_dir_all(&inline))?;
            // Secrets lie here: nobody on the host but the engine gets in.
            at("closed", &inline, fs::set_permissions(&inline, fs::Permissions::from_mode(0o700)))?;
        }
        for (name, file) in &desired.inline {
            let path = inline.join(name);
            if !is_as(&path, file) {
                write_owned(&path, &file.bytes, file.mode.unwrap_or(0o644), (file.uid, file.gid))?;
            }
        }
        let home = self.stack(desired.identity.stack).join("files");
        if !desired.folders.is_empty() {
            self.closed("stacks")?;
        }
        for folder in &desired.folders {
            let path = no_link_on_the_way(&home, folder)?;
            if !path.exists() {
                at("made", &path, fs::create_dir_all(&path))?;
            }
        }
        for source in desired.containers().flat_map(|(_, spec)| spec.sources()) {
            if let Ok(below) = Path::new(source).strip_prefix(&home) {
                no_link_on_the_way(&home, below)?;
            }
        }
        Ok(())
    }

    /// A folder in which nobody on the host but the engine and this service looks around: files of bundles and values of
    /// environments may be secrets. What is mounted from it keeps its own mode.
    fn closed(&self, name: &str) -> Result<PathBuf, FileError> {
        let path = self.root.join(name);
        at("made", &path, fs::create_dir_all(&path))?;
        at("closed", &path, fs::set_permissions(&path, fs::Permissions::from_mode(0o700)))?;
        Ok(path)
    }

    fn stack(&self, stack: StackId) -> PathBuf {
        self.root.join("stacks").join(stack.to_string())
    }

    /// The key that opens secrets; made the first time.
    ///
    /// # Errors
    /// When it cannot be read or written, or is none.
    pub fn opener(&self) -> Result<Opener, FileError> {
        let path = self.root.join(SEALING_KEY);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                at("made", &self.root, fs::create_dir_all(&self.root))?;
                write_key(&path, &Opener::generate().to_bytes())?;
                fs::read(&path)
            }
            answer => answer,
        };
        let key = at("read", &path, bytes).map(|bytes| Opener::from_bytes(&bytes))?;
        at("read", &path, key.map_err(|_| io::Error::other("it is no key; put the one of the backup in its place")))
    }

    /// The files of a stack's secrets, but for those that are wanted.
    #[must_use]
    pub fn other_secrets(&self, stack: StackId, wanted: &BTreeMap<String, InlineFile>) -> BTreeSet<String> {
        let Ok(entries) = fs::read_dir(self.root.join(INLINE)) else { return BTreeSet::new() };
        let prefix = secret_files(stack);
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with(&prefix) && !wanted.contains_key(name)).collect()
    }

    /// Removes the folder of a stack, with all that its containers wrote there; says what stays. A service that is not root
    /// may not remove what a container wrote as another user into a folder of its own.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_stack(&self, stack: StackId) -> Result<Option<String>, FileError> {
        let path = self.stack(stack);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Ok(Some(format!("{} stays: a container wrote there as another user", path.display())))
            }
            result => gone(&path, result).map(|()| None),
        }
    }

    /// The containers that a stop stopped.
    #[must_use]
    pub fn stopped(&self, stack: StackId) -> BTreeSet<String> {
        self.read(stack, "stopped.json").unwrap_or_default()
    }

    /// Remembers the containers that a stop stopped.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_stopped(&self, stack: StackId, ids: &BTreeSet<String>) -> Result<(), FileError> {
        self.write(stack, "stopped.json", ids)
    }

    /// What containers of a stack should be like, by name: to tell drift.
    #[must_use]
    pub fn expected(&self, stack: StackId) -> BTreeMap<String, Facts> {
        let labels: BTreeMap<String, String> = self.read(stack, "expected.json").unwrap_or_default();
        labels.into_iter().filter_map(|(name, label)| Some((name, Facts::from_label(&label)?))).collect()
    }

    /// Remembers what containers of a stack should be like.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_expected(&self, stack: StackId, expected: &BTreeMap<String, Facts>) -> Result<(), FileError> {
        let labels: BTreeMap<&String, String> = expected.iter().map(|(name, facts)| (name, facts.to_label())).collect();
        self.write(stack, "expected.json", &labels)
    }

    /// How long ago this executor pulled an image, by name: an engine tells only when it last got a new one.
    #[must_use]
    pub fn pulled(&self) -> BTreeMap<String, Duration> {
        let now = seconds();
        let ago = |(name, at): (String, u64)| Some((name, Duration::from_secs(now.checked_sub(at)?)));
        self.pulls().into_iter().filter_map(ago).collect()
    }

    /// Remembers that these images were pulled now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_pulled(&self, names: &[String]) -> Result<(), FileError> {
        let now = seconds();
        let mut all = self.pulls();
        all.extend(names.iter().map(|name| (name.clone(), now)));
        let bytes = serde_json::to_vec(&all).unwrap_or_default();
        write(&self.root.join(PULLS), &FileContent { bytes, executable: false })
    }

    fn pulls(&self) -> BTreeMap<String, u64> {
        fs::read(self.root.join(PULLS)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn read<T: DeserializeOwned>(&self, stack: StackId, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.stack(stack).join(name)).ok()?).ok()
    }

    fn write(&self, stack: StackId, name: &str, value: &impl Serialize) -> Result<(), FileError> {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        self.closed("stacks")?;
        write(&self.stack(stack).join(name), &FileContent { bytes, executable: false })
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The path below `home`, unless a link lies on it: a container that may write there could otherwise have the engine
/// mount any folder of the host.
fn no_link_on_the_way(home: &Path, below: impl AsRef<Path>) -> Result<PathBuf, FileError> {
    let mut path = home.to_owned();
    for part in below.as_ref().components() {
        path.push(part);
        if path.is_symlink() {
            return at("mounted", &path, Err(io::Error::other("it is a link, which may lead out of the stack's folder; remove it")));
        }
    }
    Ok(path)
}

fn mend(home: &Path, bundle: &Bundle) -> Result<(), FileError> {
    for (path, file) in &bundle.files {
        let path = home.join(path);
        if !fs::read(&path).is_ok_and(|there| there == file.bytes) {
            write(&path, file)?;
        }
    }
    Ok(())
}

/// Whether a file has this content, owner and mode.
fn is_as(path: &Path, file: &InlineFile) -> bool {
    let right = |there: fs::Metadata| {
        let mode = there.mode() & 0o7777 == file.mode.unwrap_or(0o644);
        mode && file.uid.is_none_or(|uid| there.uid() == uid) && file.gid.is_none_or(|gid| there.gid() == gid)
    };
    fs::metadata(path).is_ok_and(right) && fs::read(path).is_ok_and(|there| there == file.bytes)
}

fn write(path: &Path, file: &FileContent) -> Result<(), FileError> {
    write_owned(path, &file.bytes, if file.executable { 0o755 } else { 0o644 }, (None, None))
}

/// A key that only this service reads, whole or not at all. Of two that make one at once, the first wins.
fn write_key(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let aside = path.with_extension(format!("{}", std::process::id()));
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
    let written = file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    at("written", &aside, written)?;
    let linked = match fs::hard_link(&aside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    };
    gone(&aside, fs::remove_file(&aside))?;
    at("put in its place", path, linked)
}

/// Whole or not at all: beside, then renamed.
fn write_owned(path: &Path, bytes: &[u8], mode: u32, (uid, gid): (Option<u32>, Option<u32>)) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(path);
    at("made", folder, fs::create_dir_all(folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".{name}.{}", std::process::id()));
    at("written", &aside, fs::write(&aside, bytes))?;
    if uid.is_some() || gid.is_some() {
        at("given its owner", &aside, chown(&aside, uid, gid))?;
    }
    at("given its mode", &aside, fs::set_permissions(&aside, fs::Permissions::from_mode(mode)))?;
    at("put in its place", path, fs::rename(&aside, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_folder_of_a_stack_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("data")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("data/way-out")).unwrap();
        assert!(no_link_on_the_way(folder.path(), "data/new/deep").is_ok());
        let error = no_link_on_the_way(folder.path(), "data/way-out/etc").unwrap_err();
        assert!(error.path.ends_with("data/way-out"), "{error}");
    }

    #[test]
    fn a_bundle_is_laid_out_once_and_mended_when_somebody_wrote_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path());
        let mut bundle = Bundle::default();
        bundle.files.insert("conf/a.txt".into(), FileContent::text("hello"));
        bundle.files.insert("run.sh".into(), FileContent { bytes: b"#!/bin/sh\n".to_vec(), executable: true });
        let digest = bundle.digest();
        data.lay_out(&bundle, &digest).unwrap();
        let home = folder.path().join("bundles").join(digest.as_str());
        assert_eq!(fs::read_to_string(home.join("conf/a.txt")).unwrap(), "hello");
        assert_eq!(fs::metadata(home.join("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
        fs::write(home.join("conf/a.txt"), "tampered").unwrap();
        data.lay_out(&bundle, &digest).unwrap();
        assert_eq!(fs::read_to_string(home.join("conf/a.txt")).unwrap(), "hello");
    }

    #[test]
    fn files_that_nothing_mounts_go_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path());
        let mut digests = Vec::new();
        for text in ["mounted", "free"] {
            let mut bundle = Bundle::default();
            bundle.files.insert("conf/a.txt".into(), FileContent::text(text));
            data.lay_out(&bundle, &bundle.digest()).unwrap();
            digests.push(bundle.digest());
        }
        let inline = folder.path().join(INLINE);
        fs::create_dir_all(&inline).unwrap();
        fs::write(inline.join("mounted"), "secret").unwrap();
        fs::write(inline.join("free"), "secret").unwrap();
        // The engine sees the data folder elsewhere, and another folder begins with the same name.
        let elsewhere = Path::new("/host");
        let mounts = [
            elsewhere.join(BUNDLES).join(digests[0].as_str()).join("conf"),
            elsewhere.join(BUNDLES).join(format!("{}-copy", digests[1])),
            elsewhere.join(INLINE).join("mounted"),
        ];
        let names = ["mounted", "free", "never-was"].map(str::to_owned);
        data.remove_unmounted(&digests.iter().cloned().collect(), &names.into(), &mounts.into()).unwrap();
        assert!(data.is_laid_out(&digests[0]) && !data.is_laid_out(&digests[1]));
        assert!(inline.join("mounted").exists() && !inline.join("free").exists());
    }

    #[test]
    fn the_sealing_key_is_made_once_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path().join("new"));
        let made = data.opener().unwrap().key();
        assert_eq!(data.opener().unwrap().key(), made);
        let path = data.root().join(SEALING_KEY);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.root()).unwrap().count(), 1);
        fs::write(&path, "short").unwrap();
        assert!(data.opener().is_err());
    }

    #[test]
    fn pulls_are_remembered_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path());
        assert!(data.pulled().is_empty());
        data.remember_pulled(&["nginx:1".into()]).unwrap();
        data.remember_pulled(&["redis:7".into()]).unwrap();
        let pulled = data.pulled();
        assert_eq!(pulled.keys().collect::<Vec<_>>(), ["nginx:1", "redis:7"]);
        assert!(pulled.values().all(|ago| *ago < Duration::from_secs(60)));
    }
}
