//! Home: what runs, what wants attention, what the queue does, what happened lately.

mod lately;
mod machines_tile;
mod under_way;

pub(crate) use lately::Lately;
pub(crate) use machines_tile::MachinesTile;
pub(crate) use under_way::{Next, Running};

use leptos::prelude::*;
use orrery_contracts::rest::Stack;
use orrery_contracts::{MachineStatus, StackStatus, Status as CommandStatus};

use crate::feed::Glance;
use crate::route::{Route, Tab};
use crate::web::later::{Later, later};
use crate::web::live::live;
use crate::web::nav::stack_path;
use crate::web::parts::{PageHead, Status};
use crate::words::{self, Tone};

#[component]
pub(crate) fn Home() -> impl IntoView {
    let live = live();
    let host = move || live.hosts.with(|hosts| hosts.first().map_or_else(|| "Home".to_owned(), |host| host.name.clone()));
    let none = Memo::new(move |_| {
        live.loaded.get() && live.known.with(|known| known.stacks.is_empty() && known.machines.is_empty() && known.commands.is_empty())
    });
    // What is under way comes with the second module.
    let open =
        move |running: bool| live.known.with(|known| known.open().any(|command| (command.status == CommandStatus::Running) == running));
    let (running, waiting) = (Memo::new(move |_| open(true)), Memo::new(move |_| open(false)));
    view! {
        <PageHead title=Signal::derive(host)>
            <span class="quiet">{move || live.hosts.with(|hosts| words::engines(hosts))}</span>
            <div class="push"><a class="btn main" href="/stacks/new">"New stack"</a></div>
        </PageHead>
        {move || if none.get() {
            later(|| Later::NoStacks)
        } else {
            view! {
                <div class="pile">
                    <Tiles/>
                    {move || running.get().then(|| later(|| Later::Running))}
                    <div class="cols">
                        <div class="pile"><Attention/>{move || waiting.get().then(|| later(|| Later::Next))}<Runs/></div>
                        {later(|| Later::Lately)}
                    </div>
                </div>
            }.into_any()
        }}
    }
}

#[component]
fn Tiles() -> impl IntoView {
    let live = live();
    let stacks = Memo::new(move |_| live.known.with(|known| known.by_name()));
    let wrong = move || stacks.with(|stacks| stacks.iter().filter(|stack| trouble(stack).is_some()).count());
    let services = move || {
        stacks.with(|stacks| {
            stacks
                .iter()
                .filter(|stack| !matches!(stack.status, StackStatus::Created | StackStatus::Stopped))
                .fold((0, 0), |(running, total), stack| (running + stack.services.running, total + stack.services.total))
        })
    };
    // Of machines the first module knows only that there are some.
    let machines = Memo::new(move |_| live.known.with(|known| !known.machines.is_empty()));
    let open = Memo::new(move |_| live.known.with(|known| (known.open().next().map(|head| head.status), known.open().count())));
    let queue_word = move || match open.get() {
        (None, _) => (Tone::Ok, "idle"),
        (Some(CommandStatus::Failed), _) => (Tone::Bad, "held"),
        (Some(_), _) => (Tone::Wait, "working"),
    };
    let executors = move || live.hosts.with(|hosts| hosts.iter().filter(|host| host.executor_alive && host.engine_ready).count());
    let all = move || live.hosts.with(Vec::len);
    let machine = move || {
        live.hosts.with(|hosts| {
            hosts
                .iter()
                .find_map(|host| host.cpus.zip(host.memory))
                .map(|(cpus, memory)| format!("{cpus} processors, {}", words::bytes(memory)))
        })
    };
    view! {
        <div class="tiles">
            <a class="card tile" href="/stacks">
                <span class="quiet">"Stacks"</span>
                <div class="big">{move || stacks.with(Vec::len)}</div>
                {move || match wrong() {
                    0 => view! { <Status tone=Tone::Ok word="all as they should be"/> }.into_any(),
                    n => view! { <Status tone=Tone::Warn word=words::plural(n, "wants attention", "want attention")/> }.into_any(),
                }}
            </a>
            <a class="card tile" href="/stacks">
                <span class="quiet">"Services"</span>
                <div class="big">{move || services().0}" "<small>"of " {move || services().1} " run"</small></div>
                {move || { let (running, total) = services(); let tone = if running == total { Tone::Ok } else { Tone::Warn };
                    view! { <Status tone=tone word=if running == total { "running".to_owned() } else { format!("{} not running", total.saturating_sub(running)) }/> } }}
            </a>
            {move || machines.get().then(|| later(|| Later::MachinesTile))}
            <a class="card tile" href="/queue">
                <span class="quiet">"Queue"</span>
                <div class="big">{move || open.get().1}" "<small>"open"</small></div>
                <Status tone=Signal::derive(move || queue_word().0) word=Signal::derive(move || queue_word().1.to_owned())/>
            </a>
            <section class="card tile">
                <span class="quiet">"Host"</span>
                <div class="big">{executors}" "<small>"of " {all} " executors"</small></div>
                {move || if executors() == all() {
                    view! { <span class="faint">{machine}</span> }.into_any()
                } else {
                    view! { <Status tone=Tone::Bad word="an executor is away"/> }.into_any()
                }}
            </section>
        </div>
    }
}

