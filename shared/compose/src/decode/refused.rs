//! Keys that Orrery refuses must still be valid Compose: what they refer to, and what they exclude.

use super::cursor::Cursor;
use crate::problem::Problem;

pub(super) fn check(root: &Cursor<'_>, problems: &mut Vec<Problem>) {
    let Some(services) = root.get("services") else { return };
    for (_, service) in services.entries() {
        if let Some(build) = service.get("build") {
            secrets(root, &build, problems);
            contexts(&services, &build, problems);
            ssh(&build, problems);
        }
        models(root, &service, problems);
        watches(&service, problems);
    }
}

fn secrets(root: &Cursor<'_>, build: &Cursor<'_>, problems: &mut Vec<Problem>) {
    for secret in build.get("secrets").map(|secrets| secrets.items()).unwrap_or_default() {
        let name = secret.text("source").unwrap_or_default();
        if root.get("secrets").and_then(|secrets| secrets.node.get(&name)).is_none() {
            problems.push(
                Problem::invalid(&secret.place(), format!("there is no secret {name}")).hint("Declare it under secrets: at the top."),
            );
        }
    }
}

fn contexts(services: &Cursor<'_>, build: &Cursor<'_>, problems: &mut Vec<Problem>) {
    for (_, context) in build.get("additional_contexts").map(|contexts| contexts.entries()).unwrap_or_default() {
        let text = context.show().unwrap_or_default();
        let Some(name) = text.strip_prefix("service:") else { continue };
        let message = match services.get(name) {
            None => format!("there is no service {name}"),
            Some(service) if service.get("build").is_none() => format!("the service {name} builds nothing"),
            Some(_) => continue,
        };
        problems.push(Problem::invalid(&context.place(), message));
    }
}

fn ssh(build: &Cursor<'_>, problems: &mut Vec<Problem>) {
    let Some(keys) = build.get("ssh") else { return };
    for (name, entry) in keys.node.as_map().into_iter().flatten() {
        if entry.node.is_null() && name != "default" {
            problems.push(
                Problem::invalid(&keys.key_place(name), format!("the SSH key {name} has no path")).hint(format!("Write {name}=path.")),
            );
        }
    }
}

fn models(root: &Cursor<'_>, service: &Cursor<'_>, problems: &mut Vec<Problem>) {
    let Some(models) = service.get("models") else { return };
    for (name, _) in models.node.as_map().into_iter().flatten() {
        if root.get("models").and_then(|models| models.node.get(name)).is_none() {
            problems.push(Problem::invalid(&models.key_place(name), format!("there is no model {name}")));
        }
    }
}

fn watches(service: &Cursor<'_>, problems: &mut Vec<Problem>) {
    let watches = service.get("develop").and_then(|develop| develop.get("watch")).map(|watch| watch.items()).unwrap_or_default();
    for watch in watches {
        if watch.text("path").is_none() {
            problems.push(Problem::invalid(&watch.place(), "a watch needs a path").hint("Add path:."));
        }
        let action = watch.text("action").unwrap_or_default();
        if watch.text("target").is_none() && !matches!(action.as_str(), "rebuild" | "restart") {
            problems.push(Problem::invalid(&watch.place(), format!("the action {action} needs a target")).hint("Add target:."));
        }
    }
}
