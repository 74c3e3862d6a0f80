//! Networks, volumes, and how a container is attached: always with its aliases, so that a name never stops resolving.

use std::collections::HashMap;

use bollard::models::{EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use orrery_compose::model::{Attachment, IpamPool, Network, Strings, Volume};
use orrery_compose::{Project, Service};

use super::facts::Facts;
use super::{NetworkSpec, VolumeSpec};

fn map(values: &Strings) -> Option<HashMap<String, String>> {
    (!values.is_empty()).then(|| values.clone().into_iter().collect())
}

pub(super) fn network_spec(key: &str, network: &Network) -> NetworkSpec {
    let Network {
        place,
        name,
        external,
        driver,
        driver_opts,
        ipam_driver,
        ipam,
        ipam_options,
        internal,
        attachable,
        enable_ipv4,
        enable_ipv6,
        labels,
    } = network;
    let pools: Vec<IpamConfig> = ipam.iter().map(pool).collect();
    let manages = ipam_driver.is_some() || !pools.is_empty() || !ipam_options.is_empty();
    let body = NetworkCreateRequest {
        name: name.value.clone(),
        driver: Some(driver.clone().unwrap_or_else(|| "bridge".to_owned())),
        internal: internal.then_some(true),
        attachable: attachable.then_some(true),
        ipam: manages.then(|| Ipam {
            driver: ipam_driver.clone(),
            config: (!pools.is_empty()).then_some(pools),
            options: map(ipam_options),
        }),
        enable_ipv4: *enable_ipv4,
        enable_ipv6: *enable_ipv6,
        options: map(driver_opts),
        labels: map(labels),
        ..NetworkCreateRequest::default()
    };
    NetworkSpec { external: *external, facts: Facts::of_request(&body), body, place: place.clone(), key: key.to_owned() }
}

fn pool(pool: &IpamPool) -> IpamConfig {
    let IpamPool { place: _, subnet, gateway, ip_range, aux_addresses } = pool;
    IpamConfig {
        subnet: subnet.clone(),
        ip_range: ip_range.clone(),
        gateway: gateway.map(|ip| ip.to_string()),
        auxiliary_addresses: map(aux_addresses),
    }
}

pub(super) fn volume_spec(key: &str, volume: &Volume) -> VolumeSpec {
    let Volume { place, name, external, driver, driver_opts, labels } = volume;
    let body = VolumeCreateRequest {
        name: Some(name.value.clone()),
        driver: Some(driver.clone().unwrap_or_else(|| "local".to_owned())),
        driver_opts: map(driver_opts),
        labels: map(labels),
        cluster_volume_spec: None,
    };
    VolumeSpec { external: *external, facts: Facts::of_request(&body), body, place: place.clone(), key: key.to_owned() }
}

/// A service's networks by their names on the engine, the most important first.
pub(super) fn attachments<'a>(project: &'a Project, service: &'a Service) -> Vec<(String, &'a Attachment)> {
    let name = |key: &String| project.networks.get(key).map_or_else(|| key.clone(), |network| network.name.value.clone());
    let mut all: Vec<(String, &Attachment)> = service.networks.iter().map(|(key, attachment)| (name(key), attachment)).collect();
    all.sort_by_key(|(_, attachment)| std::cmp::Reverse(attachment.priority));
    all
}

/// The endpoint of a service, before it is one container's.
pub(super) struct Endpoint(EndpointSettings);

impl Endpoint {
    /// With the container's own name among the aliases: it holds also while the container has another name.
    pub(super) fn named(&self, container: &str) -> EndpointSettings {
        let mut endpoint = self.0.clone();
        let aliases = endpoint.aliases.get_or_insert_default();
        aliases.push(container.to_owned());
        aliases.sort();
        aliases.dedup();
        endpoint
    }
}

pub(super) fn endpoints(project: &Project, service: &Service) -> Vec<(String, Endpoint)> {
    let mut endpoints: Vec<(String, EndpointSettings)> = attachments(project, service)
        .into_iter()
        .map(|(name, attachment)| {
            let links = links(project, service, &name);
            (name, EndpointSettings { links, ..endpoint(service, attachment) })
        })
        .collect();
    // The service's own hardware address is that of its first network: two interfaces cannot share one.
    if let Some((_, first)) = endpoints.first_mut().filter(|(_, first)| first.mac_address.is_none()) {
        first.mac_address.clone_from(&service.mac_address);
    }
    endpoints.into_iter().map(|(name, endpoint)| (name, Endpoint(endpoint))).collect()
}

/// Further names under which this service alone finds others, on a network that both are in. They lead to the other
/// service's name, not to one of its containers, so that they hold when those are replaced.
fn links(project: &Project, service: &Service, network: &str) -> Option<Vec<String>> {
    let there = |other: &Service| attachments(project, other).iter().any(|(name, _)| name == network);
    let link = |(other, name): &(String, String)| {
        let linked = project.services.get(other).filter(|linked| name != other && there(linked))?;
        Some(format!("{}:{name}", linked.name))
    };
    let links: Vec<String> = service.links.iter().filter_map(link).collect();
    (!links.is_empty()).then_some(links)
}

/// The option by which the engine's drivers name an interface.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

fn endpoint(service: &Service, attachment: &Attachment) -> EndpointSettings {
    let Attachment {
        place: _,
        aliases,
        ipv4_address,
        ipv6_address,
        link_local_ips,
        mac_address,
        // The order of the networks: see `attachments`.
        priority: _,
        gw_priority,
        interface_name,
        driver_opts,
    } = attachment;
    let mut aliases = aliases.clone();
    aliases.push(service.name.clone());
    let fixed = ipv4_address.is_some() || ipv6_address.is_some() || !link_local_ips.is_empty();
    let ipam = fixed.then(|| EndpointIpamConfig {
        ipv4_address: ipv4_address.map(|ip| ip.to_string()),
        ipv6_address: ipv6_address.map(|ip| ip.to_string()),
        link_local_ips: (!link_local_ips.is_empty()).then(|| link_local_ips.iter().map(ToString::to_string).collect()),
    });
    let named = interface_name.iter().map(|name| (INTERFACE_NAME.to_owned(), name.clone()));
    let options: HashMap<String, String> = driver_opts.clone().into_iter().chain(named).collect();
    EndpointSettings {
        ipam_config: ipam,
        aliases: Some(aliases),
        mac_address: mac_address.clone(),
        driver_opts: (!options.is_empty()).then_some(options),
        gw_priority: (*gw_priority != 0).then_some(*gw_priority),
        ..EndpointSettings::default()
    }
}
