//! What domains use.

use virt::connect::Connect;
use virt::domain::Domain;
use virt::sys;

use super::{CALL, LibvirtEngine};
use crate::engine::error::EngineError;
use crate::engine::observed::{DiskTraffic, Figures};
use crate::engine::raw::{self, Stats};
use crate::engine::{DomainRef, Kind, xml};

/// The figures of those of these domains that run.
pub(super) async fn figures(engine: &LibvirtEngine, domains: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
    let of = |kind: Kind| domains.iter().copied().filter(|domain| domain.kind == kind).collect::<Vec<_>>();
    let (vms, containers) = (of(Kind::Vm), of(Kind::Container));
    let mut found = Vec::new();
    if !vms.is_empty() {
        found.extend(engine.lines(Kind::Vm)?.figures.ask(CALL, move |connection| machines(connection, &vms)).await?);
    }
    if !containers.is_empty() {
        found.extend(engine.lines(Kind::Container)?.figures.ask(CALL, move |connection| one_by_one(connection, &containers)).await?);
    }
    Ok(found)
}

/// All at once, where the driver can.
fn machines(connection: &Connect, which: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
    let running: Vec<Domain> = running(connection, which)?.into_iter().map(|(_, domain)| domain).collect();
    match raw::stats(&running).map_err(EngineError::from) {
        Ok(records) => Ok(records.iter().filter_map(of_stats).collect()),
        Err(error) if error.code == "unsupported" => one_by_one(connection, which),
        Err(error) => Err(error),
    }
}

fn running(connection: &Connect, which: &[DomainRef]) -> Result<Vec<(DomainRef, Domain)>, EngineError> {
    let mut found = Vec::new();
    for domain in connection.list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE)? {
        let uuid = domain.uuid()?;
        found.extend(which.iter().find(|asked| asked.uuid == uuid).map(|asked| (*asked, domain)));
    }
    Ok(found)
}

/// None of one that has ended meanwhile.
fn of_stats(stats: &Stats) -> Option<Figures> {
    let one = |name: &str| stats.counts.get(name).copied();
    // `block.0.rd.bytes`, `net.1.tx.bytes`: summed over the devices; none where no device has it.
    let sum = |device: &str, what: &str| {
        let of_device = stats.counts.iter().filter(|(name, _)| name.starts_with(device) && name.ends_with(what));
        of_device.map(|(_, count)| *count).reduce(u64::saturating_add)
    };
    let no_disk = one("block.count") == Some(0);
    let disks = match (sum("block.", ".rd.bytes"), sum("block.", ".wr.bytes")) {
        (None, None) => no_disk.then(DiskTraffic::default),
        (read, written) => Some(DiskTraffic { read: read.unwrap_or_default(), written: written.unwrap_or_default() }),
    };
    Some(Figures {
        domain: DomainRef::vm(stats.uuid),
        life: stats.id,
        cpu_time: one("cpu.time")?,
        vcpus: u32::try_from(one("vcpu.current").unwrap_or_default()).unwrap_or(u32::MAX),
        memory: one("balloon.current").unwrap_or_default().saturating_mul(1024),
        resident: one("balloon.rss").unwrap_or_default().saturating_mul(1024),
        disks,
        received: sum("net.", ".rx.bytes").unwrap_or_default(),
        sent: sum("net.", ".tx.bytes").unwrap_or_default(),
    })
}

/// A driver that keeps no statistics tells processor time and memory; traffic is counted by the interfaces.
fn one_by_one(connection: &Connect, which: &[DomainRef]) -> Result<Vec<Figures>, EngineError> {
    let mut found = Vec::new();
    for (which, domain) in running(connection, which)? {
        match of_info(which, &domain) {
            Ok(figures) => found.push(figures),
            // One that goes while it is looked at is not there.
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn of_info(domain: DomainRef, running: &Domain) -> Result<Figures, EngineError> {
    let info = running.info()?;
    let memory = info.memory.saturating_mul(1024);
    let life = running.id().unwrap_or_default();
    let (cpu_time, vcpus) = (info.cpu_time, info.nr_virt_cpu);
    let mut figures = Figures { life, cpu_time, vcpus, memory, resident: memory, ..Figures::none(domain) };
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

    fn stats(counts: &[(&str, u64)]) -> Stats {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Stats { uuid: uuid::Uuid::nil(), id: 3, counts }
    }

    #[test]
    fn figures_are_summed_over_devices() {
        let counts = [
            ("cpu.time", 7),
            ("vcpu.current", 2),
            ("balloon.current", 1024),
            ("balloon.rss", 512),
            ("block.count", 2),
            ("block.0.rd.bytes", 10),
            ("block.1.rd.bytes", 5),
            ("block.0.rd.reqs", 99),
            ("block.0.wr.bytes", 3),
            ("net.0.rx.bytes", 4),
            ("net.0.tx.bytes", 6),
        ];
        let disks = Some(DiskTraffic { read: 15, written: 3 });
        let (memory, resident) = (1 << 20, 512 << 10);
        let domain = DomainRef::vm(uuid::Uuid::nil());
        let wanted = Figures { domain, life: 3, cpu_time: 7, vcpus: 2, memory, resident, disks, received: 4, sent: 6 };
        assert_eq!(of_stats(&stats(&counts)), Some(wanted));
    }

    #[test]
    fn disks_that_nobody_could_ask_are_not_taken_for_idle_ones() {
        let disks = |count| of_stats(&stats(&[("cpu.time", 7), ("block.count", count)])).unwrap().disks;
        assert_eq!((disks(1), disks(0)), (None, Some(DiskTraffic::default())));
        assert_eq!(of_stats(&stats(&[("block.count", 1)])), None, "what has no processor time does not run");
    }
}
