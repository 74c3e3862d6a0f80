//! What the engine in memory holds, and what each action does to it.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerUpdateBody, PortMap};
use orrery_contracts::{Health, StackId};
use tokio::time::Instant;

use crate::definition::Facts;
use crate::definition::facts;
use crate::definition::identity::{self as labels, Labels};
use crate::engine::error::{Class, EngineError};
use crate::engine::gate::Glimpse;
use crate::engine::hooks::{self, Moment};
use crate::engine::observed::{Observed, Other, Scope, Seen, SeenImage, SeenNetwork, SeenVolume, State};
use crate::engine::{Act, Effect, NewContainer, wanted_ports};

/// What a container does once it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Runs,
    BecomesHealthy,
    BecomesUnhealthy,
    Ends(i64),
}

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) name: String,
    labels: Labels,
    facts: Facts,
    ports: Option<PortMap>,
    networks: Vec<String>,
    joins: Vec<String>,
    behaviour: Behaviour,
    pub(super) state: State,
    pub(super) health: Health,
    pub(super) exit_code: i64,
    pub(super) oom_killed: bool,
    pub(super) starts: u32,
    since: Instant,
}

/// Everything.
#[derive(Default)]
pub(super) struct World {
    made: u64,
    pub(super) containers: Vec<Kept>,
    networks: BTreeMap<String, Labels>,
    volumes: BTreeMap<String, Labels>,
    pub(super) images: HashMap<String, SeenImage>,
    pub(super) acts: Vec<String>,
    /// After so many actions this container is gone.
    pub(super) vanish: Option<(usize, String)>,
}

impl World {
    fn find(&mut self, id: &str) -> Result<&mut Kept, EngineError> {
        let missing = EngineError::of_answer(404, &format!("No such container: {id}"));
        self.containers.iter_mut().find(|one| one.id == id).ok_or(missing)
    }

    pub(super) fn act(&mut self, act: &Act) -> Result<Effect, EngineError> {
        let effect = self.carry_out(act)?;
        if !effect.already {
            let subject = match act {
                Act::Create(new) => new.name.clone(),
                Act::CreateNetwork(body) => body.name.clone(),
                Act::CreateVolume(body) => body.name.clone().unwrap_or_default(),
                Act::RemoveNetwork { name } | Act::RemoveVolume { name } => name.clone(),
                Act::Pull { reference, .. } | Act::Tag { reference, .. } => reference.clone(),
                Act::Build { order, .. } => order.tag.clone(),
                Act::Rename { to, .. } => to.clone(),
                Act::Start { id } | Act::Stop { id, .. } | Act::Update { id, .. } | Act::Remove { id, .. } => id.clone(),
            };
            self.acts.push(format!("{} {subject}", act.word()));
            if let Some((_, name)) = self.vanish.take_if(|(after, _)| self.acts.len() >= *after) {
                self.containers.retain(|one| one.name != name);
            }
        }
        Ok(effect)
    }

    fn carry_out(&mut self, act: &Act) -> Result<Effect, EngineError> {
        match act {
            Act::CreateNetwork(body) => Ok(insert(&mut self.networks, &body.name, body.labels.clone())),
            Act::RemoveNetwork { name } => self.remove_network(name),
            Act::CreateVolume(body) => Ok(insert(&mut self.volumes, body.name.as_deref().unwrap_or_default(), body.labels.clone())),
            Act::RemoveVolume { name } => Ok(if self.volumes.remove(name).is_some() { Effect::default() } else { Effect::found() }),
            Act::Pull { reference, .. } if reference.starts_with("nowhere/") => Err(EngineError::of_answer(404, "manifest unknown")),
            Act::Pull { reference, .. } => Ok(self.image(reference)),
            Act::Build { order, .. } => Ok(self.image(&order.tag)),
            Act::Tag { reference, alias } => {
                let image = self.images.get(reference).cloned().ok_or_else(|| EngineError::of_answer(404, "No such image"))?;
                self.images.insert(alias.clone(), image);
                Ok(Effect::default())
            }
            Act::Create(new) => self.create(new),
            Act::Start { id } => self.start(id),
            Act::Stop { id, .. } => self.stop(id),
            Act::Rename { id, to } => self.rename(id, to),
            Act::Update { id, body } => self.update(id, body),
            Act::Remove { id, .. } => {
                let before = self.containers.len();
                self.containers.retain(|one| one.id != *id);
                Ok(if before == self.containers.len() { Effect::found() } else { Effect::default() })
            }
        }
    }

