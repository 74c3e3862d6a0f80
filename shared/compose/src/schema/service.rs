//! Keys of a service.

use super::build::{BUILD, DEVELOP};
use super::deploy::{DEPLOY, GPU};
use super::networks::{ATTACHMENT, SERVICE_MODEL};
use super::{Emit, Key, Object, SWARM, Shape, WINDOWS, idle, kept, needs, refused, works};

const FOREGROUND: &str = "Only docker compose in a terminal looks at it.";

/// A service.
pub static SERVICE: Object = Object { what: "a service", keys: SERVICE_KEYS, required: &[], extensible: true };

static SERVICE_KEYS: &[Key] = &[
    idle("develop", Shape::OrNull(&Shape::Object(&DEVELOP)), "What docker compose watch does.", FOREGROUND),
    works("deploy", Shape::OrNull(&Shape::Object(&DEPLOY)), "Replicas, limits and the order of replacement."),
    needs("annotations", Shape::Pairs, "Annotations for the runtime.", "1.43"),
    idle("attach", Shape::Bool, "Whether docker compose up shows its log.", FOREGROUND).emit(Emit::Written),
    works("build", Shape::Short(&Shape::Object(&BUILD)), "How its image is built."),
    works("blkio_config", Shape::Object(&BLKIO), "Weights and rates of block devices."),
    works("cap_add", Shape::Texts, "Further capabilities."),
    works("cap_drop", Shape::Texts, "Capabilities to take away."),
    works("cgroup", Shape::Choice(&["host", "private"]), "Control group name space."),
    works("cgroup_parent", Shape::Text, "Parent control group."),
    works("command", Shape::Command, "The command, instead of the image's.").emit(Emit::Always),
    works("configs", Shape::List(&Shape::Short(&Shape::Object(&FILE_MOUNT))), "Configs to mount."),
    works("container_name", Shape::Text, "Name of the one container."),
    idle("cpu_count", Shape::Int, "Processors.", WINDOWS),
    idle("cpu_percent", Shape::Single, "Processors in percent.", WINDOWS),
    works("cpu_shares", Shape::Number, "Weight among others."),
    works("cpu_quota", Shape::Number, "Scheduler quota in microseconds."),
    works("cpu_period", Shape::Number, "Scheduler period in microseconds."),
    works("cpu_rt_period", Shape::Number, "Real-time period in microseconds."),
    works("cpu_rt_runtime", Shape::Number, "Real-time run time in microseconds."),
    works("cpus", Shape::Single, "Processors, such as 0.5."),
    works("cpuset", Shape::Text, "Which processors, such as 0-3."),
    refused("credential_spec", Shape::Object(&CREDENTIAL), "Credentials of Windows accounts.", "There are no Windows containers here."),
    works("depends_on", Shape::Named(&Shape::Object(&DEPENDENCY)), "Services that come before this one."),
    works("device_cgroup_rules", Shape::Texts, "Rules of the device control group."),
    works("devices", Shape::List(&Shape::Short(&Shape::Object(&DEVICE))), "Devices of the host."),
    works("dns", Shape::TextOrTexts, "Name servers."),
    works("dns_opt", Shape::Texts, "Options of the resolver."),
    works("dns_search", Shape::TextOrTexts, "Search domains."),
    works("domainname", Shape::Text, "Domain name."),
    works("entrypoint", Shape::Command, "The entrypoint, instead of the image's.").emit(Emit::Always),
    works("env_file", Shape::ShortOrList(&Shape::Object(&ENV_FILE)), "Files with variables for the environment.").emit(Emit::Never),
    works("label_file", Shape::TextOrTexts, "Files with labels.").emit(Emit::Never),
    works("environment", Shape::Environment, "Environment of the containers."),
    works("expose", Shape::Looses, "Ports for other services."),
    works("extends", Shape::Short(&Shape::Object(&EXTENDS)), "A service that this one begins with.").emit(Emit::Never),
    refused("provider", Shape::Object(&PROVIDER), "A program that provides the service.", "Use an image."),
    refused(
        "external_links",
        Shape::Texts,
        "Containers of other projects.",
        "Join an external network that both use, and call the other by its name.",
    ),
    works("extra_hosts", Shape::Hosts, "Further host names and their addresses."),
    works("gpus", Shape::ShortOrList(&Shape::Object(&GPU)), "GPUs, or all."),
    works("group_add", Shape::Looses, "Further groups."),
    works("healthcheck", Shape::Object(&HEALTHCHECK), "How its health is probed."),
    works("hostname", Shape::Text, "Host name."),
    works("image", Shape::Text, "The image."),
    kept("init", Shape::Bool, "Run a small init as process 1."),
    works("ipc", Shape::Text, "Name space of inter-process communication."),
    idle("isolation", Shape::Text, "Isolation technology.", WINDOWS),
    works("labels", Shape::Pairs, "Labels of the containers."),
    works("links", Shape::Texts, "Other services under further names."),
    works("logging", Shape::Object(&LOGGING), "Where its log goes."),
    needs("mac_address", Shape::Text, "Hardware address on the first network.", "1.44"),
    works("mem_limit", Shape::Bytes, "Memory at most, such as 512m."),
    works("mem_reservation", Shape::Bytes, "Memory that is kept for it."),
    works("mem_swappiness", Shape::Bytes, "Readiness to swap, 0 to 100."),
    works("memswap_limit", Shape::Bytes, "Memory and swap at most; -1 for no limit."),
    works("network_mode", Shape::Text, "none, host, service:NAME or container:NAME instead of networks."),
    refused(
        "models",
        Shape::Named(&Shape::OrNull(&Shape::Object(&SERVICE_MODEL))),
        "Language models.",
        "Run the model's server as a service.",
    ),
    works("networks", Shape::Named(&Shape::OrNull(&Shape::Object(&ATTACHMENT))), "Networks to join."),
    works("oom_kill_disable", Shape::Bool, "Never kill it for want of memory."),
    works("oom_score_adj", Shape::Int, "How readily it is killed for want of memory."),
    works("pid", Shape::OrNull(&Shape::Text), "Process name space."),
    works("pids_limit", Shape::Number, "How many processes."),
    works("platform", Shape::Text, "Platform, such as linux/arm64."),
    works("ports", Shape::List(&Shape::ShortOrNumber(&Shape::Object(&PORT))), "Ports to publish on the host."),
    works("post_start", Shape::List(&Shape::Object(&HOOK)), "Commands to run in the container after its start."),
    works("pre_stop", Shape::List(&Shape::Object(&HOOK)), "Commands to run in the container before its stop."),
    works("privileged", Shape::Bool, "Every capability and device of the host."),
    works("profiles", Shape::Texts, "Profiles that enable it."),
    works("pull_policy", Shape::Text, "always, never, missing, build, daily, weekly or every_12h."),
    idle("pull_refresh_after", Shape::Text, "When to pull again.", "Compose ignores it too; write pull_policy: every_12h.")
        .emit(Emit::Never),
    works("read_only", Shape::Bool, "Mount the root file system read-only."),
    works("restart", Shape::Text, "no, always, unless-stopped or on-failure[:times]."),
    works("runtime", Shape::Text, "Runtime of the engine."),
    kept("scale", Shape::Int, "How many containers."),
    works("security_opt", Shape::Texts, "Security options."),
    works("shm_size", Shape::Bytes, "Size of /dev/shm."),
    works("secrets", Shape::List(&Shape::Short(&Shape::Object(&FILE_MOUNT))), "Secrets to mount."),
    works("sysctls", Shape::Pairs, "Kernel parameters."),
    works("stdin_open", Shape::Bool, "Keep standard input open."),
    kept("stop_grace_period", Shape::Duration, "Time from the stop signal to the kill."),
    works("stop_signal", Shape::Text, "Signal that stops it."),
    works("storage_opt", Shape::Options, "Options of the storage driver."),
    works("tmpfs", Shape::TextOrTexts, "Folders in memory."),
    works("tty", Shape::Bool, "Give it a terminal."),
    works("ulimits", Shape::Map(&Shape::Ulimit), "Limits of the shell kind."),
    refused("use_api_socket", Shape::Flag, "Give it the engine's socket.", "No container gets the engine; ask Orrery through its API."),
    works("user", Shape::Text, "User and group."),
    works("uts", Shape::Text, "Name space of host names."),
    works("userns_mode", Shape::Text, "User name space."),
    works("volumes", Shape::List(&Shape::Short(&Shape::Object(&MOUNT))), "What to mount."),
    works("volumes_from", Shape::Texts, "Services whose mounts it takes over."),
    works("working_dir", Shape::Text, "Working folder."),
];

