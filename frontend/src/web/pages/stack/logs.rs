//! The logs of all services of a stack, merged as they come, one colour a service.

use leptos::html;
use leptos::prelude::*;
use orrery_contracts::Problem;
use orrery_contracts::rpc::LogLine;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{EventSource, MessageEvent};

use super::this;
use crate::log_lines::{LogLines, Numbered, plain};
use crate::web::{http, js};
use crate::words;

#[component]
pub(super) fn LogsTab() -> impl IntoView {
    let this = this();
    let containers = this.detail.value.with_untracked(|detail| detail.as_ref().map(|detail| detail.containers.clone()).unwrap_or_default());
    let log = RwSignal::new(LogLines::of(containers.into_iter().map(|container| container.service)));
    let paused = RwSignal::new(false);
    let state = RwSignal::new("connecting".to_owned());
    let path = format!("/stacks/{}/logs?follow=true&tail=200", crate::route::encode(&this.line.key.get_value()));
    listen(&http::api(&path), log, state);
    let pane = NodeRef::<html::Div>::new();
    let shown = Memo::new(move |_| log.with(LogLines::shown));
    // Follow the end, unless the person has scrolled away from it.
    Effect::new(move || {
        shown.track();
        let Some(pane) = pane.get() else { return };
        if !paused.get_untracked() {
            request_animation_frame(move || pane.set_scroll_top(pane.scroll_height()));
        }
    });
    let scrolled = move |_| {
        let Some(pane) = pane.get_untracked() else { return };
        let at_end = pane.scroll_height() - pane.scroll_top() - pane.client_height() < 24;
        if at_end == paused.get_untracked() {
            paused.set(!at_end);
            log.update(|log| log.pause(!at_end));
        }
    };
    view! {
        <section class="card logview" aria-label="Logs">
            <header><Tools log paused state/></header>
            <div class="logs" node_ref=pane on:scroll=scrolled tabindex="0" role="log" aria-live="off" aria-label="Lines">
                <For each=move || shown.get() key=|line| line.n let:line><Line line log/></For>
                {move || shown.with(Vec::is_empty).then(|| view! { <p class="pad quiet">{match state.get() {
                    state if state == "connecting" => "Asking the containers for their last lines…",
                    _ => "No line yet. What the containers write appears here as they write it.",
                }}</p> })}
            </div>
        </section>
    }
}

#[component]
fn Tools(log: RwSignal<LogLines>, paused: RwSignal<bool>, state: RwSignal<String>) -> impl IntoView {
    let services = Memo::new(move |_| {
        log.with(|log| log.services().iter().map(|name| (name.clone(), log.hue(name), log.shows(name))).collect::<Vec<_>>())
    });
    let held = Memo::new(move |_| log.with(LogLines::held));
    let pause = move |_| {
        let next = !paused.get_untracked();
        paused.set(next);
        log.update(|log| log.pause(next));
    };
    let save = move |_| js::download("logs.txt", "text/plain", log.with_untracked(LogLines::as_text).as_bytes());
    view! {
        <h2>"Logs"</h2>
        <div class="logtools" role="group" aria-label="Services">
            {move || services.get().into_iter().map(|(name, hue, shown)| {
                let toggled = name.clone();
                view! { <button class=format!("chip h{hue}") aria-pressed=if shown { "true" } else { "false" } on:click=move |_| log.update(|log| log.toggle(&toggled))>{name}</button> }
            }).collect_view()}
        </div>
        <span class="push">
            <input class="input small" type="search" aria-label="Only lines with" placeholder="Only lines with…" on:input=move |event| log.update(|log| log.filter(&event_target_value(&event)))/>
            <span class="faint nowrap mid">{move || match (state.get(), paused.get()) {
                (_, true) => "held".to_owned(),
                (state, false) => state,
            }}</span>
            <button class="btn small" on:click=pause>{move || match (paused.get(), held.get()) {
                (false, _) => "Pause".to_owned(),
                (true, 0) => "Follow".to_owned(),
                (true, n) => format!("Follow, {} new", words::count(n as u64)),
            }}</button>
            <button class="btn small" on:click=move |_| log.update(LogLines::clear)>"Clear"</button>
            <button class="btn small mid" on:click=save>"Save"</button>
        </span>
    }
}

