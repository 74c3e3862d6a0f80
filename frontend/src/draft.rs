//! The files that a person edits, against the version that they came from: what was added, changed and removed, and the
//! form in which a draft survives a reload. It does not judge definitions.

use std::collections::BTreeMap;

use orrery_contracts::bundle::check_path;
use orrery_contracts::{Bundle, FileContent};
use serde::{Deserialize, Serialize};

/// How a file of a draft differs from the version below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    Same,
    Added,
    Changed,
    Removed,
}

impl Mark {
    /// The sign and its class.
    pub(crate) const fn sign(self) -> (&'static str, &'static str) {
        match self {
            Self::Same => ("", ""),
            Self::Added => ("+", "add"),
            Self::Changed => ("~", "mod"),
            Self::Removed => ("−", "del"),
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Same => "unchanged",
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// A draft.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Draft {
    /// The version that it grew from; 0 for a stack that does not exist yet.
    pub(crate) base_version: u32,
    base: Bundle,
    files: Bundle,
}

/// The form in the browser's storage.
#[derive(Serialize, Deserialize)]
struct Stored {
    base_version: u32,
    base_digest: String,
    comment: String,
    bundle: Bundle,
}

impl Draft {
    /// A draft that is still the version itself.
    pub(crate) fn of(base_version: u32, base: Bundle) -> Self {
        Self { base_version, files: base.clone(), base }
    }

    /// The files as they would be saved.
    pub(crate) const fn bundle(&self) -> &Bundle {
        &self.files
    }

    pub(crate) const fn base(&self) -> &Bundle {
        &self.base
    }

    /// Every file, the removed ones included, with what happened to it.
    pub(crate) fn marks(&self) -> Vec<(String, Mark)> {
        let mut all: BTreeMap<&String, Mark> = self.base.files.keys().map(|path| (path, Mark::Removed)).collect();
        for (path, content) in &self.files.files {
            let mark = match self.base.files.get(path) {
                None => Mark::Added,
                Some(before) if before == content => Mark::Same,
                Some(_) => Mark::Changed,
            };
            all.insert(path, mark);
        }
        all.into_iter().map(|(path, mark)| (path.clone(), mark)).collect()
    }

    /// How many files differ.
    pub(crate) fn changes(&self) -> usize {
        self.marks().iter().filter(|(_, mark)| *mark != Mark::Same).count()
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.files.get(path).and_then(FileContent::as_text)
    }

    /// Writes a text; the executable flag of the file stays.
    pub(crate) fn write(&mut self, path: &str, text: &str) {
        let executable = self.files.files.get(path).is_some_and(|file| file.executable);
        self.files.files.insert(path.to_owned(), FileContent { bytes: text.as_bytes().to_vec(), executable });
    }

    /// Takes files that came in by a drop; what has the same path is replaced, and stays executable: a browser's file does not
    /// say whether it is.
    ///
    /// # Errors
    /// The first path that cannot be one, and why; nothing is taken then.
    pub(crate) fn take(&mut self, incoming: Vec<(String, FileContent)>) -> Result<(), String> {
        for (path, _) in &incoming {
            check_path(path).map_err(|why| format!("{path}: {why}"))?;
        }
        for (path, mut file) in incoming {
            file.executable |= self.files.files.get(&path).is_some_and(|before| before.executable);
            self.files.files.insert(path, file);
        }
        Ok(())
    }

    /// Adds an empty file.
    ///
    /// # Errors
    /// Why the path cannot be taken.
    pub(crate) fn add(&mut self, path: &str) -> Result<(), String> {
        self.free(path)?;
        self.files.files.insert(path.to_owned(), FileContent::text(""));
        Ok(())
    }

    /// Gives a file another path.
    ///
    /// # Errors
    /// Why the path cannot be taken.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), String> {
        if from == to {
            return Ok(());
        }
        self.free(to)?;
        if let Some(content) = self.files.files.remove(from) {
            self.files.files.insert(to.to_owned(), content);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.files.files.remove(path);
    }

    /// Puts a file back to what the version says; one that the version has not goes.
    pub(crate) fn revert(&mut self, path: &str) {
        match self.base.files.get(path) {
            Some(before) => self.files.files.insert(path.to_owned(), before.clone()),
            None => self.files.files.remove(path),
        };
    }

    fn free(&self, path: &str) -> Result<(), String> {
        check_path(path)?;
        if self.files.files.contains_key(path) {
            return Err(format!("there is a file {path} already"));
        }
        let folder = |other: &String| other.starts_with(&format!("{path}/")) || path.starts_with(&format!("{other}/"));
        match self.files.files.keys().find(|other| folder(other)) {
            Some(other) => Err(format!("{other} is in the way: a file and a folder cannot have one name")),
            None => Ok(()),
        }
    }

    /// The form for the browser's storage; none while nothing differs.
    pub(crate) fn store(&self, comment: &str) -> Option<String> {
        (self.files != self.base || !comment.is_empty()).then(|| {
            let stored = Stored {
                base_version: self.base_version,
                base_digest: self.base.digest().to_string(),
                comment: comment.to_owned(),
                bundle: self.files.clone(),
            };
            serde_json::to_string(&stored).unwrap_or_default()
        })
    }

    /// Takes up a stored draft over the version that it grew from. A draft of another base is not this one's.
    pub(crate) fn restore(base_version: u32, base: Bundle, stored: &str) -> Option<(Self, String)> {
        let stored: Stored = serde_json::from_slice(stored.as_bytes()).ok()?;
        let fits = stored.base_version == base_version && stored.base_digest == base.digest().as_str();
        fits.then_some((Self { base_version, base, files: stored.bundle }, stored.comment))
    }

    /// Puts the draft on a newer version: what was not touched here is taken from there, what was touched only here stays,
    /// and where both changed a file this draft's content stays. Tells the files that both changed.
    pub(crate) fn rebase(&self, version: u32, theirs: Bundle) -> (Self, Vec<String>) {
        let mut files = theirs.clone();
        let mut both = Vec::new();
        for (path, mark) in self.marks() {
            if mark == Mark::Same {
                continue;
            }
            let mine = self.files.files.get(&path);
            if theirs.files.get(&path) != self.base.files.get(&path) && theirs.files.get(&path) != mine {
                both.push(path.clone());
            }
            match mine {
                Some(content) => files.files.insert(path, content.clone()),
                None => files.files.remove(&path),
            };
        }
        (Self { base_version: version, base: theirs, files }, both)
    }

    /// The version that a stored draft grew from.
    pub(crate) fn stored_base(stored: &str) -> Option<u32> {
        serde_json::from_slice::<Stored>(stored.as_bytes()).ok().map(|stored| stored.base_version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        Bundle { files: files.iter().map(|(path, text)| ((*path).to_owned(), FileContent::text(*text))).collect() }
    }

    fn draft() -> Draft {
        Draft::of(3, bundle(&[("compose.yaml", "services: {}"), ("conf/nginx.conf", "a"), ("run.sh", "x")]))
    }

    #[test]
    fn a_file_is_marked_by_what_happened_to_it() {
        let mut draft = draft();
        draft.write("compose.yaml", "services: {web: {}}");
        draft.rename("run.sh", "bin/run.sh").unwrap();
        draft.add("new").unwrap();
        let marks: Vec<_> = draft
            .marks()
            .into_iter()
            .filter(|(_, mark)| *mark != Mark::Same)
            .map(|(path, mark)| format!("{}{path}", mark.sign().0))
            .collect();
        assert_eq!(marks, ["+bin/run.sh", "~compose.yaml", "+new", "−run.sh"]);
        draft.revert("new");
        draft.revert("compose.yaml");
        draft.rename("bin/run.sh", "run.sh").unwrap();
        assert_eq!(draft.changes(), 0);
    }

    #[test]
    fn a_path_that_is_taken_or_leaves_the_bundle_is_refused() {
        let mut draft = draft();
        for bad in ["compose.yaml", "../x", "/etc/passwd", "", "conf", "run.sh/x"] {
            assert!(draft.add(bad).is_err(), "{bad}");
        }
        assert!(draft.take(vec![("ok".into(), FileContent::text("")), ("../no".into(), FileContent::text(""))]).is_err());
        assert_eq!(draft.changes(), 0, "nothing is taken when one of them cannot be");
    }

    #[test]
    fn a_draft_moves_to_a_newer_version_and_tells_what_both_changed() {
        let mut draft = draft();
        draft.write("compose.yaml", "mine");
        draft.remove("run.sh");
        draft.add("new").unwrap();
        let theirs = bundle(&[("compose.yaml", "theirs"), ("conf/nginx.conf", "b"), ("run.sh", "x"), ("more", "1")]);
        let (moved, both) = draft.rebase(4, theirs);
        assert_eq!(both, ["compose.yaml"]);
        assert_eq!(
            (moved.text("compose.yaml"), moved.text("conf/nginx.conf"), moved.text("run.sh"), moved.text("more")),
            (Some("mine"), Some("b"), None, Some("1"))
        );
        assert_eq!((moved.base_version, moved.changes()), (4, 3));
    }

    #[test]
    fn a_draft_survives_a_reload_and_only_over_its_own_base() {
        let mut draft = draft();
        assert_eq!(draft.store(""), None);
        let file = |bytes: &[u8], executable| FileContent { bytes: bytes.to_vec(), executable };
        draft.take(vec![("logo.png".into(), file(&[0xff, 0xfe], false)), ("tool.sh".into(), file(b"#!/bin/sh", true))]).unwrap();
        draft.take(vec![("tool.sh".into(), file(b"#!/bin/sh -e", false))]).unwrap();
        assert!(draft.bundle().files["tool.sh"].executable, "a newer text of the same script");
        let stored = draft.store("a logo").unwrap();
        let (again, comment) = Draft::restore(3, draft.base().clone(), &stored).unwrap();
        assert_eq!((again, comment.as_str()), (draft, "a logo"));
        assert!(Draft::restore(4, bundle(&[]), &stored).is_none());
        assert_eq!(Draft::stored_base(&stored), Some(3));
    }
}
