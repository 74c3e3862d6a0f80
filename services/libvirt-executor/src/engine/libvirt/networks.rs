//! Networks, and the addresses that they keep for interfaces.

use virt::connect::Connect;
use virt::error::{Error, ErrorNumber};
use virt::network::Network;
use virt::sys;

use super::leftovers;
use super::storage::present;
use crate::engine::error::EngineError;
use crate::engine::observed::Reservation;
use crate::engine::{Effect, xml};

pub(super) fn ensure(connection: &Connect, name: &str, definition: &str) -> Result<Effect, EngineError> {
    let named = xml::text_at(&xml::parse(definition)?, &["name"]).unwrap_or_default();
    if named != name {
        return Err(EngineError::refuse("invalid", format!("the definition of the network {name} names {named:?}")));
    }
    let (network, mut already) = match present(connection.lookup_network_by_name(name))? {
        Some(network) => (network, true),
        None => (connection.define_network_xml(definition)?, false),
    };
    if !network.is_active()? {
        start(connection, &network)?;
        already = false;
    }
    if !network.autostart()? {
        network.set_autostart(true)?;
        already = false;
    }
    Ok(Effect { already, ..Effect::made(network.uuid_string()?) })
}

/// Starts a network. A daemon that was killed while it did that leaves things behind, which then are in the network's own way: they are
/// cleared away, or the network gets another bridge, where libvirt had chosen its name.
fn start(connection: &Connect, network: &Network) -> Result<(), EngineError> {
    let Err(error) = network.create() else { return Ok(()) };
    let definition = network.xml_desc(sys::VIR_NETWORK_XML_INACTIVE)?;
    let chosen = bridge_of(&definition).filter(|bridge| leftovers::is_in_its_own_way(bridge, error.message()));
    let Some(bridge) = chosen else { return Err(error.into()) };
    tracing::warn!("libvirt was killed while it started a network, and left its bridge behind: {error}");
    let why = match leftovers::clear(&network.name()?, bridge) {
        Ok(()) => return Ok(network.create()?),
        Err(why) => why,
    };
    match without_bridge(&definition).filter(|_| error.message().contains("File exists")) {
        Some(definition) => Ok(connection.define_network_xml(&definition)?.create()?),
        None => {
            let message = format!(
                "libvirt was killed while it started the network, and its bridge {bridge} was left behind ({why}): \
                 `ip link delete {bridge}` on its host, end the dnsmasq of the network there, and try again"
            );
            Err(EngineError::refuse("bridge_left_behind", message))
        }
    }
}

/// The bridge that libvirt chose for a network.
fn bridge_of(definition: &str) -> Option<&str> {
    let (_, rest) = definition.split_once("<bridge name='")?;
    rest.split_once('\'').map(|(name, _)| name).filter(|name| name.starts_with("virbr"))
}

/// A definition without the bridge that libvirt chose.
fn without_bridge(definition: &str) -> Option<String> {
    let (before, rest) = definition.split_once("<bridge name='virbr")?;
    let (_, behind) = rest.split_once("/>")?;
    Some(format!("{before}{behind}"))
}

pub(super) fn remove(connection: &Connect, name: &str) -> Result<Effect, EngineError> {
    let Some(network) = present(connection.lookup_network_by_name(name))? else { return Ok(Effect::found()) };
    let persistent = network.is_persistent()?;
    if network.is_active()? {
        network.destroy()?;
    }
    // One without a definition has gone with its bridge.
    if persistent {
        present(network.undefine())?;
    }
    Ok(Effect::done())
}

/// A network's kept definition, or the one that it runs with; a driver that keeps one alone (test) knows no difference.
pub(super) fn description(network: &Network, kept: bool) -> Result<String, Error> {
    match network.xml_desc(if kept { sys::VIR_NETWORK_XML_INACTIVE } else { 0 }) {
        Err(error) if error.code().is(ErrorNumber::InvalidArg) => network.xml_desc(0),
        answer => answer,
    }
}

/// What the network reserves, by its kept definition or the one that it runs with.
fn reserved(network: &Network, kept: bool) -> Result<Vec<Reservation>, EngineError> {
    let description = description(network, kept)?;
    Ok(xml::reservations(&xml::parse(&description)?))
}

pub(super) fn reserve(network: &Network, wanted: &Reservation) -> Result<Effect, EngineError> {
    let wanted = Reservation { mac: wanted.mac.to_ascii_lowercase(), ..wanted.clone() };
    let mut effect = Effect::found();
    for (flags, kept) in places(network)? {
        let there = reserved(network, kept)?;
        if there.contains(&wanted) {
            continue;
        }
        let rival = there.iter().find(|other| other.ip == wanted.ip && other.mac != wanted.mac);
        if let Some(rival) = rival {
            let message = format!("the network {} keeps {} for {} ({})", network.name()?, wanted.ip, rival.mac, rival.name);
            return Err(EngineError::refuse("address_taken", message));
        }
        if let Some(stale) = there.iter().find(|other| other.mac == wanted.mac) {
            change(network, sys::VIR_NETWORK_UPDATE_COMMAND_DELETE, stale, flags)?;
        }
        change(network, sys::VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, &wanted, flags)?;
        effect.already = false;
    }
    Ok(effect)
}

pub(super) fn release(connection: &Connect, network: &str, mac: &str) -> Result<Effect, EngineError> {
    let mut effect = Effect::found();
    let Some(network) = present(connection.lookup_network_by_name(network))? else { return Ok(effect) };
    for (flags, kept) in places(&network)? {
        for one in reserved(&network, kept)?.iter().filter(|one| one.mac.eq_ignore_ascii_case(mac)) {
            change(&network, sys::VIR_NETWORK_UPDATE_COMMAND_DELETE, one, flags)?;
            effect.already = false;
        }
    }
    Ok(effect)
}

/// Where a reservation stands: in the kept definition, and in the running network while it is up. Each is looked at and
/// changed by itself, so that a crash between the two is made good by the next try.
fn places(network: &Network) -> Result<Vec<(sys::virNetworkUpdateFlags, bool)>, EngineError> {
    let kept = network.is_persistent()?.then_some((sys::VIR_NETWORK_UPDATE_AFFECT_CONFIG, true));
    let running = network.is_active()?.then_some((sys::VIR_NETWORK_UPDATE_AFFECT_LIVE, false));
    Ok(kept.into_iter().chain(running).collect())
}

fn change(
    network: &Network,
    command: sys::virNetworkUpdateCommand,
    reservation: &Reservation,
    flags: sys::virNetworkUpdateFlags,
) -> Result<(), EngineError> {
    let element = xml::host_element(reservation);
    Ok(network.update(command, sys::VIR_NETWORK_SECTION_IP_DHCP_HOST, -1, &element, flags)?)
}

#[cfg(test)]
mod tests {
    use super::{bridge_of, without_bridge};

    #[test]
    fn only_a_bridge_that_libvirt_chose_is_left_out() {
        let chosen = "<network><name>a</name><bridge name='virbr0' stp='on' delay='0'/><ip address='10.0.0.1'/></network>";
        assert_eq!(without_bridge(chosen).as_deref(), Some("<network><name>a</name><ip address='10.0.0.1'/></network>"));
        assert_eq!(bridge_of(chosen), Some("virbr0"));
        let own = "<network><bridge name='br-lab'/></network>";
        assert_eq!((bridge_of(own), without_bridge(own)), (None, None));
    }
}
