//! What is mounted: volumes, tmpfs, configs and secrets.

use super::cursor::Cursor;
use super::{Context, Location, inside};
use crate::model::{Bind, BindSource, FileMount, Mount, MountKind, Spanned, Tmpfs, VolumeMount, VolumesFrom, VolumesSource};
use crate::problem::Problem;
use crate::short::clean;
use crate::units;

pub(super) fn volumes(service: &Cursor<'_>, context: &Context<'_>, problems: &mut Vec<Problem>) -> Vec<Mount> {
    let Some(volumes) = service.get("volumes") else { return Vec::new() };
    volumes.items().iter().filter_map(|mount| self::mount(mount, context, problems)).collect()
}

fn mount(mount: &Cursor<'_>, context: &Context<'_>, problems: &mut Vec<Problem>) -> Option<Mount> {
    mount.node.as_map()?;
    let place = mount.place();
    let Some(target) = mount.text("target") else {
        problems.push(Problem::invalid(&place, "the path in the container is missing").hint("Add target:."));
        return None;
    };
    if !target.starts_with('/') {
        let problem = Problem::refused(&place, format!("{target} is not absolute, and a path in the container must be"));
        problems.push(match target.split_once(":/") {
            Some((drive, _)) => problem.hint(format!("Compose takes {drive}: for a drive of Windows; give the volume a longer name.")),
            None => problem.hint(format!("Write /{target}.")),
        });
        return None;
    }
    let kind = match mount.text("type").unwrap_or_default().as_str() {
        "bind" => bind(mount, context, problems)?,
        "volume" => volume(mount),
        "tmpfs" => tmpfs(mount),
        "image" => {
            let Some(source) = mount.text("source") else {
                problems.push(Problem::refused(&place, "the image is missing").hint("Add source: with an image."));
                return None;
            };
            let subpath = mount.get("image").and_then(|image| image.text("subpath"));
            problems.push(Problem::note(&place, "a mount of an image needs an engine with API 1.48 or newer"));
            MountKind::Image { source, subpath }
        }
        other @ ("npipe" | "cluster") => {
            problems.push(
                Problem::refused(&place, format!("Orrery does not support mounts of type {other}")).hint("Use bind, volume or tmpfs."),
            );
            return None;
        }
        _ => return None,
    };
    Some(Mount { place, target: clean(&target), read_only: mount.flag("read_only"), consistency: mount.text("consistency"), kind })
}

fn bind(mount: &Cursor<'_>, context: &Context<'_>, problems: &mut Vec<Problem>) -> Option<MountKind> {
    let Some(source) = mount.text("source") else {
        let problem = Problem::invalid(&mount.place(), "a bind needs a source");
        problems.push(problem.hint("Add source: with a path, such as ./data."));
        return None;
    };
    let place = mount.get("source").map_or_else(|| mount.place(), |source| source.place()).with_path(&mount.path);
    let source = match inside(&source, &place, context, problems)? {
        Location::Host(path) => BindSource::Host(path),
        Location::Bundle(path) if context.files.has(&path) => {
            let read_only = mount.flag("read_only");
            let shown = if path.is_empty() { "the bundle" } else { &path };
            let message = format!("{shown} is part of this version, and is mounted read-only");
            let problem = Problem::note(&place, message);
            problems.push(if read_only { problem } else { problem.hint("What the container writes belongs into a volume.") });
            BindSource::Bundle(path)
        }
        Location::Bundle(path) => {
            let message = format!("{path} is not in the bundle: it is a folder of the stack, kept over all versions");
            let name = path.rsplit('/').next().unwrap_or(&path);
            let near = crate::schema::nearest(&path, context.files.iter().map(|(file, _)| file));
            problems.push(match near {
                Some(near) => Problem::warning(&place, message).hint(format!("Did you mean the file {near}?")),
                None if name.trim_start_matches('.').contains('.') => {
                    Problem::warning(&place, message).hint("If it should be a file, add it to the bundle.")
                }
                None => Problem::note(&place, message),
            });
            BindSource::StackFolder(path)
        }
    };
    let options = mount.get("bind");
    if let Some(options) = &options {
        bind_options(options, &source, mount.flag("read_only"), problems);
    }
    let options = options.as_ref();
    Some(MountKind::Bind(Bind {
        source,
        create_host_path: options.is_some_and(|options| options.flag("create_host_path")),
        propagation: options.and_then(|options| options.text("propagation")),
        selinux: options.and_then(|options| options.text("selinux")),
        recursive: options.and_then(|options| options.text("recursive")),
    }))
}

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// What an engine would refuse, or an older one pass over.
fn bind_options(options: &Cursor<'_>, source: &BindSource, read_only: bool, problems: &mut Vec<Problem>) {
    if let Some(propagation) = options.text("propagation").filter(|word| !PROPAGATIONS.contains(&word.as_str())) {
        let problem = Problem::refused(&options.key_place("propagation"), format!("{propagation:?} is no propagation"));
        problems.push(problem.hint(format!("Write one of {}.", PROPAGATIONS.join(", "))));
    }
    let makes = options.flag("create_host_path") || !matches!(source, BindSource::Host(_));
    if options.get("selinux").is_some() && (!makes || options.get("recursive").is_some()) {
        let message = "the engine takes selinux only with create_host_path and without recursive";
        problems
            .push(Problem::refused(&options.key_place("selinux"), message).hint("Write create_host_path: true, and leave recursive out."));
    }
    match options.text("recursive").as_deref() {
        Some("readonly") if !read_only => {
            let problem = Problem::refused(&options.key_place("recursive"), "recursive: readonly is for mounts that are read-only");
            problems.push(problem.hint("Add read_only: true to the mount."));
        }
        Some("readonly" | "writable") => {
            let message = "recursive: readonly and writable need an engine with API 1.44 or newer";
            problems.push(Problem::note(&options.key_place("recursive"), message));
        }
        Some(_) | None => {}
    }
}

