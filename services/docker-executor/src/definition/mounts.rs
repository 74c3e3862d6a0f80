//! What is mounted into a service's containers, and what is in it: a mounted file of a bundle is compared by its
//! content, never by its path on the host, which changes with every version.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{
    Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions, MountTmpfsOptions, MountType,
    MountVolumeOptions,
};
use orrery_compose::model::{Bind, BindSource, FileMount, FileObject, FileSource, Mount, MountKind, VolumeMount};
use orrery_compose::{Files, Problem, Service};
use orrery_contracts::Digest;
use serde_json::{Value, json};

use super::compile::Setting;

/// What a service mounts.
#[derive(Default)]
pub(super) struct Held {
    pub(super) mounts: Vec<EngineMount>,
    pub(super) binds: Vec<String>,
    pub(super) facts: BTreeMap<String, Value>,
    pub(super) inline: BTreeMap<Digest, Vec<u8>>,
    pub(super) folders: BTreeSet<String>,
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
            MountKind::Tmpfs(tmpfs) => {
                let options = MountTmpfsOptions { size_bytes: tmpfs.size, mode: tmpfs.mode.map(i64::from), options: None };
                let fact = json!({"type": "tmpfs", "size": tmpfs.size, "mode": tmpfs.mode});
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
        match &bind.source {
            BindSource::Bundle(path) => {
                let source = setting.folders.bundle.join(path).to_string_lossy().into_owned();
                let fact = json!({"bundle": path, "content": content_digest(setting.files, path)});
                self.put(EngineMount { read_only: Some(true), ..plain(mount, MountType::BIND, Some(source)) }, fact);
            }
            BindSource::StackFolder(path) => {
                self.folders.insert(path.clone());
                let source = setting.folders.stack.join(path).to_string_lossy().into_owned();
                let fact = json!({"stack_folder": path, "read_only": mount.read_only});
                self.put(EngineMount { bind_options: bind_options(bind), ..plain(mount, MountType::BIND, Some(source)) }, fact);
            }
            BindSource::Host(path) if bind.create_host_path => {
                let mut options = vec![if mount.read_only { "ro" } else { "rw" }];
                options.extend(bind.propagation.as_deref());
                options.extend(bind.selinux.as_deref());
                self.binds.push(format!("{path}:{}:{}", mount.target, options.join(",")));
            }
            BindSource::Host(path) => {
                let fact = json!({"host": path, "read_only": mount.read_only, "propagation": bind.propagation});
                self.put(EngineMount { bind_options: bind_options(bind), ..plain(mount, MountType::BIND, Some(path.clone())) }, fact);
            }
        }
    }

    fn add_volume(&mut self, setting: &Setting<'_>, mount: &Mount, volume: &VolumeMount) {
        let name = volume.source.as_ref().map(|key| match setting.project.volumes.get(&key.value) {
            Some(declared) => declared.name.value.clone(),
            None => key.value.clone(),
        });
        let labels = (!volume.labels.is_empty()).then(|| volume.labels.clone().into_iter().collect());
        let options =
            MountVolumeOptions { no_copy: volume.nocopy.then_some(true), labels, subpath: volume.subpath.clone(), driver_config: None };
        let options = (options != MountVolumeOptions::default()).then_some(options);
        let fact = json!({"volume": name, "read_only": mount.read_only, "nocopy": volume.nocopy, "subpath": volume.subpath});
        self.put(EngineMount { volume_options: options, ..plain(mount, MountType::VOLUME, name) }, fact);
    }

    fn add_file(&mut self, setting: &Setting<'_>, mount: &FileMount, object: Option<&FileObject>, problems: &mut Vec<Problem>) {
        let Some(object) = object else {
            problems.push(Problem::refused(&mount.place, format!("{:?} is not declared", mount.source)));
            return;
        };
        let (source, fact) = match &object.source {
            FileSource::Bundle(path) => {
                (setting.folders.bundle.join(path), json!({"bundle": path, "content": content_digest(setting.files, path)}))
            }
            FileSource::StackFolder(path) => (setting.folders.stack.join(path), json!({"stack_folder": path})),
            FileSource::Host(path) => (path.into(), json!({"host": path})),
            FileSource::Inline(content) | FileSource::Environment { content, .. } => {
                let digest = Digest::of(content.as_bytes());
                self.inline.insert(digest.clone(), content.clone().into_bytes());
                (setting.folders.inline.join(digest.as_str()), json!({"content": digest}))
            }
            FileSource::External => {
                let message = format!("{:?} is made elsewhere, which only Swarm knows", mount.source);
                problems.push(Problem::refused(&object.place, message).hint("Give it a file, a content or an environment variable."));
                return;
            }
        };
        let engine = EngineMount {
            target: Some(mount.target.clone()),
            source: Some(source.to_string_lossy().into_owned()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..EngineMount::default()
        };
        self.put(engine, fact);
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

fn bind_options(bind: &Bind) -> Option<MountBindOptions> {
    let propagation = match bind.propagation.as_deref() {
        Some("private") => Some(MountBindOptionsPropagationEnum::PRIVATE),
        Some("rprivate") => Some(MountBindOptionsPropagationEnum::RPRIVATE),
        Some("shared") => Some(MountBindOptionsPropagationEnum::SHARED),
        Some("rshared") => Some(MountBindOptionsPropagationEnum::RSHARED),
        Some("slave") => Some(MountBindOptionsPropagationEnum::SLAVE),
        Some("rslave") => Some(MountBindOptionsPropagationEnum::RSLAVE),
        Some(_) | None => None,
    };
    propagation.map(|propagation| MountBindOptions { propagation: Some(propagation), ..MountBindOptions::default() })
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
