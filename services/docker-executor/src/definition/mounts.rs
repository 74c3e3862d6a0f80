//! What is mounted into a service's containers, and what is in it: a mounted file of a bundle is compared by its
//! content, never by its path on the host, which changes with every version.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use bollard::models::{
    Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions, MountTmpfsOptions, MountType,
    MountVolumeOptions,
};
use orrery_compose::model::{Bind, BindSource, FileMount, FileObject, FileSource, Mount, MountKind, Tmpfs, VolumeMount};
use orrery_compose::{Files, Problem, Service};
use orrery_contracts::{Digest, SecretName, StackId};
use serde_json::{Value, json};

use super::compile::Setting;

/// What a service mounts.
#[derive(Default)]
pub(super) struct Held {
    pub(super) mounts: Vec<EngineMount>,
    pub(super) binds: Vec<String>,
    pub(super) facts: BTreeMap<String, Value>,
    pub(super) inline: BTreeMap<String, InlineFile>,
    pub(super) folders: BTreeSet<String>,
    pub(super) secrets: BTreeSet<SecretName>,
}

/// A file that is written beside the bundles, because its content or its owner is the definition's.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineFile {
    /// The content.
    pub bytes: Vec<u8>,
    /// The owner; none is the executor's own user.
    pub uid: Option<u32>,
    /// The group; none is the executor's own.
    pub gid: Option<u32>,
    /// The permissions; none is readable for all.
    pub mode: Option<u32>,
    /// The secret whose value is the content, which is empty until it is revealed.
    pub secret: Option<SecretName>,
}

impl fmt::Debug for InlineFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, uid, gid, mode, secret } = self;
        let shown: &dyn fmt::Debug = if secret.is_some() { &"sealed" } else { bytes };
        f.debug_struct("InlineFile").field("bytes", shown).field("owner", &(uid, gid)).field("mode", mode).field("secret", secret).finish()
    }
}

/// How the names of a stack's secrets begin among the files of all.
#[must_use]
pub fn secret_files(stack: StackId) -> String {
    format!("secret-{stack}-")
}

impl InlineFile {
    /// A name that no other content, owner or mode has.
    fn name(&self) -> String {
        self.marked(Digest::of(&self.bytes).as_str().to_owned())
    }

    /// The same with marks for owner and mode.
    fn marked(&self, mut name: String) -> String {
        for (mark, value) in [("u", self.uid.map(|id| id.to_string())), ("g", self.gid.map(|id| id.to_string()))] {
            name.extend(value.map(|value| format!("-{mark}{value}")));
        }
        name.extend(self.mode.map(|mode| format!("-m{mode:o}")));
        name
    }
}

pub(super) fn collect(setting: &Setting<'_>, service: &Service, held: &mut Held, problems: &mut Vec<Problem>) {
    for mount in &service.volumes {
        held.add(setting, mount);
    }
    for mount in &service.configs {
        held.add_file(setting, mount, setting.project.configs.get(&mount.source), problems);
    }
    for mount in &service.secrets {
        held.add_file(setting, mount, setting.project.secrets.get(&mount.source), problems);
    }
}

/// Whether a mount's content outlives a container and could be written by two at once.
pub(super) fn is_shared(mount: &Mount) -> bool {
    match &mount.kind {
        MountKind::Bind(bind) => !matches!(bind.source, BindSource::Bundle(_)),
        MountKind::Volume(volume) => volume.source.is_some(),
        MountKind::Tmpfs(_) | MountKind::Image { .. } => false,
    }
}

impl Held {
    fn add(&mut self, setting: &Setting<'_>, mount: &Mount) {
        match &mount.kind {
            MountKind::Bind(bind) => self.add_bind(setting, mount, bind),
            MountKind::Volume(volume) => self.add_volume(setting, mount, volume),
            MountKind::Tmpfs(Tmpfs { size, mode }) => {
                let options = MountTmpfsOptions { size_bytes: *size, mode: mode.map(i64::from), options: None };
                let fact = json!({"type": "tmpfs", "size": size, "mode": mode});
                self.put(EngineMount { tmpfs_options: Some(options), ..plain(mount, MountType::TMPFS, None) }, fact);
            }
            MountKind::Image { source, subpath } => {
                let options = subpath.clone().map(|subpath| MountImageOptions { subpath: Some(subpath) });
                let fact = json!({"type": "image", "source": source, "subpath": subpath});
                self.put(EngineMount { image_options: options, ..plain(mount, MountType::IMAGE, Some(source.clone())) }, fact);
            }
        }
    }

    fn put(&mut self, mount: EngineMount, fact: Value) {
        self.facts.insert(mount.target.clone().unwrap_or_default(), fact);
        self.mounts.push(mount);
    }

    fn add_bind(&mut self, setting: &Setting<'_>, mount: &Mount, bind: &Bind) {
        let Bind { source, create_host_path, propagation, selinux, recursive } = bind;
        let (path, read_only, mut fact) = match source {
            BindSource::Bundle(path) => {
                (setting.folders.bundle.join(path), true, json!({"bundle": path, "content": content_digest(setting.files, path)}))
            }
            BindSource::StackFolder(path) => {
                self.folders.insert(path.clone());
                (setting.folders.stack.join(path), mount.read_only, json!({"stack_folder": path, "read_only": mount.read_only}))
            }
            BindSource::Host(path) => (path.into(), mount.read_only, json!({"host": path, "read_only": mount.read_only})),
        };
        for (key, value) in [("propagation", propagation), ("selinux", selinux), ("recursive", recursive)] {
            if let Some(value) = value {
                fact[key] = Value::from(value.as_str());
            }
        }
        let path = path.to_string_lossy().into_owned();
        let on_host = matches!(source, BindSource::Host(_));
        // Only the older form of a bind makes what is missing, on every engine, and only it knows SELinux.
        if selinux.is_some() || (on_host && *create_host_path && recursive.is_none()) {
            let mut options = vec![if read_only { "ro" } else { "rw" }];
            options.extend(propagation.as_deref());
            options.extend(selinux.as_deref());
            self.binds.push(format!("{path}:{}:{}", mount.target, options.join(",")));
            self.facts.insert(mount.target.clone(), fact);
            return;
        }
        let options = bind_options(bind, on_host);
        let engine = plain(mount, MountType::BIND, Some(path));
        self.put(EngineMount { read_only: read_only.then_some(true), bind_options: options, ..engine }, fact);
    }

