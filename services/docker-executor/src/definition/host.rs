//! The part of the create request that is about the host: limits, ports, restart policy, name spaces and rights.

use std::collections::{BTreeSet, HashMap};

use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, PortBinding, PortMap,
    ResourcesBlkioWeightDevice, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum, ThrottleDevice,
};
use orrery_compose::Service;
use orrery_compose::model::{BlkioRate, Device, NetworkMode, Restart, Spanned, Strings, VolumesSource};

use super::compile::Setting;
use super::container::some_if;
use super::mounts::Held;
use super::security::Security;

/// Stands in a create request for the id of a service's container, which is known only when it is made.
pub const SERVICE_PLACEHOLDER: &str = "container:@";

pub(super) fn host_config(setting: &Setting<'_>, service: &Service, held: &Held, security: Security) -> HostConfig {
    let rights = rights(service, security);
    let limits = limits(service);
    HostConfig {
        binds: some_if(held.binds.clone()),
        mounts: some_if(held.mounts.clone()),
        volumes_from: some_if(volumes_from(service)),
        tmpfs: (!service.tmpfs.is_empty()).then(|| service.tmpfs.iter().cloned().collect()),
        port_bindings: port_bindings(service),
        restart_policy: service.restart.map(restart_policy),
        network_mode: Some(network_mode(setting, service)),
        log_config: service
            .logging
            .as_ref()
            .map(|logging| HostConfigLogConfig { typ: logging.driver.clone(), config: strings(&logging.options) }),
        dns: some_if(service.dns.clone()),
        dns_options: some_if(service.dns_opt.clone()),
        dns_search: some_if(service.dns_search.clone()),
        extra_hosts: some_if(service.extra_hosts.iter().map(|(host, address)| format!("{host}:{address}")).collect()),
        init: service.init,
        runtime: service.runtime.as_ref().map(|runtime| runtime.value.clone()),
        shm_size: service.shm_size,
        storage_opt: strings(&service.storage_opt),
        annotations: strings(&service.annotations),
        sysctls: strings(&service.sysctls),
        ulimits: some_if(
            service
                .ulimits
                .iter()
                .map(|(name, limit)| ResourcesUlimits { name: Some(name.clone()), soft: Some(limit.soft), hard: Some(limit.hard) })
                .collect(),
        ),
        oom_score_adj: service.oom_score_adj,
        readonly_rootfs: service.read_only.then_some(true),
        ..with_limits(rights, limits)
    }
}

fn with_limits(rights: HostConfig, limits: HostConfig) -> HostConfig {
    HostConfig {
        cap_add: rights.cap_add,
        cap_drop: rights.cap_drop,
        privileged: rights.privileged,
        security_opt: rights.security_opt,
        masked_paths: rights.masked_paths,
        readonly_paths: rights.readonly_paths,
        group_add: rights.group_add,
        userns_mode: rights.userns_mode,
        ipc_mode: rights.ipc_mode,
        pid_mode: rights.pid_mode,
        uts_mode: rights.uts_mode,
        cgroupns_mode: rights.cgroupns_mode,
        cgroup_parent: rights.cgroup_parent,
        devices: rights.devices,
        device_cgroup_rules: rights.device_cgroup_rules,
        device_requests: rights.device_requests,
        ..limits
    }
}

fn rights(service: &Service, security: Security) -> HostConfig {
    let (cdi, devices): (Vec<_>, Vec<_>) = service.devices.iter().partition(|device| is_cdi(&device.source));
    let requests = service.device_requests.iter().map(device_request).chain(cdi.into_iter().map(cdi_request));
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| joined(&value.value));
    HostConfig {
        cap_add: some_if(plain(&service.cap_add)),
        cap_drop: some_if(plain(&service.cap_drop)),
        privileged: service.privileged.as_ref().filter(|yes| yes.value).map(|_| true),
        security_opt: some_if(security.options),
        masked_paths: security.open_system_paths.then(Vec::new),
        readonly_paths: security.open_system_paths.then(Vec::new),
        group_add: some_if(service.group_add.clone()),
        userns_mode: text(&service.userns_mode),
        ipc_mode: text(&service.ipc),
        pid_mode: text(&service.pid),
        uts_mode: text(&service.uts),
        cgroupns_mode: service
            .cgroup
            .as_ref()
            .map(|mode| if mode.value == "host" { HostConfigCgroupnsModeEnum::HOST } else { HostConfigCgroupnsModeEnum::PRIVATE }),
        cgroup_parent: text(&service.cgroup_parent),
        devices: some_if(devices.into_iter().map(device).collect()),
        device_cgroup_rules: some_if(plain(&service.device_cgroup_rules)),
        device_requests: some_if(requests.collect()),
        ..HostConfig::default()
    }
}

