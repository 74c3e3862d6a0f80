//! The cloud-init section.

use orrery_compose::{Files, files};

use super::{text, texts, words};
use crate::model::{BundleFile, CloudInit, Content, Run, Short, User, UserData, WriteFile};
use crate::tree::At;

pub(super) fn section(at: &At<'_>, files: &Files) -> Option<CloudInit> {
    let user_data = match bundle_file(at, "user_data", files) {
        Some(user_data) => UserData::File { user_data },
        None => UserData::Short(Short {
            users: at.list("users").iter().map(user).collect::<Option<_>>()?,
            ssh_keys: texts(at, "ssh_keys"),
            packages: texts(at, "packages"),
            run: at.list("run").iter().map(run).collect(),
            write_files: at.list("write_files").iter().map(|file| write_file(file, files)).collect::<Option<_>>()?,
        }),
    };
    Some(CloudInit { hostname: text(at, "hostname"), user_data, network_data: bundle_file(at, "network_data", files) })
}

fn user(at: &At<'_>) -> Option<User> {
    Some(User {
        name: text(at, "name")?,
        ssh_keys: texts(at, "ssh_keys"),
        sudo: at.flag("sudo").unwrap_or(false),
        groups: texts(at, "groups"),
        shell: text(at, "shell").unwrap_or_else(|| "/bin/bash".to_owned()),
        password_hash: text(at, "password_hash"),
    })
}

fn run(at: &At<'_>) -> Run {
    match at.text() {
        Some(line) => Run::Line(line.to_owned()),
        None => Run::Words(words(at)),
    }
}

fn write_file(at: &At<'_>, files: &Files) -> Option<WriteFile> {
    let content = match text(at, "content") {
        Some(content) => Content::Text { content },
        None => Content::File { file: bundle_file(at, "file", files)? },
    };
    Some(WriteFile { path: text(at, "path")?, content, permissions: text(at, "permissions").unwrap_or_else(|| "0644".to_owned()) })
}

fn bundle_file(at: &At<'_>, key: &str, files: &Files) -> Option<BundleFile> {
    let path = files::resolve("", at.text_of(key)?).ok()?;
    let content = files.get(&path)?.to_vec();
    Some(BundleFile { path, content })
}
