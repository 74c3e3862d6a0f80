//! Which images have to be got, and why.

use orrery_compose::model::PullPolicy;

use super::{Circumstances, ImageWork, Refusal, Todo};
use crate::definition::{Desired, ImageSource, ServiceSpec};
use crate::engine::Observed;

pub(super) fn plan(desired: &Desired, observed: &Observed, circumstances: &Circumstances, todo: &mut Todo) {
    for service in desired.services.values() {
        let here = observed.images.contains_key(&service.image.reference);
        if todo.images.iter().any(|work| work.reference == service.image.reference) {
            continue;
        }
        match &service.image.source {
            ImageSource::Build(order) => {
                let again = circumstances.refresh && order.always;
                if !here || again {
                    let reason = if here { "it is built at every apply" } else { "this content has not been built yet" };
                    todo.images.push(work(service, true, reason));
                }
            }
            ImageSource::Pull { policy, .. } => pull(service, *policy, here, circumstances.refresh, todo),
        }
    }
}

fn pull(service: &ServiceSpec, policy: PullPolicy, here: bool, refresh: bool, todo: &mut Todo) {
    match policy {
        PullPolicy::Always if refresh => todo.images.push(work(service, false, "it is pulled at every apply")),
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

fn work(service: &ServiceSpec, build: bool, reason: &str) -> ImageWork {
    ImageWork { service: service.name.clone(), reference: service.image.reference.clone(), build, reason: reason.to_owned() }
}
