//! What machines use, for charts: as the executor tells it, and as the api answers it. Nothing of it is kept beyond a window in
//! memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::MachineId;
use crate::time::Time;

/// Seconds between two samples.
pub const SAMPLE_SECONDS: u32 = 5;
/// How far back samples are kept, in seconds.
pub const WINDOW_SECONDS: u32 = 900;

/// On `orrery.metrics.machine.<host>`, every 5 s while machines run: what each of them uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineSamples {
    /// The host.
    pub host: String,
    /// Its machines that run. One that has just started is not among them: a rate needs two looks.
    pub machines: Vec<MachineSample>,
}

/// What one machine uses: rates since the sample before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineSample {
    /// The machine.
    pub machine_id: MachineId,
    /// How many processors it has.
    pub cpus: u32,
    /// How much of them it uses, in thousandths of one processor: 1500 is one and a half.
    pub cpu: u64,
    /// Memory that it has, in bytes.
    pub memory: u64,
    /// Memory of the host that it takes, in bytes.
    pub resident: u64,
    /// Bytes a second read from its disks; none where nobody counts them.
    pub read: Option<u64>,
    /// Bytes a second written to its disks; none where nobody counts them.
    pub written: Option<u64>,
    /// Bytes a second that its interfaces receive.
    pub received: u64,
    /// Bytes a second that its interfaces send.
    pub sent: u64,
}

/// What a machine used lately: a row for each sample, the oldest first, with as many values in each column. While it is off there
/// are no samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineFigures {
    /// The machine.
    pub machine_id: MachineId,
    /// Seconds between two samples.
    pub every_seconds: u32,
    /// How far back samples are kept, in seconds.
    pub window_seconds: u32,
    /// When this was answered.
    pub now: Time,
    /// When each sample came.
    pub times: Vec<Time>,
    /// How many processors the machine had.
    pub cpus: Column,
    /// How much of them it used.
    pub cpu: Column,
    /// Memory that it had.
    pub memory: Column,
    /// Memory of the host that it took.
    pub resident: Column,
    /// What was read from its disks.
    pub read: Column,
    /// What was written to its disks.
    pub written: Column,
    /// What its interfaces received.
    pub received: Column,
    /// What its interfaces sent.
    pub sent: Column,
}

/// One figure over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// What the values count.
    pub unit: Unit,
    /// A value for each time; null where nobody counted.
    pub values: Vec<Option<u64>>,
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Processors.
    Processors,
    /// Thousandths of one processor.
    Milliprocessors,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
}

impl MachineFigures {
    /// These samples as columns.
    #[must_use]
    pub fn of(machine_id: MachineId, now: Time, samples: &[(Time, MachineSample)]) -> Self {
        let column = |unit: Unit, value: &dyn Fn(&MachineSample) -> Option<u64>| Column {
            unit,
            values: samples.iter().map(|(_, sample)| value(sample)).collect(),
        };
        Self {
            machine_id,
            every_seconds: SAMPLE_SECONDS,
            window_seconds: WINDOW_SECONDS,
            now,
            times: samples.iter().map(|(at, _)| *at).collect(),
            cpus: column(Unit::Processors, &|sample| Some(sample.cpus.into())),
            cpu: column(Unit::Milliprocessors, &|sample| Some(sample.cpu)),
            memory: column(Unit::Bytes, &|sample| Some(sample.memory)),
            resident: column(Unit::Bytes, &|sample| Some(sample.resident)),
            read: column(Unit::BytesPerSecond, &|sample| sample.read),
            written: column(Unit::BytesPerSecond, &|sample| sample.written),
            received: column(Unit::BytesPerSecond, &|sample| Some(sample.received)),
            sent: column(Unit::BytesPerSecond, &|sample| Some(sample.sent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_value_for_each_sample() {
        let machine_id = MachineId::new(uuid::Uuid::nil());
        let sample = MachineSample {
            machine_id,
            cpus: 2,
            cpu: 1500,
            memory: 1 << 30,
            resident: 1 << 29,
            read: Some(10),
            written: None,
            received: 4,
            sent: 6,
        };
        let now = Time::parse("2026-01-02T03:04:05Z").unwrap();
        let told = serde_json::to_value(MachineFigures::of(machine_id, now, &[(now, sample), (now, sample)])).unwrap();
        assert_eq!(told["cpu"], serde_json::json!({"unit": "milliprocessors", "values": [1500, 1500]}));
        assert_eq!(told["written"], serde_json::json!({"unit": "bytes_per_second", "values": [null, null]}));
        let columns = told.as_object().unwrap().values().filter_map(|column| column["values"].as_array());
        assert_eq!(columns.map(Vec::len).collect::<Vec<_>>(), [2; 8]);
    }
}