static BLKIO: Object = Object { what: "a blkio_config", keys: BLKIO_KEYS, required: &[], extensible: false };

static BLKIO_KEYS: &[Key] = &[
    works("device_read_bps", Shape::List(&Shape::Object(&RATE)), "Bytes read a second."),
    works("device_read_iops", Shape::List(&Shape::Object(&RATE)), "Reads a second."),
    works("device_write_bps", Shape::List(&Shape::Object(&RATE)), "Bytes written a second."),
    works("device_write_iops", Shape::List(&Shape::Object(&RATE)), "Writes a second."),
    works("weight", Shape::Int, "Weight among others."),
    works("weight_device", Shape::List(&Shape::Object(&WEIGHT)), "Weight for single devices."),
];

static RATE: Object = Object { what: "a rate", keys: RATE_KEYS, required: &[], extensible: false };

static RATE_KEYS: &[Key] = &[
    works("path", Shape::Text, "The device.").emit(Emit::Always),
    works("rate", Shape::Bytes, "Bytes or operations a second.").emit(Emit::Always),
];

static WEIGHT: Object = Object { what: "a weight", keys: WEIGHT_KEYS, required: &[], extensible: false };

static WEIGHT_KEYS: &[Key] =
    &[works("path", Shape::Text, "The device.").emit(Emit::Always), works("weight", Shape::Int, "Its weight.").emit(Emit::Always)];

