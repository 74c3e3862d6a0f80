//! Which ports of a host stacks and machines hold, as their executors observed it last.

use std::collections::HashMap;

use orrery_contracts::{ContainerObservation, MachineObservation, PublishedPort, subjects};
use serde::de::DeserializeOwned;

use super::{DefinitionError, Definitions};
use crate::ports::{Held, container_words, machine_words};

impl Definitions {
    /// The ports that containers of this host hold.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn ports_of_containers(&self, host: &str) -> Result<Vec<Held>, DefinitionError> {
        let seen: Vec<ContainerObservation> = self.observations(host, "container").await?;
        if seen.iter().all(|one| one.ports.is_empty()) {
            return Ok(Vec::new());
        }
        let installation = self.installation().await?.map(|installation| installation.id);
        let owners: HashMap<_, _> = self.stack_heads().await?.into_iter().map(|kept| (kept.value.id, kept.value.owner)).collect();
        let held = seen.iter().flat_map(|one| {
            let ours = one.stack_id.filter(|_| one.installation == installation);
            let owner = ours.and_then(|id| owners.get(&id)).map(|owner| owner.as_str());
            let holder = container_words(&one.name, owner, one.project.as_deref());
            one.ports.iter().map(move |port| Held { port: port.clone(), holder: holder.clone() })
        });
        Ok(held.collect())
    }

    /// The ports that machines of this host hold.
    ///
    /// # Errors
    /// [`DefinitionError::Away`], [`DefinitionError::Damaged`].
    pub async fn ports_of_machines(&self, host: &str) -> Result<Vec<Held>, DefinitionError> {
        let seen: Vec<MachineObservation> = self.observations(host, "machine").await?;
        if seen.iter().all(|one| one.ports.is_empty()) {
            return Ok(Vec::new());
        }
        let installation = self.installation().await?.map(|installation| installation.id);
        let owners: HashMap<_, _> = self.machine_heads().await?.into_iter().map(|kept| (kept.value.id, kept.value.owner)).collect();
        let held = seen.iter().flat_map(|one| {
            let ours = one.machine_id.filter(|_| one.installation == installation);
            let holder = machine_words(&one.name, ours.and_then(|id| owners.get(&id)).map(|owner| owner.as_str()));
            one.ports.iter().map(move |port| {
                let port = PublishedPort {
                    host_ip: port.host_ip.clone(),
                    host_port: port.host_port,
                    container_port: port.guest_port,
                    protocol: port.protocol.clone(),
                };
                Held { port, holder: holder.clone() }
            })
        });
        Ok(held.collect())
    }

    /// The last observation of everything of a kind. A tombstone is none, and neither is what another release wrote and this one
    /// cannot read.
    async fn observations<T: DeserializeOwned>(&self, host: &str, kind: &str) -> Result<Vec<T>, DefinitionError> {
        let subject = subjects::observed(host, kind, "*");
        let found = self.streams.all(subjects::OBSERVED, &subject).await;
        let items = found.map_err(|reason| DefinitionError::Away { subject, reason })?;
        Ok(items.iter().filter_map(|item| serde_json::from_slice(&item.body).ok()).collect())
    }
}