    fn add_volume(&mut self, setting: &Setting<'_>, mount: &Mount, volume: &VolumeMount) {
        let VolumeMount { source, nocopy, subpath, labels } = volume;
        let name = source.as_ref().map(|key| match setting.project.volumes.get(&key.value) {
            Some(declared) => declared.name.value.clone(),
            None => key.value.clone(),
        });
        let labels = (!labels.is_empty()).then(|| labels.clone().into_iter().collect());
        let options = MountVolumeOptions { no_copy: nocopy.then_some(true), labels, subpath: subpath.clone(), driver_config: None };
        let options = (options != MountVolumeOptions::default()).then_some(options);
        let fact = json!({"volume": name, "read_only": mount.read_only, "nocopy": nocopy, "subpath": subpath});
        self.put(EngineMount { volume_options: options, ..plain(mount, MountType::VOLUME, name) }, fact);
    }

    fn add_file(&mut self, setting: &Setting<'_>, mount: &FileMount, object: Option<&FileObject>, problems: &mut Vec<Problem>) {
        let FileMount { place, source: key, target, uid, gid, mode } = mount;
        let Some(object) = object else {
            problems.push(Problem::refused(place, format!("{key:?} is not declared")));
            return;
        };
        let owned = |bytes: &[u8]| InlineFile { bytes: bytes.to_vec(), uid: *uid, gid: *gid, mode: *mode, secret: None };
        let plain = uid.is_none() && gid.is_none() && mode.is_none();
        let (source, fact) = match &object.source {
            FileSource::Bundle(path) if plain => {
                (setting.folders.bundle.join(path), json!({"bundle": path, "content": content_digest(setting.files, path)}))
            }
            // A file of a bundle is shared by all who mount it: with an owner of its own it is a copy.
            FileSource::Bundle(path) => self.write_inline(setting, owned(setting.files.get(path).unwrap_or_default())),
            FileSource::StackFolder(path) => (setting.folders.stack.join(path), json!({"stack_folder": path})),
            FileSource::Host(path) => (path.into(), json!({"host": path})),
            FileSource::Inline(content) | FileSource::Environment { content, variable: _ } => {
                self.write_inline(setting, owned(content.as_bytes()))
            }
            // The reader refuses what is not of the stack itself.
            FileSource::External => {
                let name = if object.name.is_empty() { key } else { &object.name };
                let Some((name, version)) = setting.secret(name, &object.place, problems) else { return };
                let file = InlineFile { secret: Some(name.clone()), ..owned(&[]) };
                let path = file.marked(format!("{}{name}-{version}", secret_files(setting.identity.stack)));
                self.inline.insert(path.clone(), file);
                self.secrets.insert(name.clone());
                (setting.folders.inline.join(path), json!({"secret": name.as_str(), "version": version}))
            }
        };
        let engine = EngineMount {
            target: Some(target.clone()),
            source: Some(source.to_string_lossy().into_owned()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..EngineMount::default()
        };
        self.put(engine, fact);
    }

    fn write_inline(&mut self, setting: &Setting<'_>, file: InlineFile) -> (PathBuf, Value) {
        let name = file.name();
        self.inline.insert(name.clone(), file);
        (setting.folders.inline.join(&name), json!({"content": name}))
    }
}

fn plain(mount: &Mount, typ: MountType, source: Option<String>) -> EngineMount {
    EngineMount {
        target: Some(mount.target.clone()),
        source,
        typ: Some(typ),
        read_only: mount.read_only.then_some(true),
        consistency: mount.consistency.clone(),
        ..EngineMount::default()
    }
}

fn bind_options(bind: &Bind, on_host: bool) -> Option<MountBindOptions> {
    let propagation = match bind.propagation.as_deref() {
        Some("private") => Some(MountBindOptionsPropagationEnum::PRIVATE),
        Some("rprivate") => Some(MountBindOptionsPropagationEnum::RPRIVATE),
        Some("shared") => Some(MountBindOptionsPropagationEnum::SHARED),
        Some("rshared") => Some(MountBindOptionsPropagationEnum::RSHARED),
        Some("slave") => Some(MountBindOptionsPropagationEnum::SLAVE),
        Some("rslave") => Some(MountBindOptionsPropagationEnum::RSLAVE),
        Some(_) | None => None,
    };
    let recursive = |word: &str| (bind.recursive.as_deref() == Some(word)).then_some(true);
    let options = MountBindOptions {
        propagation,
        non_recursive: recursive("disabled"),
        read_only_non_recursive: recursive("writable"),
        read_only_force_recursive: recursive("readonly"),
        create_mountpoint: (on_host && bind.create_host_path).then_some(true),
    };
    (options != MountBindOptions::default()).then_some(options)
}

/// The digest of a file of the bundle, or of everything in one of its folders.
fn content_digest(files: &Files, path: &str) -> Digest {
    if let Some(bytes) = files.get(path) {
        return Digest::of(bytes);
    }
    let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut all = String::new();
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(&folder)) {
        all.push_str(&format!("{name} {}\n", Digest::of(bytes)));
    }
    Digest::of(all.as_bytes())
}
