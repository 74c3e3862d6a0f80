//! The archive of a build's context, made from the bundle; the same files give the same bytes.

use bytes::Bytes;
use orrery_contracts::{Bundle, FileContent};

use super::ignore::Ignore;
use crate::definition::BuildOrder;

/// A tar archive of the context that a build needs.
#[must_use]
pub fn archive(bundle: &Bundle, order: &BuildOrder) -> Bytes {
    let prefix = if order.context.is_empty() { String::new() } else { format!("{}/", order.context) };
    let ignored = bundle.files.get(&format!("{prefix}.dockerignore")).and_then(FileContent::as_text).map(Ignore::read).unwrap_or_default();
    let mut tar = tar::Builder::new(Vec::new());
    for (path, file) in &bundle.files {
        let Some(inside) = path.strip_prefix(&prefix) else { continue };
        if inside != order.dockerfile && ignored.matches(inside) {
            continue;
        }
        add(&mut tar, inside, &file.bytes, file.executable);
    }
    if let Some(text) = &order.dockerfile_inline {
        add(&mut tar, &order.dockerfile, text.as_bytes(), false);
    }
    Bytes::from(tar.into_inner().unwrap_or_default())
}

/// Writing to memory cannot fail but for a path that no archive can hold; the engine then says what it misses.
fn add(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], executable: bool) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_mtime(0);
    if let Err(error) = tar.append_data(&mut header, path, bytes) {
        tracing::warn!(path, "not in the build's context: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_holds_the_context_without_what_is_ignored() {
        let mut bundle = Bundle::default();
        for (path, text) in [
            ("app/Dockerfile", "FROM scratch"),
            ("app/src/main.c", "int main;"),
            ("app/notes.md", "no"),
            ("app/.dockerignore", "*.md\nDockerfile\n"),
            ("other", "x"),
        ] {
            bundle.files.insert(path.into(), FileContent::text(text));
        }
        let order = BuildOrder { context: "app".into(), dockerfile: "Dockerfile".into(), ..BuildOrder::default() };
        let bytes = archive(&bundle, &order);
        let mut tar = tar::Archive::new(bytes.as_ref());
        let names: Vec<String> = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, [".dockerignore", "Dockerfile", "src/main.c"]);
        assert_eq!(archive(&bundle, &order), bytes);
    }
}
