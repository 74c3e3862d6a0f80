//! Limits, devices and what `deploy` says.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use crate::model::{BlkioConfig, BlkioRate, BlkioWeight, Deploy, Device, DeviceRequest, RestartPolicy, Ulimit, UpdateConfig, UpdateOrder};
use crate::problem::Problem;
use crate::units;

pub(super) fn deploy(service: &Cursor<'_>, problems: &mut Vec<Problem>) -> Deploy {
    let Some(deploy) = service.get("deploy") else { return Deploy { place: service.place(), ..Deploy::default() } };
    mode(&deploy, problems);
    agree(service, &deploy, problems);
    let resources = deploy.get("resources");
    let limits = resources.as_ref().and_then(|resources| resources.get("limits"));
    let reserved = resources.as_ref().and_then(|resources| resources.get("reservations"));
    Deploy {
        place: deploy.place(),
        limit_nano_cpus: limits.as_ref().and_then(|limits| nano_cpus(limits, "cpus")),
        limit_memory: limits.as_ref().and_then(|limits| limits.bytes("memory")).filter(|memory| *memory != 0),
        limit_pids: limits.as_ref().and_then(|limits| limits.int("pids")).filter(|pids| *pids != 0),
        reserved_memory: reserved.as_ref().and_then(|reserved| reserved.bytes("memory")).filter(|memory| *memory != 0),
        reserved_devices: reserved.as_ref().map(|reserved| device_requests(reserved, "devices", problems)).unwrap_or_default(),
        update: deploy.get("update_config").map(|update| update_config(&update)).unwrap_or_default(),
        restart_policy: deploy.get("restart_policy").map(|policy| RestartPolicy {
            condition: policy.text("condition"),
            max_attempts: policy.int("max_attempts").and_then(|times| u64::try_from(times).ok()),
        }),
        labels: deploy.strings("labels"),
    }
}

/// Limits of the service against those of `deploy`: where the second has any, they must be the same.
fn agree(service: &Cursor<'_>, deploy: &Cursor<'_>, problems: &mut Vec<Problem>) {
    let keys = [
        ("cpus", "limits", "cpus"),
        ("mem_limit", "limits", "memory"),
        ("mem_reservation", "reservations", "memory"),
        ("pids_limit", "limits", "pids"),
    ];
    for (key, section, other) in keys {
        let Some(limits) = deploy.get("resources").and_then(|resources| resources.get(section)) else { continue };
        let own = value(service, key);
        if own != 0.0 && own != value(&limits, other) {
            let message = format!("{key} and deploy.resources.{section}.{other} differ");
            problems.push(Problem::invalid(&service.key_place(key), message).hint("Write the limit in one of the two places only."));
        }
    }
}

/// A limit as a number, 0 where there is none.
fn value(cursor: &Cursor<'_>, key: &str) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let size = || cursor.bytes(key).map(|bytes| bytes as f64);
    let number = || cursor.number(key);
    if key.starts_with("mem") { size() } else { number() }.unwrap_or_default()
}

fn mode(deploy: &Cursor<'_>, problems: &mut Vec<Problem>) {
    let Some(mode) = deploy.get("mode") else { return };
    let text = mode.show().unwrap_or_default();
    if !matches!(text.as_str(), "" | "replicated") {
        let problem = Problem::refused(&mode.place(), format!("the mode {text} is Swarm's"));
        problems.push(problem.hint("Write replicated, or remove mode. A job is a service with restart: \"no\"."));
    }
}

fn update_config(update: &Cursor<'_>) -> UpdateConfig {
    UpdateConfig {
        order: match update.text("order").as_deref() {
            Some("start-first") => UpdateOrder::StartFirst,
            Some(_) | None => UpdateOrder::StopFirst,
        },
        parallelism: update.int("parallelism").and_then(|many| u64::try_from(many).ok()),
        delay: update.duration("delay"),
        monitor: update.duration("monitor"),
    }
}

/// Processors in billionths.
pub(super) fn nano_cpus(cursor: &Cursor<'_>, key: &str) -> Option<i64> {
    let cpus = cursor.number(key).filter(|cpus| *cpus > 0.0 && *cpus < 1e6)?;
    #[allow(clippy::cast_possible_truncation)]
    Some((cpus * 1e9).round() as i64)
}

pub(super) fn device_requests(cursor: &Cursor<'_>, key: &str, problems: &mut Vec<Problem>) -> Vec<DeviceRequest> {
    let Some(requests) = cursor.get(key) else { return Vec::new() };
    let mut request = |request: &Cursor<'_>| {
        if request.get("count").is_some() && request.get("device_ids").is_some() {
            let problem = Problem::invalid(&request.key_place("count"), "count and device_ids exclude each other");
            problems.push(problem.hint("Keep one of the two."));
        }
        self::device_request(request)
    };
    requests.items().iter().map(&mut request).collect()
}

fn device_request(request: &Cursor<'_>) -> DeviceRequest {
    DeviceRequest {
        place: request.place(),
        driver: request.text("driver"),
        count: match request.text("count") {
            Some(text) if text.eq_ignore_ascii_case("all") => Some(-1),
            Some(_) => request.int("count"),
            None => None,
        },
        device_ids: request.texts("device_ids"),
        capabilities: request.texts("capabilities"),
        options: request.strings("options"),
    }
}

pub(super) fn devices(service: &Cursor<'_>) -> Vec<Device> {
    let Some(devices) = service.get("devices") else { return Vec::new() };
    let device = |device: &Cursor<'_>| {
        let source = device.text("source")?;
        Some(Device {
            place: device.place(),
            target: device.text("target").unwrap_or_else(|| source.clone()),
            permissions: device.text("permissions").unwrap_or_else(|| "rwm".to_owned()),
            source,
        })
    };
    devices.items().iter().filter_map(device).collect()
}

pub(super) fn ulimits(cursor: &Cursor<'_>) -> BTreeMap<String, Ulimit> {
    let Some(ulimits) = cursor.get("ulimits") else { return BTreeMap::new() };
    let ulimit = |(name, limit): (&str, Cursor<'_>)| {
        let limits = match limit.node.as_scalar().and_then(units::int) {
            Some(both) => Ulimit { soft: both, hard: both },
            None => Ulimit { soft: limit.int("soft").unwrap_or_default(), hard: limit.int("hard").unwrap_or_default() },
        };
        (name.to_owned(), limits)
    };
    ulimits.entries().into_iter().map(ulimit).collect()
}

pub(super) fn blkio(service: &Cursor<'_>) -> Option<BlkioConfig> {
    let blkio = service.get("blkio_config")?;
    let rates = |key: &str| {
        let rates = blkio.get(key).map(|rates| rates.items()).unwrap_or_default();
        rates.iter().filter_map(|rate| Some(BlkioRate { path: rate.text("path")?, rate: rate.bytes("rate")? })).collect()
    };
    let weight = |cursor: &Cursor<'_>| cursor.int("weight").and_then(|weight| u16::try_from(weight).ok());
    let devices = blkio.get("weight_device").map(|devices| devices.items()).unwrap_or_default();
    Some(BlkioConfig {
        weight: weight(&blkio),
        weight_device: devices
            .iter()
            .filter_map(|device| Some(BlkioWeight { path: device.text("path")?, weight: weight(device)? }))
            .collect(),
        device_read_bps: rates("device_read_bps"),
        device_read_iops: rates("device_read_iops"),
        device_write_bps: rates("device_write_bps"),
        device_write_iops: rates("device_write_iops"),
    })
}
