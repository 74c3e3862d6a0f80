//! The relative paths of a definition: moved when a file of another folder is included or
//! extended, and made absolute for the canonical form. All on the tree, short forms expanded.

use crate::short::clean;
use crate::yaml::{Data, Map, Node, Scalar};

/// Puts a folder before every relative path of a definition.
pub(crate) fn rebase(tree: &mut Node, folder: &str) {
    if !folder.is_empty() {
        change(tree, &|path| join(folder, path));
    }
}

/// Puts a folder before every relative path of a service.
pub(crate) fn rebase_service(service: &mut Node, folder: &str) {
    if !folder.is_empty() {
        change_service(service, &|path| join(folder, path));
    }
}

/// Makes every path of a definition absolute.
pub(crate) fn absolute(tree: &mut Node, folder: &str, home: Option<&str>) {
    change(tree, &|path| match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) => clean(&format!("{home}/{rest}")),
        _ if is_absolute(path) => path.to_owned(),
        _ => clean(&format!("{folder}/{path}")),
    });
}

/// The path from one folder of the bundle to another: `..` from `sub` to the bundle itself.
pub(crate) fn between(from: &str, to: &str) -> String {
    let parts = |folder: &'_ str| folder.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = (parts(from), parts(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(common).map(|_| "..".to_owned());
    up.chain(to.into_iter().skip(common)).collect::<Vec<_>>().join("/")
}

/// Makes paths relative again that were written with the definition's own folder before them, as in `${PWD}/data`.
pub(crate) fn relative(tree: &mut Node, folder: &str) {
    change(tree, &|path| match path.strip_prefix(folder) {
        Some("") => ".".to_owned(),
        Some(rest) if rest.starts_with('/') => format!(".{rest}"),
        Some(_) | None => path.to_owned(),
    });
}

fn join(folder: &str, path: &str) -> String {
    if is_absolute(path) || path.starts_with('~') {
        return path.to_owned();
    }
    let joined = clean(&format!("{folder}/{path}"));
    if joined.starts_with("..") { joined } else { format!("./{joined}") }
}

/// Whether a path begins at a root, of Windows too.
pub(crate) fn is_absolute(path: &str) -> bool {
    let mut chars = path.chars();
    let drive = chars.next().is_some_and(|c| c.is_ascii_alphabetic()) && chars.next() == Some(':');
    path.starts_with('/') || path.starts_with('\\') || drive
}

/// Whether a build context is somewhere else than in a folder.
pub(crate) fn is_remote(context: &str) -> bool {
    let prefixes = ["https://", "http://", "git://", "ssh://", "github.com/", "git@", "service:"];
    context.contains("://") || prefixes.iter().any(|prefix| context.starts_with(prefix))
}

type Change<'a> = &'a dyn Fn(&str) -> String;

fn change(tree: &mut Node, to: Change<'_>) {
    for service in section(tree, "services") {
        change_service(service, to);
    }
    for kind in ["configs", "secrets"] {
        for resource in section(tree, kind) {
            if let Some(file) = resource.get_mut("file") {
                text(file, to);
            }
        }
    }
    for volume in section(tree, "volumes") {
        let local = volume.get("driver").and_then(Node::as_text) == Some("local");
        let bind = volume.get("driver_opts").and_then(|opts| opts.get("o")).and_then(Node::as_text) == Some("bind");
        if let Some(device) = volume.get_mut("driver_opts").and_then(|opts| opts.get_mut("device")).filter(|_| local && bind) {
            text(device, to);
        }
    }
}

fn change_service(service: &mut Node, to: Change<'_>) {
    if let Some(build) = service.get_mut("build") {
        if let Some(context) = build.get_mut("context") {
            context_path(context, to);
        }
        for context in entries(build.get_mut("additional_contexts")) {
            context_path(context, to);
        }
    }
    for file in items(service.get_mut("env_file")) {
        match file.get_mut("path") {
            Some(path) => text(path, to),
            None => text(file, to),
        }
    }
    for file in items(service.get_mut("label_file")) {
        text(file, to);
    }
    for watch in items(service.get_mut("develop").and_then(|develop| develop.get_mut("watch"))) {
        if let Some(path) = watch.get_mut("path") {
            text(path, to);
        }
    }
    for mount in items(service.get_mut("volumes")) {
        if mount.get("type").and_then(Node::as_text) == Some("bind")
            && let Some(source) = mount.get_mut("source")
        {
            text(source, to);
        }
    }
}

fn context_path(node: &mut Node, to: Change<'_>) {
    if node.as_text().is_some_and(|context| !context.is_empty() && !is_remote(context)) {
        // Only in mounts is a drive of Windows the beginning of an absolute path.
        text(node, &|path| if is_absolute(path) && !path.starts_with('/') { to(&format!("./{path}")) } else { to(path) });
    }
}

fn text(node: &mut Node, to: Change<'_>) {
    if let Data::Scalar(Scalar::Text(path)) = &mut node.data {
        *path = to(path);
    }
}

fn section<'n>(tree: &'n mut Node, name: &str) -> impl Iterator<Item = &'n mut Node> {
    entries(tree.get_mut(name))
}

fn entries(node: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    node.and_then(Node::as_map_mut).map(Map::values_mut).into_iter().flatten().map(|entry| &mut entry.node)
}

fn items(node: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    node.and_then(Node::as_list_mut).into_iter().flatten()
}
