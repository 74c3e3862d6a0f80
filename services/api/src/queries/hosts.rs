//! Hosts: what their engines said last, and whether their executors are alive.

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{Host, List};
use orrery_contracts::rpc::Heartbeat;

use super::{queue, sequence, small};
use crate::auth::Principal;
use crate::problems::Answer;
use crate::state::Api;

/// The host that a new installation has.
pub(crate) const LOCAL: &str = "local";

/// `GET /hosts`: one entry for each engine of each host.
pub async fn list(State(api): State<Api>, _: Principal) -> Answer<Json<List<Host>>> {
    Ok(Json(List { items: all(&api).await?, next: None }))
}

/// Every engine of every host, by host and engine.
pub(crate) async fn all(api: &Api) -> Answer<Vec<Host>> {
    let rows =
        sqlx::query!("SELECT host, engine, engine_version, api_version, cpus, memory, accelerator FROM read.engines ORDER BY host, engine")
            .fetch_all(&api.database)
            .await?;
    let mut hosts: Vec<Host> = rows
        .into_iter()
        .map(|row| Host {
            engine_version: Some(row.engine_version),
            api_version: Some(row.api_version),
            cpus: Some(small(row.cpus)),
            memory: Some(sequence(row.memory)),
            accelerator: row.accelerator,
            ..unheard(row.host, row.engine)
        })
        .collect();
    for engine in queue::engines(api).await? {
        add(&mut hosts, LOCAL, engine.as_str());
    }
    for beat in api.executors.known() {
        let Some((engine, name)) = beat.executor.split_once('@') else { continue };
        add(&mut hosts, name, engine);
        hosts.iter_mut().filter(|host| host.name == name && host.engine == engine).for_each(|host| tell(api, host, &beat));
    }
    hosts.sort_by(|a, b| (&a.name, &a.engine).cmp(&(&b.name, &b.engine)));
    Ok(hosts)
}

fn add(hosts: &mut Vec<Host>, name: &str, engine: &str) {
    if !hosts.iter().any(|host| host.name == name && host.engine == engine) {
        hosts.push(unheard(name.to_owned(), engine.to_owned()));
    }
}

fn unheard(name: String, engine: String) -> Host {
    Host {
        name,
        engine,
        engine_version: None,
        api_version: None,
        cpus: None,
        memory: None,
        accelerator: None,
        executor_alive: false,
        engine_ready: false,
        waiting_for: None,
    }
}

fn tell(api: &Api, host: &mut Host, last: &Heartbeat) {
    let engines = [orrery_contracts::Engine::Docker, orrery_contracts::Engine::Libvirt];
    let engine = engines.into_iter().find(|engine| engine.as_str() == host.engine);
    host.executor_alive = engine.is_some_and(|engine| api.executors.alive(engine, &host.name).is_some());
    host.engine_ready = host.executor_alive && last.engine_ready;
    host.waiting_for = if host.executor_alive { last.waiting_for.clone() } else { Some("the executor".to_owned()) };
}
