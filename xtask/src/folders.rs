//! Where things lie: the checkout, the cache, and the data folder of one installation.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A Unix socket's path has at most so many bytes.
const LONGEST_SOCKET: usize = 107;

/// The data folder of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    root: PathBuf,
}

impl Data {
    /// The folder that the environment names, or the usual one.
    pub(crate) fn chosen() -> Result<Self> {
        let root = match named("ORRERY_DATA_DIR") {
            Some(root) => root,
            None if is_root() => PathBuf::from("/var/lib/orrery"),
            None => match named("XDG_DATA_HOME") {
                Some(share) => share.join("orrery"),
                None => home()?.join(".local/share/orrery"),
            },
        };
        let root = std::path::absolute(&root).with_context(|| format!("{} is no path", root.display()))?;
        Ok(Self { root })
    }

    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Makes the folders. The data folder can be passed through by the database's user; what is secret in it cannot.
    pub(crate) fn create(&self) -> Result<()> {
        make(&self.root, 0o711)?;
        for (name, mode) in [("run", 0o711), ("log", 0o711), ("database", 0o700)] {
            make(&self.root.join(name), mode)?;
        }
        let longest = self.socket("libvirt-executor");
        anyhow::ensure!(
            longest.as_os_str().len() <= LONGEST_SOCKET,
            "the data folder's path is too long: a socket like {} may have {LONGEST_SOCKET} bytes; \
             set ORRERY_DATA_DIR to a shorter one",
            longest.display()
        );
        Ok(())
    }

    pub(crate) fn exists(&self) -> bool {
        self.root.join("run").is_dir()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.root.join("run").join(name)
    }

    /// The socket where a service says how it is.
    pub(crate) fn socket(&self, service: &str) -> PathBuf {
        self.run(&format!("{service}.sock"))
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.root.join("log").join(format!("{process}.log"))
    }

    /// One role's database address, readable by its owner alone.
    pub(crate) fn database_url(&self, role: &str) -> PathBuf {
        self.root.join("database").join(format!("{role}.url"))
    }
}

/// The checkout.
pub(crate) fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    named("CARGO_TARGET_DIR").unwrap_or_else(|| repository().join("target"))
}

/// What is downloaded or built once for all checkouts.
pub(crate) fn cache() -> Result<PathBuf> {
    let cache = match named("ORRERY_CACHE_DIR") {
        Some(cache) => cache,
        None => home()?.join(".cache/orrery"),
    };
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    Ok(cache)
}

/// Makes a folder with exactly this mode.
pub(crate) fn make(path: &Path, mode: u32) -> Result<()> {
    if !path.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(path).with_context(|| format!("cannot create {}", path.display()))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| format!("cannot protect {}", path.display()))
}

/// Writes a file that its owner alone may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .with_context(|| format!("cannot create {}", new.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path).with_context(|| format!("cannot write {}", path.display()))
}

/// A file's text without the white space around it, or nothing where there is no such file.
pub(crate) fn read_trimmed(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn home() -> Result<PathBuf> {
    named("HOME").context("HOME is not set: set it, or ORRERY_DATA_DIR and ORRERY_CACHE_DIR")
}

fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