fn limits(service: &Service) -> HostConfig {
    let blkio = service.blkio_config.as_ref();
    let rates = |pick: fn(&orrery_compose::model::BlkioConfig) -> &Vec<BlkioRate>| {
        blkio.and_then(|config| some_if(pick(config).iter().map(throttle).collect()))
    };
    HostConfig {
        nano_cpus: service.nano_cpus,
        cpu_shares: service.cpu_shares,
        cpu_period: service.cpu_period,
        cpu_quota: service.cpu_quota,
        cpu_realtime_period: service.cpu_rt_period,
        cpu_realtime_runtime: service.cpu_rt_runtime,
        cpuset_cpus: service.cpuset.clone(),
        cpu_count: service.cpu_count,
        memory: service.mem_limit,
        memory_reservation: service.mem_reservation,
        memory_swap: service.memswap_limit,
        memory_swappiness: service.mem_swappiness,
        oom_kill_disable: service.oom_kill_disable.then_some(true),
        pids_limit: service.pids_limit,
        blkio_weight: blkio.and_then(|config| config.weight),
        blkio_weight_device: blkio.and_then(|config| {
            let weight = |device: &orrery_compose::model::BlkioWeight| ResourcesBlkioWeightDevice {
                path: Some(device.path.clone()),
                weight: Some(usize::from(device.weight)),
            };
            some_if(config.weight_device.iter().map(weight).collect())
        }),
        blkio_device_read_bps: rates(|config| &config.device_read_bps),
        blkio_device_read_iops: rates(|config| &config.device_read_iops),
        blkio_device_write_bps: rates(|config| &config.device_write_bps),
        blkio_device_write_iops: rates(|config| &config.device_write_iops),
        ..HostConfig::default()
    }
}

fn throttle(rate: &BlkioRate) -> ThrottleDevice {
    ThrottleDevice { path: Some(rate.path.clone()), rate: Some(rate.rate) }
}

fn plain(values: &[Spanned<String>]) -> Vec<String> {
    values.iter().map(|value| value.value.clone()).collect()
}

fn strings(values: &Strings) -> Option<HashMap<String, String>> {
    (!values.is_empty()).then(|| values.clone().into_iter().collect())
}

fn device(device: &Device) -> DeviceMapping {
    let Device { place: _, source, target, permissions } = device;
    DeviceMapping {
        path_on_host: Some(source.clone()),
        path_in_container: Some(target.clone()),
        cgroup_permissions: Some(permissions.clone()),
    }
}

/// A name such as `vendor.com/class=name`, which the engine looks up, instead of a path.
fn is_cdi(source: &str) -> bool {
    !source.starts_with('/') && source.split_once('/').is_some_and(|(_, rest)| rest.contains('='))
}

fn cdi_request(device: &Device) -> DeviceRequest {
    DeviceRequest { driver: Some("cdi".to_owned()), device_ids: Some(vec![device.source.clone()]), ..DeviceRequest::default() }
}

fn device_request(request: &orrery_compose::model::DeviceRequest) -> DeviceRequest {
    let orrery_compose::model::DeviceRequest { place: _, driver, count, device_ids, capabilities, options } = request;
    DeviceRequest {
        driver: driver.clone(),
        count: *count,
        device_ids: some_if(device_ids.clone()),
        capabilities: some_if(capabilities.clone()).map(|all| vec![all]),
        options: strings(options),
    }
}

fn port_bindings(service: &Service) -> Option<PortMap> {
    let mut map = PortMap::new();
    for port in &service.ports {
        let binding = PortBinding {
            host_ip: port.host_ip.map(|ip| ip.to_string()),
            host_port: Some(port.published.map(|range| range.to_string()).unwrap_or_default()),
        };
        let key = format!("{}/{}", port.target, port.protocol);
        map.entry(key).or_default().get_or_insert_default().push(binding);
    }
    (!map.is_empty()).then_some(map)
}

fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, maximum) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure { max_retries } => (RestartPolicyNameEnum::ON_FAILURE, max_retries.map(i64::from)),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: maximum }
}

fn volumes_from(service: &Service) -> Vec<String> {
    let entry = |from: &Spanned<orrery_compose::model::VolumesFrom>| {
        let source = match &from.value.source {
            VolumesSource::Service(name) => format!("{SERVICE_PLACEHOLDER}{name}"),
            VolumesSource::Container(name) => name.clone(),
        };
        if from.value.read_only { format!("{source}:ro") } else { source }
    };
    service.volumes_from.iter().map(entry).collect()
}

fn network_mode(setting: &Setting<'_>, service: &Service) -> String {
    match service.network_mode.as_deref() {
        Some(NetworkMode::None) => "none".to_owned(),
        Some(NetworkMode::Host) => "host".to_owned(),
        Some(NetworkMode::Bridge) => "bridge".to_owned(),
        Some(NetworkMode::Service(name)) => format!("{SERVICE_PLACEHOLDER}{name}"),
        Some(NetworkMode::Container(name)) => format!("container:{name}"),
        Some(NetworkMode::Other(name)) => name.clone(),
        None => super::network::attachments(setting.project, service).first().map_or_else(|| "none".to_owned(), |(name, _)| name.clone()),
    }
}

/// `service:x` of `ipc` and `pid` becomes the placeholder of that service's container.
fn joined(mode: &str) -> String {
    match mode.strip_prefix("service:") {
        Some(service) => format!("{SERVICE_PLACEHOLDER}{service}"),
        None => mode.to_owned(),
    }
}

/// The services in whose name spaces this one's containers live.
pub(super) fn joined_services(service: &Service) -> BTreeSet<String> {
    let mut joins = BTreeSet::new();
    if let Some(NetworkMode::Service(name)) = service.network_mode.as_deref() {
        joins.insert(name.clone());
    }
    for mode in [&service.ipc, &service.pid].into_iter().flatten() {
        joins.extend(mode.value.strip_prefix("service:").map(str::to_owned));
    }
    for from in &service.volumes_from {
        if let VolumesSource::Service(name) = &from.value.source {
            joins.insert(name.clone());
        }
    }
    joins
}
