//! Looking at everything: domains, volumes, networks.

use virt::connect::Connect;
use virt::domain::Domain;
use virt::sys;

use super::plugs::Plugs;
use super::storage::{marked_by, present};
use super::{LONG, LibvirtEngine, domains, neighbours, networks};
use crate::engine::error::{Class, EngineError};
use crate::engine::observed::{Address, AddressSource, Observed, Other, Scope, Seen, SeenNetwork, SeenSnapshot, SeenVolume};
use crate::engine::{DomainRef, Kind, raw, xml};

/// What of domains a driver told.
type Listed = (Vec<Seen>, Vec<Other>);

/// Looks at what a scope asks for.
pub(super) async fn observe(engine: &LibvirtEngine, scope: &Scope) -> Result<Observed, EngineError> {
    let mut observed = Observed::default();
    if !scope.no_domains {
        (observed.domains, observed.others) = all_domains(engine, scope).await?;
    }
    if let Some(pool) = scope.pool.clone() {
        let unchanging = engine.pools.try_hold(&pool);
        let question = move |connection: &Connect| volumes(connection, &pool, unchanging.is_some());
        observed.volumes = engine.ask(Kind::Vm, LONG, question).await?;
    }
    if scope.networks {
        observed.networks = engine.ask(Kind::Vm, LONG, all_networks).await?;
    }
    Ok(observed)
}

/// The domains of both drivers, by name.
async fn all_domains(engine: &LibvirtEngine, scope: &Scope) -> Result<Listed, EngineError> {
    let wanted = scope.clone();
    let (mut domains, mut others) = engine.ask(Kind::Vm, LONG, move |connection| list(connection, Kind::Vm, &wanted)).await?;
    let containers = match engine.container {
        None => Listed::default(),
        Some(_) => {
            let wanted = scope.clone();
            match engine.ask(Kind::Container, LONG, move |connection| list(connection, Kind::Container, &wanted)).await {
                // A daemon without that driver has no containers.
                Err(error) if error.class == Class::Refuse => Listed::default(),
                said => said?,
            }
        }
    };
    domains.extend(containers.0);
    others.extend(containers.1);
    domains.sort_by(|a, b| a.name.cmp(&b.name));
    others.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((domains, others))
}

