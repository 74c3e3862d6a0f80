//! Home: what runs, what wants attention, what the queue does, what happened lately.

use leptos::prelude::*;
use orrery_contracts::rest::{Command, Host, Stack};
use orrery_contracts::{StackStatus, Status as CommandStatus};

use crate::progress::Progress;
use crate::route::{Route, StackTab};
use crate::web::clock;
use crate::web::later::{Later, later};
use crate::web::live::live;
use crate::web::nav::stack_path;
use crate::web::parts::{CommandButtons, CommandName, CommandWord, PageHead, Status};
use crate::words::{self, Tone};

#[component]
pub(crate) fn Home() -> impl IntoView {
    let live = live();
    let host = move || live.hosts.with(|hosts| hosts.first().map_or_else(|| "Home".to_owned(), |host| host.name.clone()));
    let none = Memo::new(move |_| live.loaded.get() && live.known.with(|known| known.stacks.is_empty() && known.commands.is_empty()));
    view! {
        <PageHead title=Signal::derive(host)>
            <span class="quiet">{move || live.hosts.with(|hosts| engines(hosts))}</span>
            <div class="push"><a class="btn main" href="/stacks/new">"New stack"</a></div>
        </PageHead>
        {move || if none.get() {
            later(|| Later::NoStacks)
        } else {
            view! {
                <div class="pile">
                    <Tiles/>
                    <Running/>
                    <div class="cols">
                        <div class="pile"><Attention/><Next/><Runs/></div>
                        <Lately/>
                    </div>
                </div>
            }.into_any()
        }}
    }
}