#[component]
fn Line(line: Numbered, log: RwSignal<LogLines>) -> impl IntoView {
    let hue = log.with_untracked(|log| log.hue(&line.line.service));
    let LogLine { time, service, number, stream, line } = line.line;
    let who = number.filter(|number| *number > 1).map_or_else(|| service.clone(), |number| format!("{service}-{number}"));
    view! {
        <div class="l" class:err=stream == "stderr">
            <span class=format!("who h{hue}") title=who.clone()>{who.clone()}</span>
            <span class="at" title=js::full_time(time)>{js::clock_time(time, true)}</span>
            <span class="txt">{plain(&line)}</span>
        </div>
    }
}

type Heard = Closure<dyn Fn(MessageEvent)>;

/// What must live as long as the connection.
struct Connection {
    source: EventSource,
    _lines: Heard,
    _ends: Heard,
    _opened: Closure<dyn Fn()>,
    _failed: Closure<dyn Fn()>,
}

/// Hears the lines until the tab goes, connecting again when the executor was away. Lines come in bursts: they are put
/// in once a frame.
fn listen(url: &str, log: RwSignal<LogLines>, state: RwSignal<String>) {
    let held = StoredValue::new_local(None::<Connection>);
    let url = StoredValue::new(url.to_owned());
    connect(url, held, log, state);
    on_cleanup(move || {
        if let Some(Some(connection)) = held.try_update_value(Option::take) {
            connection.source.close();
        }
    });
}

fn connect(
    url: StoredValue<String>,
    held: StoredValue<Option<Connection>, LocalStorage>,
    log: RwSignal<LogLines>,
    state: RwSignal<String>,
) {
    let Some(Ok(source)) = url.try_with_value(|url| EventSource::new(url)) else { return };
    let burst = StoredValue::new(Vec::<LogLine>::new());
    let lines: Heard = Closure::new(move |event: MessageEvent| {
        let Ok(line) = serde_json::from_slice::<LogLine>(event.data().as_string().unwrap_or_default().as_bytes()) else { return };
        let first = burst
            .try_update_value(|burst| {
                burst.push(line);
                burst.len() == 1
            })
            .unwrap_or(false);
        if first {
            request_animation_frame(move || {
                if let Some(lines) = burst.try_update_value(std::mem::take) {
                    let _ = log.try_update(|log| log.push(lines));
                }
            });
        }
    });
    // The end has a reason only when it is not the natural one.
    let ending = source.clone();
    let ends: Heard = Closure::new(move |event: MessageEvent| {
        ending.close();
        let problem = serde_json::from_slice::<Problem>(event.data().as_string().unwrap_or_default().as_bytes());
        let _ = state.try_set(problem.map_or_else(|_| "ended".to_owned(), |problem| problem.detail));
    });
    let opened = Closure::<dyn Fn()>::new(move || {
        let _ = state.try_set("following".to_owned());
    });
    let failing = source.clone();
    let failed = Closure::<dyn Fn()>::new(move || {
        let _ = state.try_set("reconnecting".to_owned());
        if failing.ready_state() == EventSource::CLOSED {
            set_timeout(move || connect(url, held, log, state), std::time::Duration::from_secs(3));
        }
    });
    let _ = source.add_event_listener_with_callback("message", lines.as_ref().unchecked_ref());
    for kind in ["problem", "end"] {
        let _ = source.add_event_listener_with_callback(kind, ends.as_ref().unchecked_ref());
    }
    source.set_onopen(Some(opened.as_ref().unchecked_ref()));
    source.set_onerror(Some(failed.as_ref().unchecked_ref()));
    let _ = held.try_set_value(Some(Connection { source, _lines: lines, _ends: ends, _opened: opened, _failed: failed }));
}