/// What is wrong with a machine, in words; nothing when it is as it should be.
const fn machine_trouble(status: MachineStatus) -> Option<&'static str> {
    match status {
        MachineStatus::Failed => Some("its last command failed and was not dealt with"),
        MachineStatus::Degraded => Some("it should run, and does not"),
        MachineStatus::Drifted => Some("it differs from its version"),
        MachineStatus::Created
        | MachineStatus::Deploying
        | MachineStatus::Running
        | MachineStatus::Stopped
        | MachineStatus::Suspended
        | MachineStatus::Deleting => None,
    }
}

/// What is wrong with a stack, in words; nothing when it is as it should be.
fn trouble(stack: &Stack) -> Option<String> {
    let down = stack.services.total.saturating_sub(stack.services.running);
    let sick = stack.services.running.saturating_sub(stack.services.healthy);
    match stack.status {
        StackStatus::Failed => Some("its last command failed and was not dealt with".into()),
        StackStatus::Degraded if down > 0 => Some(format!("{} of {} services do not run", down, stack.services.total)),
        StackStatus::Degraded if sick > 0 => Some(words::plural(sick as usize, "service is not healthy", "services are not healthy")),
        StackStatus::Degraded => Some("something of it does not run as it should".into()),
        StackStatus::Drifted => {
            Some(words::plural(stack.drifted as usize, "container differs from its version", "containers differ from their version"))
        }
        StackStatus::Created | StackStatus::Deploying | StackStatus::Running | StackStatus::Stopped | StackStatus::Deleting => None,
    }
}

/// What wants attention, and the ways out.
#[derive(Clone, PartialEq)]
struct Wanting {
    state: (Tone, &'static str),
    name: String,
    path: String,
    why: String,
    /// Where the plan is that makes it as its version says.
    repair: Option<String>,
    logs: Option<String>,
}

impl Wanting {
    fn stack(stack: Stack) -> Option<Self> {
        let why = trouble(&stack)?;
        let id = stack.id.to_string();
        let repair = stack.current_version.filter(|_| stack.status == StackStatus::Drifted);
        Some(Self {
            state: words::stack_status(stack.status),
            why,
            repair: repair.map(|version| stack_path(&id, Tab::Plan(version))),
            logs: Some(stack_path(&id, Tab::Logs)),
            path: Route::stack(id).path(),
            name: stack.name,
        })
    }

