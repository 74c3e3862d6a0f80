//! What somebody who looks at libvirt in memory sees.

use std::path::Path;

use super::world::{Kept, World};
use crate::engine::observed::{Address, AddressSource, Observed, Other, Scope, Seen, SeenVolume, State};
use crate::engine::{DomainRef, xml};

impl Kept {
    /// Everything of it in a line.
    fn told(&self) -> String {
        let Self { name, state, reason, persistent, autostart, vcpus, memory, shares, edits, .. } = self;
        let snapshots = self.snapshots.iter().map(|(one, past)| (&one.name, &one.description, one.current, past.state)).collect::<Vec<_>>();
        let (hash, metadata) = (xml::hash(&self.definition).unwrap_or_default(), self.metadata.as_deref().unwrap_or_default());
        let state = state.word();
        format!(
            "domain {name} {state} ({reason}) {persistent} {autostart} {vcpus} {memory} {shares} {edits} {hash} {snapshots:?} {metadata}"
        )
    }
}

impl World {
    /// The addresses that its interfaces are kept, while it runs.
    pub(super) fn addresses(&self, domain: DomainRef) -> Vec<Address> {
        let Some(kept) = self.domains.get(&domain).filter(|kept| kept.state == State::Running) else { return Vec::new() };
        let Ok(document) = xml::parse(&kept.definition) else { return Vec::new() };
        let interfaces = document.descendants().filter(|node| node.has_tag_name("interface"));
        let macs = interfaces.filter_map(|node| xml::child(node, "mac")?.attribute("address"));
        let mut found: Vec<Address> = macs
            .flat_map(|mac| self.networks.values().flat_map(|network| &network.reservations).filter(move |one| one.mac == mac))
            .map(|one| Address { mac: one.mac.clone(), ip: one.ip, source: AddressSource::Lease })
            .collect();
        found.sort();
        found
    }

    fn seen(&self, kept: &Kept, metadata: &str, in_short: bool) -> Seen {
        let hash = xml::hash(&kept.definition).unwrap_or_default();
        Seen {
            domain: kept.domain,
            name: kept.name.clone(),
            state: kept.state,
            reason: kept.reason,
            persistent: kept.persistent,
            autostart: kept.autostart,
            saved: false,
            metadata: metadata.to_owned(),
            hash: (!in_short).then(|| format!("{hash}{}{}{}{}", kept.vcpus, kept.memory, kept.shares, kept.edits)),
            vcpus: kept.vcpus,
            memory: kept.memory,
            addresses: if in_short { Vec::new() } else { self.addresses(kept.domain) },
            unaddressed: false,
            snapshots: if in_short { Vec::new() } else { kept.snapshots.iter().map(|(one, _)| one.clone()).collect() },
        }
    }

    pub(super) fn observe(&self, scope: &Scope) -> Observed {
        let mut observed = Observed::default();
        for kept in self.domains.values().filter(|_| !scope.no_domains) {
            match kept.metadata.as_deref().filter(|_| scope.only.is_none_or(|only| only == kept.domain.uuid)) {
                Some(metadata) => observed.domains.push(self.seen(kept, metadata, scope.in_short)),
                None => observed.others.push(Other {
                    domain: kept.domain,
                    name: kept.name.clone(),
                    state: kept.state,
                    ours: kept.metadata.is_some(),
                }),
            }
        }
        observed.domains.sort_by(|a, b| a.name.cmp(&b.name));
        observed.others.sort_by(|a, b| a.name.cmp(&b.name));
        let of_pool = |(pool, _): &&(String, String)| Some(pool) == scope.pool.as_ref();
        observed.volumes = self.volumes.iter().filter(|(key, _)| of_pool(key)).map(|(_, volume)| volume.clone()).collect();
        observed.volumes.extend(scope.pool.as_ref().and_then(|pool| self.pools.get(pool)).into_iter().flat_map(|path| folders_in(path)));
        observed.volumes.sort_by(|a, b| a.name.cmp(&b.name));
        if scope.networks {
            observed.networks = self.networks.values().cloned().collect();
        }
        observed
    }

    pub(super) fn inventory(&self) -> Vec<String> {
        let domains = self.domains.values().map(Kept::told);
        let whole = |volume: &SeenVolume| if volume.uploaded { "whole" } else { "" };
        let volumes = self.volumes.values().map(|volume| format!("volume {} {} {}", volume.name, volume.capacity, whole(volume)));
        let networks = self.networks.values().map(|network| format!("network {} {:?}", network.name, network.reservations));
        let mut all: Vec<String> = domains.chain(volumes).chain(networks).collect();
        all.sort();
        all
    }
}

/// The folders in a pool: libvirt counts them among its volumes when it looks through it.
fn folders_in(pool: &Path) -> Vec<SeenVolume> {
    let entries = std::fs::read_dir(pool).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let seen = |entry: std::fs::DirEntry| SeenVolume {
        name: entry.file_name().to_string_lossy().into_owned(),
        path: entry.path().display().to_string(),
        capacity: 0,
        allocation: 0,
        format: "dir".to_owned(),
        backing: None,
        uploaded: false,
    };
    folders.map(seen).collect()
}
