//! Which images have to be got, and why.

use orrery_compose::model::PullPolicy;

use super::{Circumstances, ImageWork, Refusal, Todo};
use crate::definition::{Desired, ImageSource, ServiceSpec};
use crate::engine::{Observed, Seen};

pub(super) fn plan(desired: &Desired, observed: &Observed, circumstances: &Circumstances, todo: &mut Todo) {
    for service in desired.services.values() {
        let seen = service.image.among(&observed.images);
        let here = seen.is_some();
        if todo.images.iter().any(|work| work.reference == service.image.wanted()) {
            continue;
        }
        match &service.image.source {
            ImageSource::Pull { .. } if service.image.locked.is_some() => kept_to(service, here, todo),
            ImageSource::Build(order) => {
                let again = circumstances.refresh && order.always && service.image.locked.is_none();
                if !here || again {
                    let reason = if here { "it is built at every apply" } else { "this content has not been built yet" };
                    todo.images.push(work(service, true, reason));
                }
            }
            ImageSource::Pull { policy, platform } => {
                pull(service, *policy, here, circumstances, todo);
                if let Some(seen) = seen.filter(|seen| !seen.is_for(platform)) {
                    other_platform(service, platform, &seen.platform, *policy, observed, circumstances, todo);
                }
            }
        }
    }
}

/// An image that has to be the one that the version ran with, whatever its name means by now, and whatever its policy says.
fn kept_to(service: &ServiceSpec, here: bool, todo: &mut Todo) {
    let Some(locked) = service.image.locked.as_ref().filter(|_| !here) else { return };
    if locked.digest.is_some() {
        todo.images.push(work(service, false, "this version ran with it, and this host has it no more"));
        return;
    }
    let (name, reference, id) = (&service.name, &service.image.reference, &locked.id);
    let message = format!(
        "this version ran service {name} with the image {id} of {reference}, which this host has no more and no registry is known to have; \
         apply the version instead, which takes what the name means now"
    );
    todo.refusals.push(Refusal { code: "image_gone", message });
}

fn pull(service: &ServiceSpec, policy: PullPolicy, here: bool, circumstances: &Circumstances, todo: &mut Todo) {
    let last = circumstances.pulled.get(&service.image.reference);
    match policy {
        PullPolicy::Every(period) if here && circumstances.refresh && last.is_none_or(|ago| *ago >= period) => {
            todo.images.push(work(service, false, "it was last pulled longer ago than its pull_policy allows"));
        }
        PullPolicy::Always if circumstances.refresh => todo.images.push(work(service, false, "it is pulled at every apply")),
        PullPolicy::Never | PullPolicy::Build if !here => {
            let reference = &service.image.reference;
            let message = format!("service {} wants image {reference} without pulling it, and this host does not have it", service.name);
            todo.refusals.push(Refusal { code: "image_not_found", message });
        }
        PullPolicy::Missing | PullPolicy::Every(_) | PullPolicy::Always if !here => {
            todo.images.push(work(service, false, "this host does not have it"))
        }
        PullPolicy::Missing | PullPolicy::Every(_) | PullPolicy::Always | PullPolicy::Never | PullPolicy::Build => {}
    }
}

/// An engine may have an image for several platforms and tell of one: what runs on the right one already is not asked for.
fn other_platform(
    service: &ServiceSpec,
    wanted: &str,
    seen: &str,
    policy: PullPolicy,
    observed: &Observed,
    circumstances: &Circumstances,
    todo: &mut Todo,
) {
    let runs = |seen: &Seen| seen.service == service.name && seen.facts.get("platform").is_some_and(|platform| platform == wanted);
    let asked = todo.images.iter().any(|work| work.reference == service.image.reference);
    let never = matches!(policy, PullPolicy::Never | PullPolicy::Build);
    if circumstances.refresh && !asked && !never && !observed.containers.iter().any(runs) {
        todo.images.push(work(service, false, &format!("this host has it for {seen}")));
    }
}

fn work(service: &ServiceSpec, build: bool, reason: &str) -> ImageWork {
    ImageWork { service: service.name.clone(), reference: service.image.wanted().to_owned(), build, reason: reason.to_owned() }
}