    fn image(&mut self, reference: &str) -> Effect {
        let id = format!("sha256:{reference}");
        self.images.insert(reference.to_owned(), super::image(id.clone()));
        Effect::made(id)
    }

    /// An image, by a name or by its id.
    fn known(&self, name: &str) -> Option<&SeenImage> {
        self.images.get(name).or_else(|| self.images.values().find(|image| image.id == name))
    }

    fn remove_network(&mut self, name: &str) -> Result<Effect, EngineError> {
        if self.containers.iter().any(|one| one.state.is_up() && one.networks.iter().any(|network| network == name)) {
            return Err(EngineError::of_answer(403, &format!("error while removing network: network {name} has active endpoints")));
        }
        Ok(if self.networks.remove(name).is_some() { Effect::default() } else { Effect::found() })
    }

    fn create(&mut self, new: &NewContainer) -> Result<Effect, EngineError> {
        let label = new.body.labels.clone().unwrap_or_default();
        if let Some(there) = self.containers.iter().find(|one| one.name == new.name) {
            let same = [labels::INSTALLATION, labels::STACK, labels::COMMAND, labels::HASH]
                .iter()
                .all(|key| there.labels.get(*key) == label.get(*key));
            if same {
                return Ok(Effect { id: Some(there.id.clone()), ..Effect::found() });
            }
            let message = format!("Conflict. The container name \"/{}\" is already in use by container \"{}\".", new.name, there.id);
            return Err(EngineError::of_answer(409, &message));
        }
        let reference = new.body.image.clone().unwrap_or_default();
        let Some(image) = self.known(&reference) else {
            return Err(EngineError::of_answer(404, &format!("No such image: {reference}")));
        };
        let mut known = label.get(labels::FACTS).and_then(|text| Facts::from_label(text)).unwrap_or_default();
        known.set(facts::IMAGE_ID, image.id.clone());
        self.made = self.made.saturating_add(1);
        let host = new.body.host_config.clone().unwrap_or_default();
        let id = format!("c{}", self.made);
        self.containers.push(Kept {
            id: id.clone(),
            name: new.name.clone(),
            labels: label,
            facts: known,
            ports: host.port_bindings.clone(),
            networks: new.networks.iter().map(|(name, _)| name.clone()).collect(),
            joins: [host.network_mode, host.ipc_mode, host.pid_mode]
                .into_iter()
                .flatten()
                .filter_map(|mode| mode.strip_prefix("container:").map(str::to_owned))
                .collect(),
            behaviour: behaviour(new.body.env.as_deref().unwrap_or_default()),
            state: State::Created,
            health: Health::None,
            exit_code: 0,
            oom_killed: false,
            starts: 0,
            since: Instant::now(),
        });
        Ok(Effect::made(id))
    }

    fn start(&mut self, id: &str) -> Result<Effect, EngineError> {
        let one = self.find(id)?.clone();
        if one.state == State::Running {
            let hooked = !hooks::of_facts(&one.facts, Moment::PostStart).is_empty();
            self.hooks(id, Moment::PostStart)?;
            return Ok(Effect { already: !hooked, ..Effect::default() });
        }
        let wanted = one.ports.as_ref().map(wanted_ports).unwrap_or_default();
        let others = self.containers.iter().filter(|other| other.id != id && other.state.is_up());
        let held = others
            .filter_map(|other| other.ports.as_ref())
            .flat_map(wanted_ports)
            .any(|held| wanted.iter().any(|port| crate::plan::collide(port, &held)));
        if held {
            return Err(EngineError::of_answer(
                500,
                "driver failed programming external connectivity: Bind for 0.0.0.0 failed: port is already allocated",
            ));
        }
        if let Some(host) = one.joins.iter().find(|host| !self.containers.iter().any(|other| other.id == **host && other.state.is_up())) {
            return Err(EngineError::of_answer(409, &format!("cannot join network of a non running container: {host}")));
        }
        let one = self.find(id)?;
        one.starts = one.starts.saturating_add(1);
        one.since = Instant::now();
        (one.state, one.health, one.exit_code) = match one.behaviour {
            Behaviour::Runs => (State::Running, Health::None, 0),
            Behaviour::BecomesHealthy => (State::Running, Health::Healthy, 0),
            Behaviour::BecomesUnhealthy => (State::Running, Health::Unhealthy, 0),
            Behaviour::Ends(code) => (State::Exited, Health::None, code),
        };
        self.hooks(id, Moment::PostStart).map(|()| Effect::default())
    }