fn engines(hosts: &[Host]) -> String {
    let one = |host: &Host| {
        let name = match host.engine.as_str() {
            "docker" => "Docker",
            other => other,
        };
        host.engine_version.as_ref().map(|version| format!("{name} {version}"))
    };
    hosts.iter().filter_map(one).collect::<Vec<_>>().join(" · ")
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

#[component]
fn Attention() -> impl IntoView {
    let live = live();
    let list = Memo::new(move |_| {
        let stacks = live.known.with(|known| known.by_name());
        stacks.into_iter().filter_map(|stack| trouble(&stack).map(|why| (stack, why))).collect::<Vec<_>>()
    });
    let row = |(stack, why): (Stack, String)| {
        let (tone, word) = words::stack_status(stack.status);
        let id = stack.id.to_string();
        let repair = stack.current_version.filter(|_| stack.status == StackStatus::Drifted);
        let repair = repair.map(|version| stack_path(&id, StackTab::Plan(version)));
        view! {
            <tr>
                <td><Status tone=tone word=word/></td>
                <td class="grow"><a class="name" href=Route::stack(id.clone()).path()>{stack.name}</a> " " <span class="quiet">{why}</span></td>
                <td class="end">
                    {repair.map(|path| view! { <a class="btn small" href=path>"Repair"</a> " " })}
                    <a class="btn small" href=stack_path(&id, StackTab::Logs)>"Logs"</a>
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
                        <thead class="seen-by-ear"><tr><th>"State"</th><th>"Stack"</th><th>"Ways out"</th></tr></thead>
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

/// The stacks, each in a line; the whole list is a page of its own.
#[component]
fn Runs() -> impl IntoView {
    let live = live();
    let stacks = Memo::new(move |_| live.known.with(|known| known.by_name()));
    let some = move || stacks.with(|stacks| stacks.iter().take(12).cloned().collect::<Vec<_>>());
    let row = |stack: Stack| {
        let (tone, word) = words::stack_status(stack.status);
        let none = stack.services.total == 0;
        view! {
            <tr>
                <td class="grow"><a class="name" href=Route::stack(stack.id.to_string()).path()>{stack.name.clone()}</a></td>
                <td><Status tone=tone word=word/></td>
                <td class="num" class:wide=none>{services(&stack)}</td>
                <td class="wide">{stack.current_version.map(|version| view! { <span class="tag brass">"v" {version}</span> })}</td>
                <td class="wide quiet">{words::shorten(&stack.comment, 40)}</td>
            </tr>
        }
    };
    view! {
        <section class="card">
            <header><h2>"What runs"</h2><span class="push"><a href="/stacks">"All stacks"</a></span></header>
            <div class="scroll"><table class="cards">
                <thead class="seen-by-ear"><tr><th>"Stack"</th><th>"State"</th><th>"Services"</th><th class="wide">"Version"</th><th class="wide">"Note"</th></tr></thead>
                <tbody>{move || some().into_iter().map(row).collect_view()}</tbody>
            </table></div>
        </section>
    }
}

/// What runs now, with its steps.
#[component]
fn Running() -> impl IntoView {
    let live = live();
    let running =
        Memo::new(move |_| live.known.with(|known| known.open().find(|command| command.status == CommandStatus::Running).cloned()));
    move || {
        running.get().map(|command| {
            let progress = Progress::of_command(&command);
            let who = command.actor.clone().unwrap_or_else(|| command.publisher.clone());
            view! {
                <section class="card" aria-label="Running now">
                    <header>
                        <h2><CommandName command=command.clone()/></h2>
                        <span class="quiet">{who} ", " {clock::since(command.started_at.unwrap_or(command.created_at))}</span>
                        <span class="push"><CommandButtons command/></span>
                    </header>
                    {later(move || Later::Steps(progress.clone()))}
                </section>
            }
        })
    }
}

/// The next few of the queue.
#[component]
fn Next() -> impl IntoView {
    let live = live();
    let open = Memo::new(move |_| {
        live.known
            .with(|known| known.open().filter(|command| command.status != CommandStatus::Running).take(6).cloned().collect::<Vec<_>>())
    });
    move || {
        let commands = open.get();
        (!commands.is_empty()).then(|| {
            view! {
                <section class="card">
                    <header><h2>"Next in the queue"</h2><span class="push"><a href="/queue">"All of it"</a></span></header>
                    <div class="scroll"><table>
                        <thead class="seen-by-ear"><tr><th>"Number"</th><th>"Command"</th><th>"State"</th><th>"Who"</th></tr></thead>
                        <tbody>
                        {commands.into_iter().map(|command| view! {
                            <tr>
                                <td class="num faint">{words::count(command.seq)}</td>
                                <td><CommandName command=command.clone()/></td>
                                <td><CommandWord command=command.clone()/></td>
                                <td class="wide">{command.actor.clone().unwrap_or_else(|| command.publisher.clone())}</td>
                            </tr>
                        }).collect_view()}
                    </tbody></table></div>
                </section>
            }
        })
    }
}

#[component]
fn Lately() -> impl IntoView {
    let live = live();
    let ended = Memo::new(move |_| live.known.with(|known| known.ended().take(12).cloned().collect::<Vec<_>>()));
    view! {
        <section class="card">
            <header><h2>"Lately"</h2></header>
            {move || if ended.with(Vec::is_empty) {
                view! { <p class="pad quiet">"Nothing has gone through the queue yet."</p> }.into_any()
            } else {
                view! { <ol class="rail">{ended.get().into_iter().map(|command| view! { <LatelyItem command/> }).collect_view()}</ol> }.into_any()
            }}
        </section>
    }
}

#[component]
fn LatelyItem(command: Command) -> impl IntoView {
    let class = match command.status {
        CommandStatus::Done => "",
        CommandStatus::Cancelled | CommandStatus::Failed | CommandStatus::Pending | CommandStatus::Running => "bad",
    };
    let version = command.version.map(|version| format!(" v{version}")).unwrap_or_default();
    let subject = words::command_subject(&command);
    let subject = if subject.is_empty() { "unreadable message".to_owned() } else { subject };
    let took = command.started_at.zip(command.ended_at).map(|(from, to)| format!(" · {}", words::span(to.seconds_since(from))));
    let who = command.actor.clone().unwrap_or_else(|| format!("publisher {}", command.publisher));
    view! {
        <li class=class>
            <a href=Route::Command(command.seq.to_string()).path()>
                <div class="what"><b>{subject} {version}</b><span class="quiet">{words::command_deed(&command)}</span></div>
                <div class="faint num">{who} " · " {clock::ago(command.ended_at.unwrap_or(command.created_at))} {took}</div>
            </a>
        </li>
    }
}
