//! Networks, volumes, and how a container is attached: always with its aliases, so that a name never stops resolving.

use std::collections::HashMap;

use bollard::models::{EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use orrery_compose::model::{Attachment, Network, Strings, Volume};
use orrery_compose::{Project, Service};

use super::facts::Facts;
use super::{NetworkSpec, VolumeSpec};

fn map(values: &Strings) -> Option<HashMap<String, String>> {
    (!values.is_empty()).then(|| values.clone().into_iter().collect())
}

pub(super) fn network_spec(key: &str, network: &Network) -> NetworkSpec {
    let pool = |pool: &orrery_compose::model::IpamPool| IpamConfig {
        subnet: pool.subnet.clone(),
        ip_range: pool.ip_range.clone(),
        gateway: pool.gateway.map(|ip| ip.to_string()),
        auxiliary_addresses: map(&pool.aux_addresses),
    };
    let pools: Vec<IpamConfig> = network.ipam.iter().map(pool).collect();
    let manages = network.ipam_driver.is_some() || !pools.is_empty() || !network.ipam_options.is_empty();
    let body = NetworkCreateRequest {
        name: network.name.value.clone(),
        driver: Some(network.driver.clone().unwrap_or_else(|| "bridge".to_owned())),
        internal: network.internal.then_some(true),
        attachable: network.attachable.then_some(true),
        ipam: manages.then(|| Ipam {
            driver: network.ipam_driver.clone(),
            config: (!pools.is_empty()).then_some(pools),
            options: map(&network.ipam_options),
        }),
        enable_ipv4: network.enable_ipv4,
        enable_ipv6: network.enable_ipv6,
        options: map(&network.driver_opts),
        labels: map(&network.labels),
        ..NetworkCreateRequest::default()
    };
    NetworkSpec { external: network.external, facts: Facts::of_request(&body), body, key: key.to_owned() }
}

pub(super) fn volume_spec(key: &str, volume: &Volume) -> VolumeSpec {
    let body = VolumeCreateRequest {
        name: Some(volume.name.value.clone()),
        driver: Some(volume.driver.clone().unwrap_or_else(|| "local".to_owned())),
        driver_opts: map(&volume.driver_opts),
        labels: map(&volume.labels),
        cluster_volume_spec: None,
    };
    VolumeSpec { external: volume.external, facts: Facts::of_request(&body), body, key: key.to_owned() }
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
    attachments(project, service).into_iter().map(|(name, attachment)| (name, Endpoint(endpoint(service, attachment)))).collect()
}

fn endpoint(service: &Service, attachment: &Attachment) -> EndpointSettings {
    let mut aliases = attachment.aliases.clone();
    aliases.push(service.name.clone());
    let fixed = attachment.ipv4_address.is_some() || attachment.ipv6_address.is_some() || !attachment.link_local_ips.is_empty();
    let ipam = fixed.then(|| EndpointIpamConfig {
        ipv4_address: attachment.ipv4_address.map(|ip| ip.to_string()),
        ipv6_address: attachment.ipv6_address.map(|ip| ip.to_string()),
        link_local_ips: (!attachment.link_local_ips.is_empty())
            .then(|| attachment.link_local_ips.iter().map(ToString::to_string).collect()),
    });
    EndpointSettings {
        ipam_config: ipam,
        aliases: Some(aliases),
        mac_address: attachment.mac_address.clone().or_else(|| service.mac_address.clone()),
        driver_opts: (!attachment.driver_opts.is_empty()).then(|| attachment.driver_opts.clone().into_iter().collect()),
        gw_priority: (attachment.gw_priority != 0).then_some(attachment.gw_priority),
        ..EndpointSettings::default()
    }
}