static CREDENTIAL: Object = Object { what: "a credential_spec", keys: CREDENTIAL_KEYS, required: &[], extensible: true };

static CREDENTIAL_KEYS: &[Key] = &[
    works("config", Shape::Text, "A config."),
    works("file", Shape::Text, "A file."),
    works("registry", Shape::Text, "A key of the registry."),
];

static DEPENDENCY: Object = Object { what: "a dependency", keys: DEPENDENCY_KEYS, required: &["condition"], extensible: true };

static DEPENDENCY_KEYS: &[Key] = &[
    works("restart", Shape::Bool, "Start this one again when that one is."),
    works("required", Shape::Flag, "Whether that one must be there.").emit(Emit::Always),
    works(
        "condition",
        Shape::Choice(&["service_started", "service_healthy", "service_completed_successfully"]),
        "What must hold before this one starts.",
    ),
];

static DEVICE: Object = Object { what: "a device", keys: DEVICE_KEYS, required: &["source"], extensible: true };

static DEVICE_KEYS: &[Key] = &[
    works("source", Shape::Text, "Path on the host."),
    works("target", Shape::Text, "Path in the container."),
    works("permissions", Shape::Text, "r, w and m in any combination."),
];

static ENV_FILE: Object = Object { what: "an env file", keys: ENV_FILE_KEYS, required: &["path"], extensible: false };

static ENV_FILE_KEYS: &[Key] = &[
    works("path", Shape::Path, "The file, in the bundle."),
    works("format", Shape::Text, "Its grammar."),
    works("required", Shape::Bool, "Whether it must be there."),
];

static EXTENDS: Object = Object { what: "an extends section", keys: EXTENDS_KEYS, required: &["service"], extensible: false };

static EXTENDS_KEYS: &[Key] =
    &[works("service", Shape::Text, "The service to begin with."), works("file", Shape::Text, "The file that has it, in the bundle.")];

static PROVIDER: Object = Object { what: "a provider", keys: PROVIDER_KEYS, required: &["type"], extensible: true };

static PROVIDER_KEYS: &[Key] = &[works("type", Shape::Text, "The program."), works("options", Shape::Repeated, "Its options.")];

pub(super) static HOOK: Object = Object { what: "a hook", keys: HOOK_KEYS, required: &["command"], extensible: true };

static HOOK_KEYS: &[Key] = &[
    works("command", Shape::Command, "What to run.").emit(Emit::Always),
    works("user", Shape::Text, "User."),
    works("privileged", Shape::Bool, "With every privilege."),
    works("working_dir", Shape::Text, "Working folder."),
    works("environment", Shape::Environment, "Environment."),
];

static HEALTHCHECK: Object = Object { what: "a healthcheck", keys: HEALTHCHECK_KEYS, required: &[], extensible: true };

