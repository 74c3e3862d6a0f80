//! Snapshots inside of a machine's disks. What the daemon could take and not bring back is refused before it is taken.

use virt::connect::Connect;
use virt::domain::Domain;
use virt::sys;

use super::storage::present;
use super::{LONG, LibvirtEngine};
use crate::engine::error::EngineError;
use crate::engine::observed::{SnapshotKinds, State};
use crate::engine::{DomainRef, Effect, Kind, raw, xml};

/// Does something to a machine that may have snapshots, knowing which this daemon can bring back.
pub(super) async fn with<F>(engine: &LibvirtEngine, domain: DomainRef, act: F) -> Result<Effect, EngineError>
where
    F: FnOnce(&Domain, SnapshotKinds) -> Result<Effect, EngineError> + Send + 'static,
{
    if domain.kind == Kind::Container {
        return Err(EngineError::refuse("snapshot_unsupported", "libvirt takes no snapshots of containers"));
    }
    let question = move |connection: &Connect| {
        let kinds = SnapshotKinds::of(connection.lib_version()?);
        act(&connection.lookup_domain_by_uuid(domain.uuid)?, kinds)
    };
    engine.ask(Kind::Vm, LONG, question).await
}

pub(super) fn create(domain: &Domain, kinds: SnapshotKinds, name: &str, description: &str, ran: bool) -> Result<Effect, EngineError> {
    if present(Domain::lookup_snapshot_by_name(domain, name, 0))?.is_some() {
        return Ok(Effect { already: true, ..Effect::made(name) });
    }
    takeable(domain, kinds)?;
    // Else the snapshot would be one of a guest that stands still.
    let (state, reason) = raw::state(domain)?;
    if state.is_left_behind(reason) || (ran && state == State::Paused) {
        domain.resume()?;
    }
    let definition = format!(
        "<domainsnapshot><name>{}</name><description>{}</description></domainsnapshot>",
        xml::escaped(name),
        xml::escaped(description)
    );
    domain.create_snapshot_xml(&definition, 0)?;
    Ok(Effect::made(name))
}

/// Whether a snapshot of this machine could be brought back.
fn takeable(domain: &Domain, kinds: SnapshotKinds) -> Result<(), EngineError> {
    let definition = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
    let document = xml::parse(&definition)?;
    let firmware = document.descendants().any(|node| {
        (node.has_tag_name("loader") && node.attribute("type") == Some("pflash"))
            || (node.has_tag_name("os") && node.attribute("firmware") == Some("efi"))
    });
    if firmware && !kinds.internal_with_uefi {
        let message = "this libvirt cannot bring a machine with UEFI firmware back to a snapshot (10.10 and later can): \
                       use BIOS firmware, or copy its disk while it is off";
        return Err(EngineError::refuse("snapshot_unsupported", message));
    }
    let mut disks = document.descendants().filter(|node| {
        node.has_tag_name("disk") && matches!(node.attribute("device"), None | Some("disk")) && xml::child(*node, "readonly").is_none()
    });
    let raw = disks.find(|disk| xml::child(*disk, "driver").and_then(|driver| driver.attribute("type")) != Some("qcow2"));
    if let Some(raw) = raw {
        let target = xml::child(raw, "target").and_then(|target| target.attribute("dev")).unwrap_or("?");
        let message = format!("the disk {target} is not qcow2, and only such disks hold a snapshot");
        return Err(EngineError::refuse("snapshot_unsupported", message));
    }
    Ok(())
}

pub(super) fn revert(domain: &Domain, kinds: SnapshotKinds, name: &str) -> Result<Effect, EngineError> {
    let snapshot = Domain::lookup_snapshot_by_name(domain, name, 0)?;
    if !kinds.external && xml::snapshot(&snapshot.xml_desc(0)?, false)?.external {
        let message = format!("the snapshot {name} lies in files of its own, and this libvirt cannot revert to it (9.9 and later can)");
        return Err(EngineError::refuse("snapshot_unsupported", message));
    }
    Ok(snapshot.revert(0).map(|()| Effect::done())?)
}

pub(super) fn delete(domain: &Domain, name: &str) -> Result<Effect, EngineError> {
    match present(Domain::lookup_snapshot_by_name(domain, name, 0))? {
        Some(snapshot) => Ok(present(snapshot.delete(0))?.map_or_else(Effect::found, |()| Effect::done())),
        None => Ok(Effect::found()),
    }
}
