//! What the project needs from the machine: found where it is, installed where it is not, never twice.
//!
//! What needs root does only that as root; without root it says which command to run.

pub(crate) mod apt;
pub(crate) mod archive;
pub(crate) mod browser;
pub(crate) mod buildx;
pub(crate) mod cargo;
pub(crate) mod cargo_fuzz;
pub(crate) mod compose;
pub(crate) mod debian;
pub(crate) mod engine;
pub(crate) mod libvirt;
pub(crate) mod nats;
pub(crate) mod npm;
pub(crate) mod postgres;
pub(crate) mod test_programs;
pub(crate) mod wasm;
pub(crate) mod wasm_bindgen;
pub(crate) mod wasm_split;

use std::path::PathBuf;

use anyhow::Result;

/// What a running installation is made of, apart from our own programs.
pub(crate) struct Tools {
    pub(crate) postgres: postgres::Programs,
    pub(crate) nats_server: PathBuf,
}

impl Tools {
    /// Finds everything, installs what is missing, and sees to it that an engine answers.
    pub(crate) fn find_or_install(docker_host: Option<&str>) -> Result<Self> {
        libvirt::headers()?;
        let postgres = postgres::Programs::find_or_install()?;
        let nats_server = nats::find_or_install()?;
        engine::find_or_start(docker_host)?;
        Ok(Self { postgres, nats_server })
    }

    /// What an installation that was up before has anyway; no engine is looked for.
    pub(crate) fn installed() -> Result<Self> {
        Ok(Self { postgres: postgres::Programs::find_or_install()?, nats_server: nats::find_or_install()? })
    }
}