static HEALTHCHECK_KEYS: &[Key] = &[
    works("disable", Shape::Bool, "No probe, not even the image's."),
    kept("interval", Shape::Duration, "Time between two probes."),
    kept("retries", Shape::Number, "Failures in a row that make it unhealthy."),
    works("test", Shape::HealthTest, "The probe."),
    kept("timeout", Shape::Duration, "Time that a probe may take."),
    kept("start_period", Shape::Duration, "Time in which failures do not count."),
    needs("start_interval", Shape::Duration, "Time between two probes within start_period.", "1.44").emit(Emit::Written),
];

static LOGGING: Object = Object { what: "a logging section", keys: LOGGING_KEYS, required: &[], extensible: true };

static LOGGING_KEYS: &[Key] = &[works("driver", Shape::Text, "The driver."), works("options", Shape::Options, "Options of the driver.")];

static PORT: Object = Object { what: "a port", keys: PORT_KEYS, required: &[], extensible: true };

static PORT_KEYS: &[Key] = &[
    idle("name", Shape::Text, "A name for people.", "It is for people; the engine has no names for ports."),
    idle("mode", Shape::Text, "host or ingress.", SWARM),
    works("host_ip", Shape::Text, "Address of the host."),
    works("target", Shape::Int, "Port of the container."),
    works("published", Shape::HostPort, "Port of the host, or a range."),
    works("protocol", Shape::Text, "tcp or udp."),
    idle("app_protocol", Shape::Text, "Protocol of the application.", "It is for people; the engine forwards bytes, whatever they are."),
];

pub(super) static FILE_MOUNT: Object = Object { what: "a config or secret", keys: FILE_MOUNT_KEYS, required: &[], extensible: true };

static FILE_MOUNT_KEYS: &[Key] = &[
    works("source", Shape::Text, "Its name in the definition."),
    works("target", Shape::Text, "Path in the container."),
    works("uid", Shape::Text, "Number of the owner."),
    works("gid", Shape::Text, "Number of the group."),
    kept("mode", Shape::Mode, "Permissions, such as 0440."),
];

static MOUNT: Object = Object { what: "a volume mount", keys: MOUNT_KEYS, required: &["type"], extensible: true };

static MOUNT_KEYS: &[Key] = &[
    works("type", Shape::Choice(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]), "bind, volume, tmpfs or image."),
    works("source", Shape::Text, "Path, volume or image."),
    works("target", Shape::Text, "Path in the container."),
    works("read_only", Shape::Bool, "Mount it read-only."),
    idle("consistency", Shape::Text, "How the desktop version syncs.", "Only Docker Desktop looks at it."),
    works("bind", Shape::Object(&BIND), "Options of a bind."),
    works("volume", Shape::Object(&VOLUME_OPTIONS), "Options of a volume."),
    works("tmpfs", Shape::Object(&TMPFS), "Options of a tmpfs."),
    works("image", Shape::Object(&IMAGE_OPTIONS), "Options of an image."),
];

static BIND: Object = Object { what: "a bind section", keys: BIND_KEYS, required: &[], extensible: true };

static BIND_KEYS: &[Key] = &[
    works("propagation", Shape::Text, "Mount propagation."),
    works("create_host_path", Shape::Bool, "Make a missing path."),
    works("recursive", Shape::Choice(&["enabled", "disabled", "writable", "readonly"]), "What to do with mounts below."),
    works("selinux", Shape::Choice(&["z", "Z"]), "SELinux label."),
];

static VOLUME_OPTIONS: Object = Object { what: "a volume section", keys: VOLUME_OPTIONS_KEYS, required: &[], extensible: true };

static VOLUME_OPTIONS_KEYS: &[Key] = &[
    works("labels", Shape::Pairs, "Labels of an anonymous volume."),
    works("nocopy", Shape::Bool, "Do not copy the image's content."),
    needs("subpath", Shape::Text, "A path in the volume.", "1.45"),
];

static TMPFS: Object = Object { what: "a tmpfs section", keys: TMPFS_KEYS, required: &[], extensible: true };

static TMPFS_KEYS: &[Key] = &[works("size", Shape::Bytes, "Size."), works("mode", Shape::Int, "Permissions.")];

static IMAGE_OPTIONS: Object = Object { what: "an image section", keys: IMAGE_OPTIONS_KEYS, required: &[], extensible: true };

static IMAGE_OPTIONS_KEYS: &[Key] = &[works("subpath", Shape::Text, "A path in the image.")];
