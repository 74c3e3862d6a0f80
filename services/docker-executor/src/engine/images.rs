//! Getting images: pulled layer by layer, or built with the output kept line by line.

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, CreateImageOptions, TagImageOptions};
use bytes::Bytes;
use futures::StreamExt;
use orrery_contracts::ProgressLine;

use super::{Effect, Say, listing};
use crate::definition::BuildOrder;
use crate::secrets::{Credentials, Registries};

/// How much of a build's output is kept.
const LOG_LIMIT: usize = 1024 * 1024;

pub(super) async fn pull(
    docker: &Docker,
    reference: &str,
    platform: &str,
    credentials: Option<&Credentials>,
    say: Say<'_>,
) -> Result<Effect, Error> {
    let (name, tag) = split(reference);
    let options =
        CreateImageOptions { from_image: Some(name), tag: Some(tag), platform: platform.to_owned(), ..CreateImageOptions::default() };
    let mut layers = std::pin::pin!(docker.create_image(Some(options), None, credentials.map(|known| known.0.clone())));
    while let Some(info) = layers.next().await {
        let info = info?;
        if let Some(message) = info.error_detail.and_then(|detail| detail.message) {
            return Err(Error::DockerStreamError { error: message });
        }
        let amount = info.progress_detail.unwrap_or_default();
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        say(ProgressLine {
            text: info.status.unwrap_or_default(),
            source: info.id,
            current: number(amount.current),
            total: number(amount.total),
        });
    }
    let image = listing::image(docker, reference).await?;
    Ok(image.map(|image| Effect::made(image.id)).unwrap_or_default())
}

/// Name and tag; a digest counts as the tag, and none is `latest`, because without one the engine pulls every tag.
pub(super) fn split(reference: &str) -> (String, String) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name.to_owned(), digest.to_owned());
    }
    let last = reference.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    match reference.rfind(':').filter(|colon| *colon > last) {
        Some(colon) => {
            (reference.get(..colon).unwrap_or_default().to_owned(), reference.get(colon.saturating_add(1)..).unwrap_or_default().to_owned())
        }
        None => (reference.to_owned(), "latest".to_owned()),
    }
}

/// A failed build keeps its output beside the error.
pub(super) async fn build(
    docker: &Docker,
    order: &BuildOrder,
    context: Bytes,
    registries: &Registries,
    say: Say<'_>,
) -> Result<Effect, (Error, Vec<u8>)> {
    let mut log = Vec::new();
    let mut lines = std::pin::pin!(docker.build_image(options(order), registries.all(), Some(bollard::body_full(context))));
    while let Some(info) = lines.next().await {
        let info = match info {
            Ok(info) => info,
            Err(error) => {
                keep(&mut log, &format!("{}\n", words(&error)));
                return Err((error, log));
            }
        };
        let text = info.stream.or(info.status).unwrap_or_default();
        keep(&mut log, &text);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            say(ProgressLine { source: info.id.clone(), ..ProgressLine::text(line) });
        }
        if let Some(message) = info.error_detail.and_then(|detail| detail.message) {
            keep(&mut log, &format!("{message}\n"));
            return Err((Error::DockerStreamError { error: message }, log));
        }
    }
    let image = listing::image(docker, &order.tag).await.map_err(|error| (error, log.clone()))?;
    let effect = image.map(|image| Effect::made(image.id)).unwrap_or_default();
    Ok(Effect { log: Some(log), ..effect })
}

fn words(error: &Error) -> String {
    if let Error::DockerStreamError { error } = error { error.clone() } else { error.to_string() }
}

fn keep(log: &mut Vec<u8>, text: &str) {
    if log.len().saturating_add(text.len()) <= LOG_LIMIT {
        log.extend_from_slice(text.as_bytes());
    }
}

fn options(order: &BuildOrder) -> BuildImageOptions {
    let some = |map: &BTreeMap<String, String>| (!map.is_empty()).then(|| map.clone().into_iter().collect());
    BuildImageOptions {
        dockerfile: order.dockerfile.clone(),
        t: Some(order.tag.clone()),
        extrahosts: (!order.extra_hosts.is_empty()).then(|| order.extra_hosts.join(",")),
        nocache: order.no_cache,
        cachefrom: (!order.cache_from.is_empty()).then(|| order.cache_from.clone()),
        pull: order.pull.then(|| "true".to_owned()),
        rm: true,
        forcerm: true,
        buildargs: some(&order.args),
        shmsize: order.shm_size.and_then(|size| i32::try_from(size).ok()),
        labels: some(&order.labels),
        networkmode: order.network.clone(),
        platform: order.platform.clone(),
        target: order.target.clone(),
        ..BuildImageOptions::default()
    }
}

pub(super) async fn tag(docker: &Docker, reference: &str, alias: &str) -> Result<Effect, Error> {
    let (repo, tag) = split(alias);
    docker.tag_image(reference, Some(TagImageOptions { repo: Some(repo), tag: Some(tag) })).await?;
    Ok(Effect::default())
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_reference_without_a_tag_means_latest() {
        let pair = |name: &str, tag: &str| (name.to_owned(), tag.to_owned());
        assert_eq!(split("nginx"), pair("nginx", "latest"));
        assert_eq!(split("localhost:5000/nginx"), pair("localhost:5000/nginx", "latest"));
        assert_eq!(split("localhost:5000/nginx:1"), pair("localhost:5000/nginx", "1"));
        assert_eq!(split("nginx@sha256:00"), pair("nginx", "sha256:00"));
    }
}