fn volume(mount: &Cursor<'_>) -> MountKind {
    let options = mount.get("volume");
    let options = options.as_ref();
    MountKind::Volume(VolumeMount {
        source: mount.spanned("source"),
        nocopy: options.is_some_and(|options| options.flag("nocopy")),
        subpath: options.and_then(|options| options.text("subpath")),
        labels: options.map(|options| options.strings("labels")).unwrap_or_default(),
    })
}

fn tmpfs(mount: &Cursor<'_>) -> MountKind {
    let options = mount.get("tmpfs");
    let options = options.as_ref();
    MountKind::Tmpfs(Tmpfs {
        size: options.and_then(|options| options.bytes("size")).filter(|size| *size != 0),
        mode: options.and_then(|options| options.int("mode")).and_then(|mode| u32::try_from(mode).ok()).filter(|mode| *mode != 0),
    })
}

/// `tmpfs`: the path and its options. Where something else is mounted already is an error.
pub(super) fn tmpfs_paths(service: &Cursor<'_>, volumes: &[Mount], problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let mut mounted: Vec<(String, String)> = Vec::new();
    for written in service.spanned_texts("tmpfs") {
        let (path, options) = written.value.split_once(':').unwrap_or((&written.value, ""));
        let other = volumes.iter().find(|mount| mount.target == path).map(|mount| mount.place.line);
        if other.is_some() || mounted.iter().any(|(other, _)| other == path) {
            let problem = Problem::invalid(&written.place, format!("{path} is mounted twice"));
            problems.push(match other {
                Some(line) => problem.hint(format!("A volume is mounted there in line {line}. Keep one of the two.")),
                None => problem.hint("Keep one of the two."),
            });
        }
        mounted.push((path.to_owned(), options.to_owned()));
    }
    mounted
}

/// `configs` or `secrets`.
pub(super) fn file_mounts(service: &Cursor<'_>, key: &str, problems: &mut Vec<Problem>) -> Vec<FileMount> {
    let Some(mounts) = service.get(key) else { return Vec::new() };
    let folder = if key == "secrets" { "/run/secrets" } else { "" };
    let mut mount = |mount: &Cursor<'_>| {
        let Some(source) = mount.text("source") else {
            let problem = Problem::invalid(&mount.place(), "its name is missing");
            problems.push(problem.hint(format!("Add source: with a name that {key}: at the top declares.")));
            return None;
        };
        let target = match mount.text("target") {
            Some(target) if target.starts_with('/') => clean(&target),
            Some(target) => clean(&format!("{folder}/{target}")),
            None => format!("{folder}/{source}"),
        };
        let mode = mount.get("mode").and_then(|mode| mode.node.as_scalar().and_then(units::mode));
        let (uid, gid) = (number(mount, "uid", problems), number(mount, "gid", problems));
        Some(FileMount { place: mount.place(), source, target, uid, gid, mode })
    };
    mounts.items().iter().filter_map(&mut mount).collect()
}

/// The number of a user or group: a name means nothing outside of the image.
fn number(mount: &Cursor<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<u32> {
    let text = mount.text(key)?;
    let number = text.parse().ok();
    if number.is_none() {
        let problem = Problem::refused(&mount.key_place(key), format!("{key} is {text:?}, and must be a number"));
        problems.push(problem.hint("Write the number that the image gives to this name."));
    }
    number
}

pub(super) fn volumes_from(service: &Cursor<'_>) -> Vec<Spanned<VolumesFrom>> {
    let read = |text: Spanned<String>| {
        let Spanned { value, place } = text;
        let (source, mode) = match value.strip_prefix("container:") {
            Some(rest) => {
                let (name, mode) = rest.split_once(':').unwrap_or((rest, ""));
                (VolumesSource::Container(name.to_owned()), mode)
            }
            None => {
                let (name, mode) = value.split_once(':').unwrap_or((&value, ""));
                (VolumesSource::Service(name.to_owned()), mode)
            }
        };
        Spanned::new(VolumesFrom { source, read_only: mode.split(',').any(|option| option == "ro") }, place)
    };
    service.spanned_texts("volumes_from").into_iter().map(read).collect()
}
