//! What domains use.

use virt::connect::Connect;
use virt::domain::Domain;

use super::storage::present;
use super::{CALL, LibvirtEngine};
use crate::engine::error::EngineError;
use crate::engine::observed::Figures;
use crate::engine::raw::{self, Counts};
use crate::engine::{DomainRef, Kind, xml};

/// The figures of those of these domains that run.
pub(super) async fn figures(engine: &LibvirtEngine, domains: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
    let of = |kind: Kind| domains.iter().copied().filter(|domain| domain.kind == kind).collect::<Vec<_>>();
    let (vms, containers) = (of(Kind::Vm), of(Kind::Container));
    let mut found = Vec::new();
    if !vms.is_empty() {
        found.extend(engine.ask(Kind::Vm, CALL, move |connection| machines(connection, &vms)).await?);
    }
    if !containers.is_empty() {
        found.extend(engine.ask(Kind::Container, CALL, move |connection| one_by_one(connection, &containers)).await?);
    }
    Ok(found)
}

/// All at once, where the driver can.
fn machines(connection: &Connect, which: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
    let mut running = Vec::new();
    for domain in which {
        if let Some(domain) = running_domain(connection, *domain)? {
            running.push(domain);
        }
    }
    match raw::stats(&running).map_err(EngineError::from) {
        Ok(records) => Ok(records.into_iter().map(|(uuid, counts)| of_counts(DomainRef::vm(uuid), &counts)).collect()),
        Err(error) if error.code == "unsupported" => one_by_one(connection, which),
        Err(error) => Err(error),
    }
}

fn running_domain(connection: &Connect, domain: DomainRef) -> Result<Option<Domain>, EngineError> {
    let Some(found) = present(connection.lookup_domain_by_uuid(domain.uuid))? else { return Ok(None) };
    Ok(if found.is_active()? { Some(found) } else { None })
}

fn of_counts(domain: DomainRef, counts: &Counts) -> Figures {
    let one = |name: &str| counts.get(name).copied().unwrap_or_default();
    // `block.0.rd.bytes`, `net.1.tx.bytes`: summed over the devices.
    let sum = |device: &str, what: &str| {
        let of_device = counts.iter().filter(|(name, _)| name.starts_with(device) && name.ends_with(what));
        of_device.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
    };
    Figures {
        domain,
        cpu_time: one("cpu.time"),
        vcpus: u32::try_from(one("vcpu.current")).unwrap_or(u32::MAX),
        memory: one("balloon.current").saturating_mul(1024),
        resident: one("balloon.rss").saturating_mul(1024),
        read: sum("block.", ".rd.bytes"),
        written: sum("block.", ".wr.bytes"),
        received: sum("net.", ".rx.bytes"),
        sent: sum("net.", ".tx.bytes"),
    }
}

/// A driver that keeps no statistics tells processor time and memory; traffic is counted by the interfaces.
fn one_by_one(connection: &Connect, which: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
    let mut found = Vec::new();
    for domain in which {
        if let Some(running) = running_domain(connection, *domain)? {
            found.push(of_info(*domain, &running)?);
        }
    }
    Ok(found)
}

fn of_info(domain: DomainRef, running: &Domain) -> Result<Figures, EngineError> {
    let info = running.info()?;
    let memory = info.memory.saturating_mul(1024);
    let mut figures = Figures { cpu_time: info.cpu_time, vcpus: info.nr_virt_cpu, memory, resident: memory, ..Figures::none(domain) };
    let definition = running.xml_desc(0)?;
    let document = xml::parse(&definition)?;
    let interfaces = document.descendants().filter(|node| node.has_tag_name("interface"));
    for device in interfaces.filter_map(|node| xml::child(node, "target")?.attribute("dev")) {
        // One that goes meanwhile counts nothing.
        if let Ok(traffic) = running.interface_stats(device) {
            figures.received = figures.received.saturating_add(u64::try_from(traffic.rx_bytes).unwrap_or_default());
            figures.sent = figures.sent.saturating_add(u64::try_from(traffic.tx_bytes).unwrap_or_default());
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_over_devices() {
        let domain = DomainRef::vm(uuid::Uuid::nil());
        let counts = [
            ("cpu.time", 7),
            ("vcpu.current", 2),
            ("balloon.current", 1024),
            ("balloon.rss", 512),
            ("block.0.rd.bytes", 10),
            ("block.1.rd.bytes", 5),
            ("block.0.rd.reqs", 99),
            ("block.0.wr.bytes", 3),
            ("net.0.rx.bytes", 4),
            ("net.0.tx.bytes", 6),
        ];
        let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        let wanted =
            Figures { domain, cpu_time: 7, vcpus: 2, memory: 1 << 20, resident: 512 << 10, read: 15, written: 3, received: 4, sent: 6 };
        assert_eq!(of_counts(domain, &counts), wanted);
    }
}