    fn machine(machine: Glance) -> Option<Self> {
        let why = machine_trouble(machine.status)?.to_owned();
        let id = machine.id.to_string();
        let repair = machine.current_version.filter(|_| machine.status == MachineStatus::Drifted);
        Some(Self {
            state: words::machine_status(machine.status),
            why,
            repair: repair.map(|version| Route::Machine(id.clone(), Tab::Plan(version)).path()),
            logs: None,
            path: Route::machine(id).path(),
            name: machine.name,
        })
    }
}

#[component]
fn Attention() -> impl IntoView {
    let live = live();
    let list = Memo::new(move |_| {
        let (stacks, machines) = live.known.with(|known| (known.by_name(), known.glances()));
        stacks.into_iter().filter_map(Wanting::stack).chain(machines.into_iter().filter_map(Wanting::machine)).collect::<Vec<_>>()
    });
    let row = |wanting: Wanting| {
        let (tone, word) = wanting.state;
        view! {
            <tr>
                <td><Status tone=tone word=word/></td>
                <td class="grow"><a class="name" href=wanting.path>{wanting.name}</a> " " <span class="quiet">{wanting.why}</span></td>
                <td class="end">
                    {wanting.repair.map(|path| view! { <a class="btn small" href=path>"Repair"</a> " " })}
                    {wanting.logs.map(|path| view! { <a class="btn small" href=path>"Logs"</a> })}
                </td>
            </tr>
        }
    };
    view! {
        <section class="card">
            <header><h2>"Wants attention"</h2></header>
            {move || if list.with(Vec::is_empty) {
                view! { <p class="pad quiet">"Nothing. Everything that should run runs as its version says."</p> }.into_any()
            } else {
                view! {
                    <div class="scroll"><table class="cards">
                        <thead class="seen-by-ear"><tr><th>"State"</th><th>"Name"</th><th>"Ways out"</th></tr></thead>
                        <tbody>
                        {list.get().into_iter().map(row).collect_view()}
                    </tbody></table></div>
                }.into_any()
            }}
        </section>
    }
}

/// `2 of 3`; a dash for a stack that has never run and so has none.
pub(super) fn services(stack: &Stack) -> impl IntoView + use<> {
    let services = stack.services;
    let should_run = !matches!(stack.status, StackStatus::Created | StackStatus::Stopped);
    let short = should_run && services.running < services.total;
    let (running, of) = match services.total {
        0 => (String::new(), "–".to_owned()),
        total => (services.running.to_string(), format!(" of {total}")),
    };
    view! { <span class:warn-text=short>{running}</span><span class="faint">{of}</span> }
}

/// Stacks and machines, each in a line; the whole lists are pages of their own.
#[component]
fn Runs() -> impl IntoView {
    let live = live();
    let all = Memo::new(move |_| live.known.with(|known| (known.by_name(), known.glances())));
    let line =
        |name: String, path: String, (tone, word): (Tone, &'static str), services: Option<AnyView>, version: Option<u32>, comment: &str| {
            let none = services.is_none();
            view! {
                <tr>
                    <td class="grow"><a class="name" href=path>{name}</a></td>
                    <td><Status tone=tone word=word/></td>
                    <td class="num" class:wide=none>{services}</td>
                    <td class="wide">{version.map(|version| view! { <span class="tag brass">"v" {version}</span> })}</td>
                    <td class="wide quiet">{words::shorten(comment, 40)}</td>
                </tr>
            }
        };
    let stack = move |stack: &Stack| {
        let running = (stack.services.total > 0).then(|| services(stack).into_any());
        let path = Route::stack(stack.id.to_string()).path();
        line(stack.name.clone(), path, words::stack_status(stack.status), running, stack.current_version, &stack.comment)
    };
    let machine = move |machine: &Glance| {
        let path = Route::machine(machine.id.to_string()).path();
        line(machine.name.clone(), path, words::machine_status(machine.status), None, machine.current_version, &machine.comment)
    };
    let lines = move || {
        all.with(|(stacks, machines)| {
            let stacks = stacks.iter().take(12).map(stack).collect_view();
            (stacks, machines.iter().take(12).map(machine).collect_view())
        })
    };
    let machines = move || all.with(|(_, machines)| !machines.is_empty());
    view! {
        <section class="card">
            <header>
                <h2>"What runs"</h2>
                <span class="push">
                    <a href="/stacks">"All stacks"</a>
                    {move || machines().then(|| view! { " · " <a href="/machines">"All machines"</a> })}
                </span>
            </header>
            <div class="scroll"><table class="cards">
                <thead class="seen-by-ear"><tr><th>"Name"</th><th>"State"</th><th>"Services"</th><th class="wide">"Version"</th><th class="wide">"Note"</th></tr></thead>
                <tbody>{lines}</tbody>
            </table></div>
        </section>
    }
}
