//! Whether the ports that a version wants can be had: what other machines and stacks of this host hold, and every program on it.

use std::collections::BTreeSet;

use orrery_contracts::PublishedPort;
use orrery_queue::definitions::DefinitionError;
use orrery_queue::ports::{Held, collide, listening};

use super::way::{wanted, ways};
use crate::commands::LibvirtExecutor;
use crate::definition::Desired;
use crate::engine::Hypervisor;

impl<E: Hypervisor> LibvirtExecutor<E> {
    /// Who holds ports that this version wants; `old` is what the machine was made for, and holds itself.
    pub(crate) async fn in_the_way(&self, desired: &Desired, old: Option<&Desired>) -> Result<Vec<Held>, DefinitionError> {
        let wanted = wanted(&desired.machine);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.own(desired, old);
        let missing: Vec<&PublishedPort> = wanted.iter().filter(|port| !own.iter().any(|held| same(port, held))).collect();
        let mut held = self.keeper.doors.held_by_others(desired.identity.machine);
        held.extend(self.definitions.ports_of_containers(&self.host).await?);
        let ports: BTreeSet<u16> = missing.iter().map(|port| port.host_port).collect();
        let programs = tokio::task::spawn_blocking(move || listening(&ports)).await.unwrap_or_default();
        // What this process listens on is in its own list.
        let ours = |pid: u32| pid == std::process::id();
        let programs = programs.into_iter().filter(|program| !program.process.as_ref().is_some_and(|(_, pid)| ours(*pid)));
        held.extend(programs.map(|program| Held { holder: program.words(), port: program.port }));
        held.retain(|held| missing.iter().any(|port| collide(port, &held.port)));
        Ok(held)
    }

    /// What the machine itself holds: its doors, and the ports that passt carries to it.
    fn own(&self, desired: &Desired, old: Option<&Desired>) -> Vec<PublishedPort> {
        let id = desired.identity.machine;
        let doors = self.keeper.doors.seen().into_iter().filter(|way| way.machine == id).map(|way| way.front.published(way.guest));
        let carried = |old: &Desired| {
            let doors = ways(&old.machine, id, old.domain(), ("", ""));
            let by_us: Vec<PublishedPort> = doors.iter().map(|way| way.front.published(way.guest)).collect();
            self::wanted(&old.machine).into_iter().filter(move |port| !by_us.contains(port)).collect::<Vec<_>>()
        };
        doors.chain(old.map(carried).unwrap_or_default()).collect()
    }
}

/// Whether it is the same port of the host, wherever it leads.
fn same(a: &PublishedPort, b: &PublishedPort) -> bool {
    (&a.host_ip, a.host_port, &a.protocol) == (&b.host_ip, b.host_port, &b.protocol)
}
