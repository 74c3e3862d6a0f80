//! Limits, devices and what `deploy` says.

use std::time::Duration;

use serde::Serialize;

use super::Strings;
use crate::problem::Place;

/// `deploy`, as far as one engine can follow it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Deploy {
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
    /// `resources.limits.cpus` in billionths of a processor.
    pub limit_nano_cpus: Option<i64>,
    /// `resources.limits.memory` in bytes.
    pub limit_memory: Option<i64>,
    /// `resources.limits.pids`.
    pub limit_pids: Option<i64>,
    /// `resources.reservations.memory` in bytes.
    pub reserved_memory: Option<i64>,
    /// `resources.reservations.devices`.
    pub reserved_devices: Vec<DeviceRequest>,
    /// `update_config`.
    pub update: UpdateConfig,
    /// `restart_policy`, already folded into the service's `restart`.
    pub restart_policy: Option<RestartPolicy>,
    /// `labels` of the service (not of its containers).
    pub labels: Strings,
}

/// `deploy.update_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateConfig {
    /// In which order old and new containers change places.
    pub order: UpdateOrder,
    /// How many at once; 0 is all.
    pub parallelism: Option<u64>,
    /// Pause between two.
    pub delay: Option<Duration>,
    /// How long a new one without a health check must stay up.
    pub monitor: Option<Duration>,
}

/// `deploy.update_config.order`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOrder {
    /// Stop the old one, then start the new one.
    #[default]
    StopFirst,
    /// Start the new one, then stop the old one.
    StartFirst,
}

/// `deploy.restart_policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RestartPolicy {
    /// `none`, `on-failure` or `any`.
    pub condition: Option<String>,
    /// How often at most.
    pub max_attempts: Option<u64>,
}

/// One entry of `devices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// Path on the host, or a CDI name such as `vendor.com/class=name`.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// `r`, `w`, `m` in any combination.
    pub permissions: String,
}

/// A request for devices such as GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceRequest {
    /// Where it is written.
    #[serde(skip)]
    pub place: Place,
    /// The driver.
    pub driver: Option<String>,
    /// How many; -1 is all.
    pub count: Option<i64>,
    /// Which.
    pub device_ids: Vec<String>,
    /// What they must be able to do.
    pub capabilities: Vec<String>,
    /// Options of the driver.
    pub options: Strings,
}

/// One limit of `ulimits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ulimit {
    /// The limit in force; -1 is none.
    pub soft: i64,
    /// What it may be raised to; -1 is none.
    pub hard: i64,
}

/// `blkio_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlkioConfig {
    /// Weight among others.
    pub weight: Option<u16>,
    /// Weight for single devices.
    pub weight_device: Vec<BlkioWeight>,
    /// Bytes read a second.
    pub device_read_bps: Vec<BlkioRate>,
    /// Reads a second.
    pub device_read_iops: Vec<BlkioRate>,
    /// Bytes written a second.
    pub device_write_bps: Vec<BlkioRate>,
    /// Writes a second.
    pub device_write_iops: Vec<BlkioRate>,
}

/// A weight for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlkioWeight {
    /// Path of the device.
    pub path: String,
    /// Its weight.
    pub weight: u16,
}

/// A rate for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlkioRate {
    /// Path of the device.
    pub path: String,
    /// Bytes or operations a second.
    pub rate: i64,
}
