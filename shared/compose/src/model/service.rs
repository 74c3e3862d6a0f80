//! A service: what one kind of container of the project is.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    Attachment, BlkioConfig, Build, Deploy, Device, DeviceRequest, Expose, FileMount, Mount, NetworkMode, Port, Spanned, Strings, Ulimit,
};
use crate::problem::Place;

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Service {
    /// Its key in `services`.
    pub name: String,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
    /// The image to run, or the name for what is built.
    pub image: Option<Spanned<String>>,
    /// How to build the image.
    pub build: Option<Build>,
    /// When to pull or build.
    pub pull_policy: Option<PullPolicy>,
    /// The platform, such as `linux/arm64`.
    pub platform: Option<String>,
    /// The command; `None` is the image's, an empty one clears the image's.
    pub command: Option<Vec<String>>,
    /// The entrypoint; `None` is the image's, an empty one clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Environment, `env_file` included. `None` removes a variable that the image sets.
    pub environment: BTreeMap<String, Spanned<Option<String>>>,
    /// Files that `environment` was read from, by their paths in the bundle.
    pub env_files: Vec<Spanned<String>>,
    /// Labels of the containers, `label_file` included.
    pub labels: Strings,
    /// Annotations for the runtime.
    pub annotations: Strings,
    /// Name of the one container instead of `<project>-<service>-<n>`.
    pub container_name: Option<Spanned<String>>,
    /// How many containers.
    pub replicas: u32,
    /// Profiles that enable the service; empty is always.
    pub profiles: Vec<String>,
    /// Services that come before this one, those implied by links, volumes_from, `network_mode`,
    /// `ipc` and `pid` included.
    pub depends_on: IndexMap<String, Dependency>,
    /// The health probe; `None` is the image's.
    pub healthcheck: Option<Healthcheck>,
    /// What runs in the container after its start.
    pub post_start: Vec<Hook>,
    /// What runs in the container before its stop.
    pub pre_stop: Vec<Hook>,
    /// When the engine starts a container again; `None` is never.
    pub restart: Option<Restart>,
    /// `deploy`.
    pub deploy: Deploy,

    /// Published ports.
    pub ports: Vec<Port>,
    /// Exposed ports.
    pub expose: Vec<Expose>,
    /// Networks, by their keys in the project. Empty with a `network_mode`.
    pub networks: IndexMap<String, Attachment>,
    /// Anything but the project's networks.
    pub network_mode: Option<Spanned<NetworkMode>>,
    /// Other services under further names: service and name.
    pub links: Vec<(String, String)>,
    /// Containers of others under further names: container and name.
    pub external_links: Vec<(String, String)>,
    /// Host name.
    pub hostname: Option<String>,
    /// Domain name.
    pub domainname: Option<String>,
    /// Hardware address.
    pub mac_address: Option<String>,
    /// Name servers.
    pub dns: Vec<String>,
    /// Options of the resolver.
    pub dns_opt: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Further host names and their addresses (`host-gateway` among them).
    pub extra_hosts: Vec<(String, String)>,

    /// Mounts.
    pub volumes: Vec<Mount>,
    /// Other containers' mounts.
    pub volumes_from: Vec<Spanned<VolumesFrom>>,
    /// `tmpfs`: path, then options as the engine takes them.
    pub tmpfs: Vec<(String, String)>,
    /// Configs.
    pub configs: Vec<FileMount>,
    /// Secrets.
    pub secrets: Vec<FileMount>,
    /// Root file system read-only.
    pub read_only: bool,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<i64>,
    /// Options of the storage driver.
    pub storage_opt: Strings,

    /// User and group.
    pub user: Option<String>,
    /// Further groups.
    pub group_add: Vec<String>,
    /// Working folder.
    pub working_dir: Option<String>,
    /// Signal that stops it.
    pub stop_signal: Option<String>,
    /// Time from that signal to the kill.
    pub stop_grace_period: Option<Duration>,
    /// A small init as process 1.
    pub init: Option<bool>,
    /// Keep standard input open.
    pub stdin_open: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// Show its log in the foreground (Compose's own `up`); without effect here.
    pub attach: Option<bool>,
    /// Where its log goes.
    pub logging: Option<Logging>,
    /// Runtime of the engine.
    pub runtime: Option<Spanned<String>>,

    /// Further capabilities.
    pub cap_add: Vec<Spanned<String>>,
    /// Capabilities taken away.
    pub cap_drop: Vec<Spanned<String>>,
    /// Every capability and device of the host.
    pub privileged: Option<Spanned<bool>>,
    /// Security options.
    pub security_opt: Vec<Spanned<String>>,
    /// User name space.
    pub userns_mode: Option<Spanned<String>>,
    /// Name space of inter-process communication.
    pub ipc: Option<Spanned<String>>,
    /// Process name space.
    pub pid: Option<Spanned<String>>,
    /// Name space of host names.
    pub uts: Option<Spanned<String>>,
    /// Control group name space: `host` or `private`.
    pub cgroup: Option<Spanned<String>>,
    /// Parent control group.
    pub cgroup_parent: Option<Spanned<String>>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Rules of the device control group.
    pub device_cgroup_rules: Vec<Spanned<String>>,
    /// `gpus` and `deploy.resources.reservations.devices`.
    pub device_requests: Vec<DeviceRequest>,
    /// Kernel parameters.
    pub sysctls: Strings,
    /// Limits of the shell kind.
    pub ulimits: BTreeMap<String, Ulimit>,

    /// Processors in billionths: `cpus` or `deploy.resources.limits.cpus`.
    pub nano_cpus: Option<i64>,
    /// Processors in number (Windows).
    pub cpu_count: Option<i64>,
    /// Processors in percent (Windows).
    pub cpu_percent: Option<f64>,
    /// Weight among others.
    pub cpu_shares: Option<i64>,
    /// Scheduler period in microseconds.
    pub cpu_period: Option<i64>,
    /// Scheduler quota in microseconds.
    pub cpu_quota: Option<i64>,
    /// Real-time period in microseconds.
    pub cpu_rt_period: Option<i64>,
    /// Real-time run time in microseconds.
    pub cpu_rt_runtime: Option<i64>,
    /// Which processors.
    pub cpuset: Option<String>,
    /// Memory in bytes: `mem_limit` or `deploy.resources.limits.memory`.
    pub mem_limit: Option<i64>,
    /// Memory that is kept for it, in bytes.
    pub mem_reservation: Option<i64>,
    /// Memory and swap in bytes; -1 is no limit.
    pub memswap_limit: Option<i64>,
    /// Readiness to swap, 0 to 100.
    pub mem_swappiness: Option<i64>,
    /// Never killed for want of memory.
    pub oom_kill_disable: bool,
    /// How readily it is killed for want of memory.
    pub oom_score_adj: Option<i64>,
    /// How many processes.
    pub pids_limit: Option<i64>,
    /// Weights and rates of block devices.
    pub blkio_config: Option<BlkioConfig>,
    /// Isolation technology (Windows).
    pub isolation: Option<String>,
}

