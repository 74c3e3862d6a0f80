//! The files of a bundle, and the rule that nothing leaves it.
//!
//! Paths are relative to the bundle, with `/` between parts and without `.` or `..`.

use std::collections::BTreeMap;

/// The files of a bundle: path to content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// A bundle with nothing but a `compose.yaml`.
    pub fn of_compose(text: &str) -> Self {
        [("compose.yaml", text)].into_iter().collect()
    }

    /// Adds or replaces a file. A path that is not plain is normalised; one that leaves the bundle
    /// is dropped.
    pub fn insert(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        if let Ok(path) = resolve("", path) {
            self.0.insert(path, content.into());
        }
    }

    /// The content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// Whether a file of that path is there.
    pub fn has_file(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Whether a folder of that path has files. The bundle itself is the folder `""`.
    pub fn has_folder(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        let prefix = format!("{path}/");
        self.0.range(prefix.clone()..).next().is_some_and(|(file, _)| file.starts_with(&prefix))
    }

    /// Whether the bundle has a file or folder of that path.
    pub fn has(&self, path: &str) -> bool {
        self.has_file(path) || self.has_folder(path)
    }

    /// All files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }
}

impl<P: AsRef<str>, C: Into<Vec<u8>>> FromIterator<(P, C)> for Files {
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        let mut all = Self::new();
        for (path, content) in files {
            all.insert(path.as_ref(), content);
        }
        all
    }
}

/// Why a path is no path of the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outside {
    /// It begins at the root of the host.
    #[error("is absolute")]
    Absolute,
    /// `..` climbs out.
    #[error("climbs out of the bundle")]
    Above,
    /// It begins with `~`.
    #[error("begins in a home folder")]
    Home,
}

/// The path in the bundle that `path` means when it is written in the folder `base`.
pub fn resolve(base: &str, path: &str) -> Result<String, Outside> {
    if path.starts_with('/') || path.starts_with('\\') {
        return Err(Outside::Absolute);
    }
    if path == "~" || path.starts_with("~/") {
        return Err(Outside::Home);
    }
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(Outside::Above)?;
            }
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}
