//! A service's image: pulled by name, or built from the bundle under a tag that names its content, so that what has not
//! changed is not built again and an earlier version finds its image.

use std::collections::BTreeMap;

use orrery_compose::Service;
use orrery_compose::model::{Build, PullPolicy};
use orrery_contracts::{Digest, LockedImage};
use serde_json::json;

use super::compile::Setting;
use crate::engine::SeenImage;

/// The image that a service needs.
#[derive(Clone, Debug)]
pub struct ImageNeed {
    /// The name by which the containers are created.
    pub reference: String,
    /// How to get it.
    pub source: ImageSource,
    /// The one that it has to be, whatever the name means by now.
    pub locked: Option<LockedImage>,
}

impl ImageNeed {
    /// The names by which the engine is asked for it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let locked = self.locked.iter().flat_map(|locked| std::iter::once(&locked.id).chain(&locked.digest));
        locked.chain(Some(&self.reference).filter(|_| !self.is_of_registry())).map(String::as_str)
    }

    /// A locked image that nobody builds here: only this very one will do.
    fn is_of_registry(&self) -> bool {
        self.locked.is_some() && matches!(self.source, ImageSource::Pull { .. })
    }

    /// The image, when the engine has it.
    #[must_use]
    pub fn among<'a>(&self, images: &'a BTreeMap<String, SeenImage>) -> Option<&'a SeenImage> {
        self.names().find_map(|name| images.get(name))
    }

    /// What is pulled or built: the name, or the digest that it has to be.
    #[must_use]
    pub fn wanted(&self) -> &str {
        let digest = self.locked.as_ref().filter(|_| self.is_of_registry()).and_then(|locked| locked.digest.as_deref());
        digest.unwrap_or(&self.reference)
    }

    /// What a container is made of, once the image is here.
    #[must_use]
    pub fn made_of(&self, found: &SeenImage) -> String {
        match &self.locked {
            None => self.reference.clone(),
            Some(locked) => locked.digest.clone().unwrap_or_else(|| found.id.clone()),
        }
    }
}

/// How to get an image.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// From a registry, when this policy says so.
    Pull {
        /// When.
        policy: PullPolicy,
        /// For which platform; empty is the engine's own.
        platform: String,
    },
    /// By building it.
    Build(Box<BuildOrder>),
}

/// A build.
#[derive(Clone, Debug, Default)]
pub struct BuildOrder {
    /// The tag that names the content: what the containers are created from.
    pub tag: String,
    /// Further names for the same image.
    pub aliases: Vec<String>,
    /// The context: a folder of the bundle; empty is all of it.
    pub context: String,
    /// The Dockerfile, relative to the context.
    pub dockerfile: String,
    /// A Dockerfile that was written in the definition, or lies outside the context.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The stage to build.
    pub target: String,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Images to take layers from.
    pub cache_from: Vec<String>,
    /// Without a cache.
    pub no_cache: bool,
    /// Pull base images even when they are here.
    pub pull: bool,
    /// Network of the RUN instructions.
    pub network: Option<String>,
    /// `host:address` entries.
    pub extra_hosts: Vec<String>,
    /// Size of `/dev/shm`.
    pub shm_size: Option<i64>,
    /// The platform.
    pub platform: String,
    /// Built at every apply.
    pub always: bool,
}

pub(super) fn image_need(setting: &Setting<'_>, service: &Service) -> ImageNeed {
    match (&service.build, service.pull_policy) {
        (Some(build), policy) => {
            let order = build_order(setting, service, build, policy == Some(PullPolicy::Build) || policy == Some(PullPolicy::Always));
            ImageNeed { reference: order.tag.clone(), source: ImageSource::Build(Box::new(order)), locked: None }
        }
        (None, policy) => {
            let reference = service.image.as_ref().map(|image| image.value.clone()).unwrap_or_default();
            let policy = policy.unwrap_or(PullPolicy::Missing);
            let platform = service.platform.clone().unwrap_or_default();
            ImageNeed { reference, source: ImageSource::Pull { policy, platform }, locked: None }
        }
    }
}