/// One entry of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// What must hold before this service starts.
    pub condition: Condition,
    /// Start this service again when that one is.
    pub restart: bool,
    /// Whether that service's absence or failure is an error.
    pub required: bool,
}

/// What must hold before a dependent service starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It runs.
    #[default]
    ServiceStarted,
    /// Its health probe passes.
    ServiceHealthy,
    /// It ended with exit code 0.
    ServiceCompletedSuccessfully,
}

/// `healthcheck`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Healthcheck {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// No probe at all, not even the image's.
    pub disable: bool,
    /// `CMD`, `CMD-SHELL` or `NONE` and its words; `None` is the image's.
    pub test: Option<Vec<String>>,
    /// Time between two probes.
    pub interval: Option<Duration>,
    /// Time that one probe may take.
    pub timeout: Option<Duration>,
    /// Time in which failures do not count.
    pub start_period: Option<Duration>,
    /// Time between two probes within `start_period` (engines from API 1.44).
    pub start_interval: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<u32>,
}

/// A command that runs in a container after its start or before its stop (`post_start`, `pre_stop`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// The command's words.
    pub command: Vec<String>,
    /// As whom; `None` is the container's own user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With every capability and device of the host.
    #[serde(default)]
    pub privileged: bool,
    /// In which folder; `None` is the container's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Further variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
}

/// When the engine starts a container again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    No,
    /// Always.
    Always,
    /// Always, unless somebody stopped it.
    UnlessStopped,
    /// After a failure.
    OnFailure {
        /// How often at most.
        max_retries: Option<u32>,
    },
}

/// When an image is pulled or built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// At every apply.
    Always,
    /// Never.
    Never,
    /// When it is not there.
    Missing,
    /// Built, never pulled.
    Build,
    /// When the last pull is longer ago than this.
    Every(Duration),
}

/// `logging`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Logging {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// The driver; `None` is the engine's.
    pub driver: Option<String>,
    /// Its options.
    pub options: Strings,
}

/// One entry of `volumes_from`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumesFrom {
    /// A service of the project, or a container of others.
    pub source: VolumesSource,
    /// Mounted read-only.
    pub read_only: bool,
}

/// Whose mounts `volumes_from` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumesSource {
    /// A service of the project.
    Service(String),
    /// A container that is not the project's.
    Container(String),
}