    /// Notes the hooks of a container among what was done; one whose command is `fails` does.
    fn hooks(&mut self, id: &str, moment: Moment) -> Result<(), EngineError> {
        for hook in hooks::of_facts(&self.find(id)?.facts, moment) {
            let said = hook.command.join(" ");
            self.acts.push(format!("{} {said}", moment.key()));
            if said == "fails" {
                return Err(EngineError::new(
                    Class::Refuse,
                    "hook_failed",
                    format!("the {} hook `{said}` ended with exit code 1", moment.key()),
                ));
            }
        }
        Ok(())
    }

    fn stop(&mut self, id: &str) -> Result<Effect, EngineError> {
        let Ok(one) = self.find(id) else { return Ok(Effect::found()) };
        if !one.state.is_up() {
            return Ok(Effect::found());
        }
        // A hook that fails does not keep it from being stopped.
        let _ = self.hooks(id, Moment::PreStop);
        let one = self.find(id)?;
        one.state = State::Exited;
        one.exit_code = 143;
        Ok(Effect::default())
    }

    fn rename(&mut self, id: &str, to: &str) -> Result<Effect, EngineError> {
        if let Some(holder) = self.containers.iter().find(|one| one.name == to) {
            if holder.id == id {
                return Ok(Effect::found());
            }
            return Err(EngineError::of_answer(
                409,
                &format!("Conflict. The container name \"/{to}\" is already in use by container \"{}\".", holder.id),
            ));
        }
        to.clone_into(&mut self.find(id)?.name);
        Ok(Effect::default())
    }

    fn update(&mut self, id: &str, body: &ContainerUpdateBody) -> Result<Effect, EngineError> {
        let one = self.find(id)?;
        let numbers = [
            ("mem_limit", body.memory),
            ("mem_reservation", body.memory_reservation),
            ("cpus", body.nano_cpus),
            ("cpu_shares", body.cpu_shares),
            ("cpu_quota", body.cpu_quota),
            ("cpu_period", body.cpu_period),
            ("pids_limit", body.pids_limit),
        ];
        for (path, value) in numbers {
            if let Some(value) = value {
                one.facts.set(path, value);
            }
        }
        if one.facts.get("memswap_limit").is_some()
            && let Some(swap) = body.memory_swap
        {
            one.facts.set("memswap_limit", swap);
        }
        if let Some(policy) = body.restart_policy.as_ref().and_then(|policy| serde_json::to_value(policy).ok()) {
            match facts::restart_text(&policy) {
                Some(text) => one.facts.set("restart", text),
                None => one.facts.unset("restart"),
            }
        }
        Ok(Effect::default())
    }

    pub(super) fn twin(&self, new: &NewContainer) -> Option<String> {
        let label = new.body.labels.as_ref()?;
        let same = |one: &&Kept| {
            let keys = [labels::STACK, labels::COMMAND, labels::SERVICE, labels::NUMBER];
            one.name != new.name && keys.iter().all(|key| one.labels.get(*key) == label.get(*key))
        };
        self.containers.iter().find(same).map(|one| one.name.clone())
    }

    pub(super) fn up_of(&self, stack: StackId) -> Vec<String> {
        let stack = stack.to_string();
        let of = |one: &&Kept| one.state.is_up() && one.labels.get(labels::STACK) == Some(&stack);
        self.containers.iter().filter(of).map(|one| one.name.clone()).collect()
    }

    pub(super) fn inventory(&self) -> Vec<String> {
        let container = |one: &Kept| {
            let label = |key: &str| one.labels.get(key).map_or("", String::as_str);
            let (version, command, hash) = (label(labels::VERSION), label(labels::COMMAND), label(labels::HASH));
            format!("container {} {:?} version {version} command {command} hash {hash}", one.name, one.state)
        };
        let mut lines: Vec<String> = self.containers.iter().map(container).collect();
        lines.extend(self.networks.keys().map(|name| format!("network {name}")));
        lines.extend(self.volumes.keys().map(|name| format!("volume {name}")));
        lines.sort();
        lines
    }

