//! The cloud-init section: where it can be, what excludes what, and files that cloud-init would not take.

use orrery_compose::{Files, Kind, Problem, Severity, files, yaml};

use super::Rules;
use crate::tree::At;

/// Keys that are made into a document of user data.
const SHORT: [&str; 5] = ["users", "ssh_keys", "packages", "run", "write_files"];

/// How a document begins that cloud-init takes (its user-data formats).
const BEGINNINGS: [&str; 9] = [
    "#cloud-config",
    "#!",
    "#include",
    "#cloud-boothook",
    "#part-handler",
    "#upstart-job",
    "## template: jinja",
    "Content-Type: multipart",
    "MIME-Version:",
];

impl Rules<'_> {
    pub(super) fn cloud_init(&mut self, files: &Files) {
        let Some(section) = self.root.get("cloud_init").filter(|_| self.is_vm()) else { return };
        let other = self.root.get("source").filter(|source| source.node.as_map().is_some() && !source.has("box"));
        if other.is_some() {
            self.problems.push(
                Problem::invalid(&section.key_place(), "cloud_init needs a box as source")
                    .hint("An installer or a kernel of your own does not look for it. Remove it, or write source: {box: …}."),
            );
        }
        if section.has("user_data") {
            for at in SHORT.iter().filter_map(|key| section.get(key)) {
                let name = crate::check::last(&at.path).to_owned();
                let problem = Problem::invalid(&at.key_place(), format!("{name} and user_data exclude each other"));
                self.problems.push(problem.hint("Write all of it in the file, or all of it here."));
            }
        }
        self.users(&section);
        self.targets(&section);
        self.document(&section, files);
        self.network(&section, files);
    }

    fn users(&mut self, section: &At<'_>) {
        let users = section.list("users");
        let names = users.iter().filter_map(|user| Some((user.get("name")?, user.text_of("name")?)));
        for (name, line) in Self::twice(names) {
            self.wrong(&name, format!("another user has this name, in line {line}"), "Write both into one.");
        }
        for user in users.iter().filter(|user| user.node.as_map().is_some()) {
            let keys = user.node.get("ssh_keys").and_then(|keys| keys.as_list()).is_some_and(|keys| !keys.is_empty());
            if let Some(name) = user.get("name").filter(|_| !keys && !user.has("password_hash")) {
                self.warn(&name, "nobody can log in as this user", "Add ssh_keys, or a password_hash.");
            }
        }
    }

    fn targets(&mut self, section: &At<'_>) {
        let written = section.list("write_files");
        let paths = written.iter().filter_map(|file| Some((file.get("path")?, file.text_of("path")?)));
        for (path, line) in Self::twice(paths) {
            self.wrong(&path, format!("this file is written already, in line {line}"), "Keep one of the two.");
        }
    }

    /// cloud-init passes over a document that begins with nothing it knows, and over YAML that it cannot read.
    fn document(&mut self, section: &At<'_>, files: &Files) {
        let Some((at, path, content)) = file(section, "user_data", files) else { return };
        let Ok(text) = std::str::from_utf8(content) else {
            return self.wrong(&at, format!("{path} is not UTF-8"), "Save it as UTF-8. A compressed document is not taken.");
        };
        if !BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) {
            let message = format!("{path} begins with nothing that cloud-init knows, and would be passed over");
            return self.wrong(&at, message, "Let its first line be #cloud-config, or #!/bin/sh for a script.");
        }
        if text.lines().next().is_some_and(|first| first.trim_end() == "#cloud-config") {
            self.mapping(&path, content);
        }
    }

    fn network(&mut self, section: &At<'_>, files: &Files) {
        if let Some((_, path, content)) = file(section, "network_data", files) {
            self.mapping(&path, content);
        }
    }

    /// That a file is YAML, and a mapping. What can be read may say things that only Compose minds: cloud-init has its own
    /// reader, and its word counts.
    fn mapping(&mut self, path: &str, content: &[u8]) {
        let mut said = Vec::new();
        let documents = yaml::read(path, content, &mut said);
        if !documents.is_empty() {
            said.iter_mut().for_each(|problem| (problem.severity, problem.kind) = (Severity::Warning, Kind::Note));
        }
        self.problems.append(&mut said);
        if let Some(document) = documents.first().filter(|document| document.as_map().is_none() && !document.is_null()) {
            let message = format!("this must be a mapping, and it is {}", document.kind());
            self.problems.push(Problem::invalid(&document.span.at(""), message).hint("Write keys with colons."));
        }
    }
}

/// A file of the bundle that a key names, if it is there.
fn file<'n, 'f>(section: &At<'n>, key: &str, files: &'f Files) -> Option<(At<'n>, String, &'f [u8])> {
    let at = section.get(key)?;
    let path = files::resolve("", at.text()?).ok()?;
    let content = files.get(&path)?;
    Some((at, path, content))
}
