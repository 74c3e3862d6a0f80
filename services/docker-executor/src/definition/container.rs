//! The create request of a service's containers: what runs, and how it is probed. Limits, mounts and name spaces are in
//! [`super::host`].

use std::collections::BTreeSet;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HealthConfig};
use orrery_compose::model::Healthcheck;
use orrery_compose::{Problem, Service};

use super::compile::Setting;
use super::host::host_config;
use super::mounts::Held;
use super::security;

pub(super) fn container_body(
    setting: &Setting<'_>,
    service: &Service,
    image: &str,
    held: &Held,
    problems: &mut Vec<Problem>,
) -> ContainerCreateBody {
    let security = security::read(setting, service, problems);
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: service.command.clone(),
        entrypoint: service.entrypoint.clone().map(|words| if words.is_empty() { vec![String::new()] } else { words }),
        env: some_if(environment(service)),
        exposed_ports: some_if(exposed(service)),
        labels: (!service.labels.is_empty()).then(|| service.labels.clone().into_iter().collect()),
        healthcheck: service.healthcheck.as_ref().map(health),
        hostname: service.hostname.clone(),
        domainname: service.domainname.clone(),
        user: service.user.clone(),
        working_dir: service.working_dir.clone(),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service.stop_grace_period.map(whole_seconds),
        tty: service.tty.then_some(true),
        open_stdin: service.stdin_open.then_some(true),
        host_config: Some(host_config(setting, service, held, security)),
        ..ContainerCreateBody::default()
    }
}

/// A list, when there is something in it.
pub(super) fn some_if<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A variable without a value is one that the image sets and that is taken away.
fn environment(service: &Service) -> Vec<String> {
    let line = |(name, value): (&String, &orrery_compose::model::Spanned<Option<String>>)| match &value.value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    service.environment.iter().map(line).collect()
}

/// What is published is exposed too.
fn exposed(service: &Service) -> Vec<String> {
    let mut ports = BTreeSet::new();
    for port in &service.ports {
        ports.insert(format!("{}/{}", port.target, port.protocol));
    }
    for expose in &service.expose {
        for port in expose.ports.first..=expose.ports.last {
            ports.insert(format!("{port}/{}", expose.protocol));
        }
    }
    ports.into_iter().collect()
}

fn health(check: &Healthcheck) -> HealthConfig {
    let Healthcheck { place: _, disable, test, interval, timeout, start_period, start_interval, retries } = check;
    if *disable {
        return HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() };
    }
    HealthConfig {
        test: test.clone(),
        interval: interval.map(nanos),
        timeout: timeout.map(nanos),
        retries: retries.map(i64::from),
        start_period: start_period.map(nanos),
        start_interval: start_interval.map(nanos),
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Whole seconds, rounded up, so that a short time does not become none.
pub(super) fn whole_seconds(duration: Duration) -> i64 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i64::MAX)
}