    pub(super) fn glimpse(&mut self, id: &str) -> Result<Glimpse, EngineError> {
        let one = self.find(id)?;
        Ok(Glimpse { state: one.state, health: one.health, exit_code: one.exit_code, restarts: 0, up: one.since.elapsed() })
    }

    pub(super) fn observe(&self, scope: &Scope) -> Observed {
        let (ours, others): (Vec<&Kept>, Vec<&Kept>) = self.containers.iter().partition(|one| scope.identity.owns(&one.labels));
        let mut containers: Vec<Seen> = ours.into_iter().map(seen).collect();
        containers.sort_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
        let wants = |name: &String, label: &Labels, asked: bool| asked || (scope.identity.owns(label) && !name.is_empty());
        let networks = self.networks.iter().filter(|(name, label)| wants(name, label, scope.networks.contains(*name)));
        let volumes = self.volumes.iter().filter(|(name, label)| wants(name, label, scope.volumes.contains(*name)));
        Observed {
            containers,
            networks: networks.map(|(name, label)| (name.clone(), network(scope, label))).collect(),
            volumes: volumes.map(|(name, label)| (name.clone(), SeenVolume::of(&scope.identity, label))).collect(),
            images: scope.images.iter().filter_map(|name| Some((name.clone(), self.known(name)?.clone()))).collect(),
            others: others.into_iter().map(other).collect(),
            programs: Vec::new(),
        }
    }
}

fn insert(map: &mut BTreeMap<String, Labels>, name: &str, label: Option<Labels>) -> Effect {
    if map.contains_key(name) {
        return Effect::found();
    }
    map.insert(name.to_owned(), label.unwrap_or_default());
    Effect::made(name)
}

fn behaviour(env: &[String]) -> Behaviour {
    let word = env.iter().find_map(|line| line.strip_prefix("BEHAVE=")).unwrap_or("runs");
    match word {
        "healthy" => Behaviour::BecomesHealthy,
        "unhealthy" => Behaviour::BecomesUnhealthy,
        other => other.strip_prefix("ends:").and_then(|code| code.parse().ok()).map_or(Behaviour::Runs, Behaviour::Ends),
    }
}

fn number(label: &Labels, key: &str) -> u64 {
    label.get(key).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn seen(one: &Kept) -> Seen {
    Seen {
        id: one.id.clone(),
        name: one.name.clone(),
        service: one.labels.get(labels::SERVICE).cloned().unwrap_or_default(),
        number: u32::try_from(number(&one.labels, labels::NUMBER)).unwrap_or_default(),
        command: number(&one.labels, labels::COMMAND),
        version: u32::try_from(number(&one.labels, labels::VERSION)).unwrap_or_default(),
        facts: one.facts.clone(),
        lacks: Vec::new(),
        state: one.state,
        health: if one.state.is_up() { one.health } else { Health::None },
        exit_code: one.exit_code,
        restarts: 0,
        oom_killed: one.oom_killed,
        ports: one.ports.as_ref().map(wanted_ports).unwrap_or_default(),
        anonymous: Vec::new(),
        joins: one.joins.clone(),
        depends_on: one.labels.get("com.docker.compose.depends_on").cloned().unwrap_or_default(),
    }
}

fn network(scope: &Scope, label: &Labels) -> SeenNetwork {
    let facts = label.get(labels::FACTS).and_then(|text| Facts::from_label(text));
    SeenNetwork {
        ours: scope.identity.owns(label),
        project: label.get(labels::PROJECT).cloned(),
        facts,
        command: number(label, labels::COMMAND),
    }
}

fn other(one: &Kept) -> Other {
    let get = |key: &str| one.labels.get(key).cloned();
    Other {
        name: one.name.clone(),
        project: get(labels::PROJECT),
        installation: get(labels::INSTALLATION).and_then(|text| text.parse().ok()),
        stack: get(labels::STACK).and_then(|text| text.parse().ok()),
        owner: get(labels::OWNER),
        ports: if one.state.is_up() { one.ports.as_ref().map(wanted_ports).unwrap_or_default() } else { Vec::new() },
    }
}
