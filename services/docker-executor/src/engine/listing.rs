//! One look at the engine: the stack's containers in full, everybody else's in short, and the networks, volumes and
//! images that a definition names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerSummary, PortSummaryTypeEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions};
use futures::stream::{self, StreamExt, TryStreamExt};
use orrery_contracts::PublishedPort;

use super::known::Known;
use super::observed::{Observed, Other, Scope, Seen, SeenImage, SeenNetwork, SeenVolume};
use super::{images, inspect};
use crate::definition::Facts;
use crate::definition::identity::{self as labels, Labels};

/// How many questions are asked at once.
const AT_ONCE: usize = 8;

pub(super) async fn look(docker: &Docker, scope: &Scope, known: &Known) -> Result<Observed, Error> {
    let options = ListContainersOptions { all: true, ..ListContainersOptions::default() };
    let (containers, networks, volumes, images) = futures::try_join!(
        docker.list_containers(Some(options)),
        networks(docker, scope),
        volumes(docker, scope),
        all_images(docker, scope)
    )?;
    let is_ours = |summary: &ContainerSummary| summary.labels.as_ref().is_some_and(|labels| scope.identity.owns(labels));
    let (ours, others): (Vec<_>, Vec<_>) = containers.into_iter().partition(is_ours);
    let listed = ours.into_iter().filter_map(inspect::listed);
    let mut containers: Vec<Seen> = if scope.in_short { listed.collect() } else { inspect_all(docker, listed.collect(), known).await? };
    containers.sort_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
    Ok(Observed { containers, networks, volumes, images, others: others.into_iter().map(other).collect(), programs: Vec::new() })
}

/// Every path of the host that a container mounts.
pub(super) async fn mounted(docker: &Docker) -> Result<BTreeSet<PathBuf>, Error> {
    let options = ListContainersOptions { all: true, ..ListContainersOptions::default() };
    let containers = docker.list_containers(Some(options)).await?;
    let mounts = containers.into_iter().flat_map(|summary| summary.mounts.unwrap_or_default());
    Ok(mounts.filter_map(|mount| mount.source).map(PathBuf::from).collect())
}

/// The stack's containers in full: as they were inspected before where that still holds, else inspected now.
async fn inspect_all(docker: &Docker, listed: Vec<Seen>, known: &Known) -> Result<Vec<Seen>, Error> {
    let answers = stream::iter(listed).map(|listed| async move {
        if let Some(seen) = known.still(&listed) {
            return Ok(Some(seen));
        }
        let before = known.moment();
        let answer = found(docker.inspect_container(&listed.id, None::<InspectContainerOptions>).await)?;
        let seen = answer.and_then(inspect::seen);
        if let Some(seen) = &seen {
            known.keep(before, listed, seen.clone());
        }
        Ok::<_, Error>(seen)
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}

/// What is not there is no error of a look.
pub(super) fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn other(summary: ContainerSummary) -> Other {
    let label = summary.labels.unwrap_or_default();
    let get = |key: &str| label.get(key).cloned();
    let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    Other {
        name: name.trim_start_matches('/').to_owned(),
        project: get(labels::PROJECT),
        installation: get(labels::INSTALLATION).and_then(|text| text.parse().ok()),
        stack: get(labels::STACK).and_then(|text| text.parse().ok()),
        owner: get(labels::OWNER),
        ports: summary.ports.unwrap_or_default().into_iter().filter_map(published).collect(),
    }
}

/// A port in a listing, when the host answers on it.
pub(crate) fn published(port: bollard::models::PortSummary) -> Option<PublishedPort> {
    let protocol = match port.typ {
        Some(PortSummaryTypeEnum::UDP) => "udp",
        Some(PortSummaryTypeEnum::SCTP) => "sctp",
        Some(PortSummaryTypeEnum::TCP | PortSummaryTypeEnum::EMPTY) | None => "tcp",
    };
    let host_port = port.public_port?;
    Some(PublishedPort {
        host_ip: port.ip.unwrap_or_default(),
        host_port,
        container_port: port.private_port,
        protocol: protocol.to_owned(),
    })
}

fn written_facts(label: &Labels) -> Option<Facts> {
    label.get(labels::FACTS).and_then(|text| Facts::from_label(text))
}

async fn networks(docker: &Docker, scope: &Scope) -> Result<BTreeMap<String, SeenNetwork>, Error> {
    let all = docker.list_networks(None::<ListNetworksOptions>).await?;
    let mut seen = BTreeMap::new();
    for network in all {
        let (name, label) = (network.name.unwrap_or_default(), network.labels.unwrap_or_default());
        let ours = scope.identity.owns(&label);
        if ours || scope.networks.contains(&name) {
            let command = label.get(labels::COMMAND).and_then(|text| text.parse().ok()).unwrap_or_default();
            seen.insert(name, SeenNetwork { ours, project: label.get(labels::PROJECT).cloned(), facts: written_facts(&label), command });
        }
    }
    Ok(seen)
}

async fn volumes(docker: &Docker, scope: &Scope) -> Result<BTreeMap<String, SeenVolume>, Error> {
    let mut seen = BTreeMap::new();
    for volume in docker.list_volumes(None::<ListVolumesOptions>).await?.volumes.unwrap_or_default() {
        let one = SeenVolume::of(&scope.identity, &volume.labels);
        if one.ours || one.kept || scope.volumes.contains(&volume.name) {
            seen.insert(volume.name, one);
        }
    }
    Ok(seen)
}

async fn all_images(docker: &Docker, scope: &Scope) -> Result<BTreeMap<String, SeenImage>, Error> {
    let answers = stream::iter(scope.images.clone()).map(|name| async move {
        let image = image(docker, &name).await?;
        Ok::<_, Error>((name, image))
    });
    let answers: Vec<(String, Option<SeenImage>)> = answers.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(answers.into_iter().filter_map(|(name, image)| Some((name, image?))).collect())
}

/// One image, when it is there.
pub(super) async fn image(docker: &Docker, name: &str) -> Result<Option<SeenImage>, Error> {
    let Some(answer) = found(docker.inspect_image(name).await)? else { return Ok(None) };
    let parts = [answer.os, answer.architecture, answer.variant].into_iter().flatten().filter(|part| !part.is_empty());
    let platform = parts.collect::<Vec<_>>().join("/");
    let test = answer.config.and_then(|config| config.healthcheck).and_then(|check| check.test).unwrap_or_default();
    let probed = test.first().is_some_and(|first| first != "NONE");
    let digest = digest_of(name, answer.repo_digests.unwrap_or_default());
    Ok(answer.id.map(|id| SeenImage { id, probed, platform, digest }))
}

/// Of the digests that an image has in several repositories, the one of the repository that it was asked for by.
fn digest_of(name: &str, digests: Vec<String>) -> Option<String> {
    let (repository, _) = images::split(name);
    let own = digests.iter().find(|digest| digest.split('@').next() == Some(&repository)).cloned();
    own.or_else(|| digests.into_iter().next())
}
