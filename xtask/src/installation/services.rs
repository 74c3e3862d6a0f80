//! Starting one of our four services: which program, and the environment that it gets.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::members::Member;
use super::record::Record;
use crate::folders::{self, Data};
use crate::processes::{self, Identity};

/// Where the programs and the page are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    pub(crate) programs: PathBuf,
    pub(crate) web: PathBuf,
}

impl Built {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// Starts a service.
pub(crate) fn start(data: &Data, record: &Record, built: &Built, member: Member) -> Result<Identity> {
    let program = built.program(&format!("orrery-{}", member.name()));
    let mut command = Command::new(program);
    for (name, value) in &record.settings {
        command.env(name, value);
    }
    command
        .env("ORRERY_DATA_DIR", data.root())
        .env("ORRERY_NATS_URL", broker_url(record)?)
        .env("ORRERY_NATS_USER", member.name())
        .env("ORRERY_NATS_PASSWORD_FILE", password_file(data, member))
        .env_remove("ORRERY_ADMIN_PASSWORD")
        .env_remove("ORRERY_DATABASE_OWNER_URL")
        .current_dir(data.root());
    match member {
        Member::Api => {
            command.env("ORRERY_DATABASE_URL", database_url(data, "api")?).env("ORRERY_LISTEN", record.listen());
            if record.setting("ORRERY_WEB_DIR").is_none() {
                command.env("ORRERY_WEB_DIR", &built.web);
            }
            if let Some(password) = super::up::first_password(data) {
                command.env("ORRERY_ADMIN_PASSWORD", password);
            }
        }
        Member::Projector => {
            command.env("ORRERY_DATABASE_URL", database_url(data, "projector")?);
        }
        Member::DockerExecutor | Member::LibvirtExecutor => {
            command.env_remove("ORRERY_DATABASE_URL");
        }
        Member::Postgres | Member::Nats => {}
    }
    // A socket that a killed one left behind would be asked in vain.
    let _ = std::fs::remove_file(data.socket(member.name()));
    processes::start_detached(&command, &data.log(member.name()))
}

/// What `status` shows as its address.
pub(crate) fn address(data: &Data, record: &Record, member: Member) -> String {
    if member == Member::Api { record.address() } else { format!("unix:{}", data.socket(member.name()).display()) }
}

fn broker_url(record: &Record) -> Result<&str> {
    record.of(Member::Nats).map(|started| started.address.as_str()).context("the broker was not started")
}

fn password_file(data: &Data, member: Member) -> PathBuf {
    data.root().join("nats/users").join(format!("{}.password", member.name()))
}

pub(super) fn database_url(data: &Data, role: &str) -> Result<String> {
    let path: &Path = &data.database_url(role);
    folders::read_trimmed(path).with_context(|| format!("{} is not there", path.display()))
}