fn build_order(setting: &Setting<'_>, service: &Service, build: &Build, always: bool) -> BuildOrder {
    let Build {
        place: _,
        context,
        // Read by `dockerfile`.
        dockerfile: _,
        dockerfile_inline: _,
        args,
        target,
        labels,
        tags,
        cache_from,
        no_cache,
        pull,
        network,
        extra_hosts,
        shm_size,
        // Of no effect, as the reader says.
        ulimits: _,
        isolation: _,
        platforms,
    } = build;
    let context = context.value.trim_matches('/').to_owned();
    let (dockerfile, dockerfile_inline) = dockerfile(setting, build, &context);
    let args = args.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    let repository = repository(&setting.project.name, &service.name);
    let mut order = BuildOrder {
        context,
        dockerfile,
        dockerfile_inline,
        args: args.collect(),
        target: target.clone().unwrap_or_default(),
        labels: labels.clone().into_iter().collect(),
        cache_from: cache_from.clone(),
        no_cache: *no_cache,
        pull: *pull,
        network: network.clone(),
        extra_hosts: extra_hosts.iter().map(|(host, address)| format!("{host}:{address}")).collect(),
        shm_size: *shm_size,
        platform: service.platform.clone().or_else(|| platforms.first().cloned()).unwrap_or_default(),
        always,
        ..BuildOrder::default()
    };
    let digest = content(setting, &order);
    order.tag = format!("{repository}:{}", digest.as_str().get(..16).unwrap_or_default());
    let own = service.image.as_ref().map_or_else(|| format!("{repository}:latest"), |image| image.value.clone());
    order.aliases = std::iter::once(own).chain(tags.iter().cloned()).collect();
    order
}

/// The Dockerfile relative to the context; one that lies outside it travels with the build.
fn dockerfile(setting: &Setting<'_>, build: &Build, context: &str) -> (String, Option<String>) {
    const BESIDE: &str = ".orrery.Dockerfile";
    if let Some(inline) = &build.dockerfile_inline {
        return (BESIDE.to_owned(), Some(inline.value.clone()));
    }
    let prefix = if context.is_empty() { String::new() } else { format!("{context}/") };
    let path = build.dockerfile.as_ref().map_or_else(|| format!("{prefix}Dockerfile"), |path| path.value.clone());
    match path.strip_prefix(&prefix) {
        Some(inside) => (inside.to_owned(), None),
        None => {
            let text = setting.files.get(&path).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            (BESIDE.to_owned(), Some(text.unwrap_or_default()))
        }
    }
}

/// The digest of all that a build's outcome depends on, as far as the bundle says.
fn content(setting: &Setting<'_>, order: &BuildOrder) -> Digest {
    let prefix = if order.context.is_empty() { String::new() } else { format!("{}/", order.context) };
    let files: BTreeMap<&str, Digest> =
        setting.files.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&prefix)?, Digest::of(bytes)))).collect();
    let all = json!({
        "files": files, "dockerfile": order.dockerfile, "inline": order.dockerfile_inline, "args": order.args,
        "target": order.target, "labels": order.labels, "network": order.network, "hosts": order.extra_hosts,
        "shm_size": order.shm_size, "platform": order.platform,
    });
    Digest::of(all.to_string().as_bytes())
}

/// `<project>-<service>` as a name that an engine takes.
fn repository(project: &str, service: &str) -> String {
    let mut name = String::new();
    for c in format!("{project}-{service}").to_ascii_lowercase().chars() {
        let separator = !c.is_ascii_alphanumeric();
        if separator && name.ends_with(|last: char| !last.is_ascii_alphanumeric()) {
            continue;
        }
        name.push(if separator && c != '_' && c != '.' { '-' } else { c });
    }
    name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}