fn list(connection: &Connect, kind: Kind, scope: &Scope) -> Result<Listed, EngineError> {
    let mut listed = Listed::default();
    for domain in connection.list_all_domains(0)? {
        // One that goes while it is looked at is not there.
        match look(&domain, kind, scope) {
            Ok(Looked::Ours(seen)) => listed.0.push(*seen),
            Ok(Looked::Other(other)) => listed.1.push(other),
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listed)
}

enum Looked {
    Ours(Box<Seen>),
    Other(Other),
}

fn look(domain: &Domain, kind: Kind, scope: &Scope) -> Result<Looked, EngineError> {
    let (name, uuid) = (domain.name()?, domain.uuid()?);
    let (state, reason) = raw::state(domain)?;
    let which = DomainRef { kind, uuid };
    let metadata = domains::metadata(domain)?;
    let ours = metadata.is_some();
    let Some(metadata) = metadata.filter(|_| scope.only.is_none_or(|only| only == uuid)) else {
        return Ok(Looked::Other(Other { domain: which, name, state, ours }));
    };
    let info = domain.info()?;
    let persistent = domain.is_persistent()?;
    let full = !scope.in_short;
    let definition = if full { Some(domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?) } else { None };
    let (addresses, unaddressed) = if full && state.is_up() { addresses(domain) } else { Default::default() };
    Ok(Looked::Ours(Box::new(Seen {
        domain: which,
        name,
        state,
        reason,
        persistent,
        autostart: persistent && domain.autostart()?,
        saved: kind == Kind::Vm && persistent && domain.has_managed_save(0)?,
        metadata,
        hash: definition.as_deref().map(xml::hash).transpose()?,
        vcpus: info.nr_virt_cpu,
        memory: info.max_mem.saturating_mul(1024),
        addresses,
        unaddressed,
        snapshots: if full && kind == Kind::Vm { snapshots(domain)? } else { Vec::new() },
    })))
}

/// What is known of a domain's addresses, and whether there is an interface of which none is. Each source is asked only about what
/// those before it did not know: the agent where it is there, and the host's neighbours last, which go stale.
pub(super) fn addresses(domain: &Domain) -> (Vec<Address>, bool) {
    let plugs = plugs(domain);
    let mut found = plugs.set.clone();
    for (number, source) in [
        (sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, AddressSource::Lease),
        (sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, AddressSource::Agent),
        (sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, AddressSource::Arp),
    ] {
        let missing = plugs.without(&found);
        if missing.is_empty() {
            break;
        }
        if source != AddressSource::Agent || plugs.agent {
            let told = match raw::addresses(domain, number) {
                Err(_) if source == AddressSource::Arp => neighbours::all(),
                // A driver that cannot tell by this way leaves it to the others.
                told => told.unwrap_or_default(),
            };
            found.extend(plugs.told(told, &missing, source));
        }
    }
    found.sort();
    let unknown = !plugs.without(&found).is_empty();
    (found, unknown)
}

/// Whether the agent in the guest answers a question.
pub(super) fn answers(domain: &Domain) -> bool {
    plugs(domain).agent && raw::addresses(domain, sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT).is_ok()
}

/// What a domain that runs is plugged into.
fn plugs(domain: &Domain) -> Plugs {
    let Ok(definition) = domain.xml_desc(0) else { return Plugs::default() };
    xml::parse(&definition).map(|document| Plugs::of(&document)).unwrap_or_default()
}

fn snapshots(domain: &Domain) -> Result<Vec<SeenSnapshot>, EngineError> {
    let mut found = Vec::new();
    for snapshot in domain.list_all_snapshots(0)? {
        if let Some(definition) = present(snapshot.xml_desc(0))? {
            found.push(xml::snapshot(&definition, snapshot.is_current(0)?)?);
        }
    }
    found.sort_by(|a, b| (a.taken_at, &a.name).cmp(&(b.taken_at, &b.name)));
    Ok(found)
}

/// The volumes of a pool. It is looked through again, unless it is being changed.
fn volumes(connection: &Connect, pool: &str, unchanging: bool) -> Result<Vec<SeenVolume>, EngineError> {
    let Some(pool) = present(connection.lookup_storage_pool_by_name(pool))? else { return Ok(Vec::new()) };
    if !pool.is_active()? {
        return Ok(Vec::new());
    }
    if unchanging {
        pool.refresh(0)?;
    }
    let (mut found, mut uploaded) = (Vec::new(), Vec::new());
    for volume in pool.list_all_volumes(0)? {
        let name = volume.name()?;
        if let Some(of) = marked_by(&name) {
            uploaded.push(of.to_owned());
        } else if let Some(description) = present(volume.xml_desc(0))? {
            found.push(seen_volume(name, &description)?);
        }
    }
    for volume in &mut found {
        volume.uploaded = uploaded.contains(&volume.name);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn seen_volume(name: String, description: &str) -> Result<SeenVolume, EngineError> {
    let document = xml::parse(description)?;
    let bytes = |name: &str| xml::at(&document, &[name]).and_then(|node| xml::bytes_of(node, 1)).unwrap_or_default();
    let format = xml::at(&document, &["target", "format"]).and_then(|node| node.attribute("type"));
    Ok(SeenVolume {
        name,
        path: xml::text_at(&document, &["target", "path"]).unwrap_or_default(),
        capacity: bytes("capacity"),
        allocation: bytes("allocation"),
        format: format.unwrap_or("raw").to_owned(),
        backing: xml::text_at(&document, &["backingStore", "path"]).filter(|path| !path.is_empty()),
        uploaded: false,
    })
}

fn all_networks(connection: &Connect) -> Result<Vec<SeenNetwork>, EngineError> {
    let mut found = Vec::new();
    for network in connection.list_all_networks(0)? {
        let persistent = network.is_persistent()?;
        let Some(description) = present(networks::description(&network, persistent))? else { continue };
        let document = xml::parse(&description)?;
        let bridge = xml::at(&document, &["bridge"]).and_then(|node| node.attribute("name")).map(str::to_owned);
        found.push(SeenNetwork {
            name: network.name()?,
            active: network.is_active()?,
            autostart: persistent && network.autostart()?,
            bridge,
            metadata: xml::metadata_in(&document),
            hash: xml::hash(&description)?,
            subnets: xml::subnets(&document),
            reservations: xml::reservations(&document),
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
