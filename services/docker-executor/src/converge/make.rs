//! Making what is missing: networks, volumes, and containers beside the ones that run.

use std::collections::HashMap;

use bollard::models::{Mount, MountType, NetworkCreateRequest, VolumeCreateRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use super::ledger::Ledger;
use super::site::{Halt, Site};
use crate::definition::identity::{ContainerPlace, NEW};
use crate::definition::{ContainerSpec, Desired, SERVICE_PLACEHOLDER, ServiceSpec};
use crate::engine::{Act, Engine, NewContainer, Observed, Seen, SeenImage};
use crate::plan::{SlotAction, SlotWork, Todo};

/// Networks and volumes that the version wants and the engine has not.
pub(super) async fn resources<E: Engine, L: Ledger>(site: &Site<'_, E, L>, desired: &Desired, todo: &Todo) -> Result<(), Halt> {
    for name in &todo.networks {
        let Some(spec) = desired.networks.get(name) else { continue };
        let labels = desired.identity.resource_labels(spec.body.labels.as_ref(), &spec.facts, "network", &spec.key);
        let body = NetworkCreateRequest { labels: Some(labels), ..spec.body.clone() };
        site.act(name, Act::CreateNetwork(Box::new(body))).await?;
    }
    for name in &todo.volumes {
        let Some(spec) = desired.volumes.get(name) else { continue };
        let labels = desired.identity.resource_labels(spec.body.labels.as_ref(), &spec.facts, "volume", &spec.key);
        let body = VolumeCreateRequest { labels: Some(labels), ..spec.body.clone() };
        site.act(name, Act::CreateVolume(Box::new(body))).await?;
    }
    Ok(())
}

/// Ids of containers by service and number.
pub(super) type Ids = HashMap<(String, u32), String>;

/// Makes every new container, stopped; what lives in another's name spaces after that one. Answers the id in each place.
pub(super) async fn containers<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    desired: &Desired,
    observed: &Observed,
    todo: &Todo,
) -> Result<Ids, Halt> {
    let mut ids = Ids::new();
    for slot in &todo.slots {
        if let Some(id) = slot.fresh.as_ref().or(slot.current.as_ref()) {
            ids.insert((slot.service.clone(), slot.number), id.clone());
        }
    }
    let missing = |slot: &&SlotWork| matches!(slot.what, SlotAction::Create | SlotAction::Replace) && slot.fresh.is_none();
    let (joining, alone): (Vec<_>, Vec<_>) = todo
        .slots
        .iter()
        .filter(missing)
        .partition(|slot| desired.services.get(&slot.service).is_some_and(|service| !service.joins.is_empty()));
    let works: Vec<_> = alone.into_iter().map(|slot| one(site, desired, observed, slot, &ids)).collect();
    let made: Vec<_> = stream::iter(works).buffer_unordered(64).try_collect().await?;
    ids.extend(made.into_iter().flatten());
    for slot in joining {
        let made = one(site, desired, observed, slot, &ids).await?;
        ids.extend(made);
    }
    Ok(ids)
}

async fn one<E: Engine, L: Ledger>(
    site: &Site<'_, E, L>,
    desired: &Desired,
    observed: &Observed,
    slot: &SlotWork,
    ids: &Ids,
) -> Result<Option<((String, u32), String)>, Halt> {
    let Some(service) = desired.services.get(&slot.service) else { return Ok(None) };
    let Some(spec) = service.containers.iter().find(|spec| spec.number == slot.number) else { return Ok(None) };
    let Some(image) = service.image.among(&observed.images) else { return Err(Halt::Replan) };
    let taken = observed.named(&spec.name).is_some();
    let name = match &slot.begun {
        Some(begun) => begun.clone(),
        None if slot.current.is_some() || taken => format!("{}{NEW}", spec.name),
        None => spec.name.clone(),
    };
    let current = slot.current.as_ref().and_then(|id| observed.container(id));
    let new = request(desired, service, spec, image, current, ids, name.clone());
    let effect = site.act(&name, Act::Create(Box::new(new))).await?;
    Ok(effect.id.map(|id| ((slot.service.clone(), slot.number), id)))
}

/// The request as it is sent: with our labels, the ids of joined containers, and the anonymous volumes of the container
/// whose place it takes.
fn request(
    desired: &Desired,
    service: &ServiceSpec,
    spec: &ContainerSpec,
    image: &SeenImage,
    current: Option<&Seen>,
    ids: &Ids,
    name: String,
) -> NewContainer {
    let mut body = spec.body.clone();
    let needs: Vec<String> =
        service.needs.iter().map(|need| format!("{}:{}:{}", need.service, word(need.condition), need.restart)).collect();
    let place = ContainerPlace { service: &spec.service, number: spec.number, depends_on: &needs.join(","), image_id: &image.id };
    body.labels = Some(desired.identity.container_labels(spec.body.labels.as_ref(), &spec.facts_with(&image.id), &place));
    body.image = Some(service.image.made_of(image));
    if let Some(host) = &mut body.host_config {
        for mode in [&mut host.network_mode, &mut host.ipc_mode, &mut host.pid_mode].into_iter().flatten() {
            *mode = joined(mode, ids);
        }
        for from in host.volumes_from.iter_mut().flatten() {
            *from = joined(from, ids).trim_start_matches("container:").to_owned();
        }
        let mounts = host.mounts.get_or_insert_default();
        for (target, volume) in current.iter().flat_map(|seen| &seen.anonymous) {
            let wanted = mounts.iter_mut().find(|mount| mount.target.as_ref() == Some(target));
            match wanted {
                Some(mount) if mount.typ == Some(MountType::VOLUME) && mount.source.is_none() => mount.source = Some(volume.clone()),
                Some(_) => {}
                None => mounts.push(Mount {
                    target: Some(target.clone()),
                    source: Some(volume.clone()),
                    typ: Some(MountType::VOLUME),
                    ..Mount::default()
                }),
            }
        }
        if mounts.is_empty() {
            host.mounts = None;
        }
    }
    NewContainer { name, platform: spec.platform.clone(), body, networks: spec.networks.clone() }
}

fn word(condition: orrery_compose::model::Condition) -> String {
    serde_json::to_value(condition).ok().as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The placeholder of a service becomes the id of its container.
fn joined(mode: &str, ids: &Ids) -> String {
    let Some(rest) = mode.strip_prefix(SERVICE_PLACEHOLDER) else { return mode.to_owned() };
    let (service, suffix) = rest.split_once(':').map_or((rest, String::new()), |(service, suffix)| (service, format!(":{suffix}")));
    let id = ids.get(&(service.to_owned(), 1)).cloned().unwrap_or_default();
    format!("container:{id}{suffix}")
}
