//! The end of a listing: what an engine is, and that whatever it did not list is gone.

use orrery_contracts::{Engine, EngineMarker};

use super::{Projection, Verdict};
use crate::errors::ProjectError;
use crate::message::Message;
use crate::queries::{containers, domains};

pub(super) async fn apply(to: &mut Projection<'_>, message: &Message, host: &str, engine: &str) -> Result<Verdict, ProjectError> {
    let marker: EngineMarker = match serde_json::from_slice(&message.body) {
        Ok(marker) => marker,
        Err(error) => return Ok(Verdict::unreadable(&error)),
    };
    if marker.host != host {
        return Ok(Verdict::Passed(format!("it is about {} and lies under {host}", marker.host)));
    }
    if containers::listed(to.db, engine, &marker).await? {
        to.changes.engine(host);
    }
    if engine == Engine::Docker.as_str() {
        for gone in containers::not_listed(to.db, host, marker.epoch).await? {
            to.changes.container_gone(&gone);
        }
    }
    if engine == Engine::Libvirt.as_str() {
        for machine in domains::not_listed(to.db, host, marker.epoch).await? {
            to.changes.stack(machine);
        }
    }
    Ok(Verdict::Taken)
}
