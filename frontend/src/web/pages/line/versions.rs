//! The versions of a stack or machine: a rail of them, and what differs between two.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::Version;

use super::line;
use crate::diff::{FileChange, bundles};
use crate::route::Tab;
use crate::web::actions::bundle;
use crate::web::clock;
use crate::web::http::Fault;
use crate::web::nav::nav;
use crate::web::parts::{FaultNote, FileDiffs, Sides, Waiting};
use crate::words;

/// The rail at the side of the overview.
#[component]
pub(crate) fn VersionRail() -> impl IntoView {
    let line = line();
    let list = Memo::new(move |_| line.versions.value.with(|list| list.as_ref().map(|list| list.items.clone()).unwrap_or_default()));
    view! {
        <section class="card">
            <header><h2>"Versions"</h2><span class="push"><a href=line.tab(Tab::Versions(None))>"compare"</a></span></header>
            {move || if list.with(Vec::is_empty) {
                view! { <p class="pad quiet">"None yet: its first version waits in the queue."</p> }.into_any()
            } else {
                view! { <ol class="rail">{list.get().into_iter().take(8).map(|version| view! { <RailItem version/> }).collect_view()}</ol> }.into_any()
            }}
        </section>
    }
}

#[component]
fn RailItem(version: Version) -> impl IntoView {
    let line = line();
    let number = version.version;
    let current = Memo::new(move |_| line.current());
    let here = move || current.get() == Some(number);
    let (author, comment) = (version.author.clone(), words::shorten(&version.comment, 90));
    view! {
        <li class=move || if here() { "current" } else { "" }>
            <div class="what"><b>"v" {number}</b><span>{comment}</span></div>
            <div class="faint">
                {author} " · " {clock::ago(version.created_at)}
                {move || match current.get() {
                    Some(current) if current == number => view! { " · runs now" }.into_any(),
                    Some(current) if number < current => view! { " · " <a class="out" href=line.tab(Tab::Plan(number))>"roll back"</a> }.into_any(),
                    Some(_) | None => view! { " · " <a class="out" href=line.tab(Tab::Plan(number))>"plan"</a> }.into_any(),
                }}
            </div>
        </li>
    }
}

/// The tab: two versions chosen, and their difference.
#[component]
pub(crate) fn VersionsTab(pair: Option<(u32, u32)>) -> impl IntoView {
    let line = line();
    let list = Memo::new(move |_| line.versions.value.with(|list| list.as_ref().map(|list| list.items.clone()).unwrap_or_default()));
    let chosen = Memo::new(move |_| {
        pair.or_else(|| {
            let latest = list.with(|list| list.first().map(|version| version.version))?;
            let current = line.current();
            let from = current.filter(|current| *current != latest).unwrap_or_else(|| latest.saturating_sub(1));
            (from > 0).then_some((from, latest))
        })
    });
    // One memo for both: a view that reads a memo and what that memo is made of can miss the second one's change.
    let state = Memo::new(move |_| (chosen.get(), list.with(Vec::is_empty)));
    view! {
        <div class="cols">
            <div class="pile">
                {move || match state.get() {
                    (Some((from, to)), _) => view! { <Compare from to/> }.into_any(),
                    (None, true) => view! { <div class="card"><Waiting/></div> }.into_any(),
                    (None, false) => view! { <div class="card empty"><p>"There is one version, and nothing to compare it with."</p></div> }.into_any(),
                }}
            </div>
            <section class="card" aria-label="All versions">
                <header><h2>"Versions"</h2><span class="push num">{move || words::plural(list.with(Vec::len), "version", "versions")}</span></header>
                <FaultNote fault=line.versions.fault again=move |()| line.versions.again()/>
                <ol class="rail">{move || list.get().into_iter().map(|version| view! { <VersionItem version chosen/> }).collect_view()}</ol>
            </section>
        </div>
    }
}

#[component]
fn VersionItem(version: Version, chosen: Memo<Option<(u32, u32)>>) -> impl IntoView {
    let line = line();
    let number = version.version;
    let current = Memo::new(move |_| line.current());
    let shown = move || chosen.get().is_some_and(|(_, to)| to == number);
    let compare = version.parent_version.filter(|parent| *parent > 0).map(|parent| line.tab(Tab::Versions(Some((parent, number)))));
    let size: u64 = version.files.iter().map(|file| file.size).sum();
    view! {
        <li class=move || if current.get() == Some(number) { "current" } else { "" }>
            <div class="what"><b>"v" {number}</b><span>{version.comment.clone()}</span></div>
            <div class="faint">{version.author.clone()} " · " {clock::ago(version.created_at)} " · " {words::plural(version.files.len(), "file", "files")} ", " {words::bytes(size)}</div>
            <div class="row">
                {compare.map(|path| view! { <a class="out" aria-current=move || shown().then_some("true") href=path>{move || if shown() { "shown" } else { "what changed" }}</a> })}
                {move || match current.get() {
                    Some(current) if current == number => view! { <span class="tag brass">"runs now"</span> }.into_any(),
                    Some(current) if number < current => view! { <a class="out" href=line.tab(Tab::Plan(number))>"roll back"</a> }.into_any(),
                    Some(_) | None => view! { <a class="out" href=line.tab(Tab::Plan(number))>"plan"</a> }.into_any(),
                }}
            </div>
        </li>
    }
}

#[component]
fn Compare(from: u32, to: u32) -> impl IntoView {
    let line = line();
    let nav = nav();
    let sides = RwSignal::new(if narrow() { Sides::Unified } else { Sides::Beside });
    let files = RwSignal::new(None::<Vec<FileChange>>);
    let fault = RwSignal::new(None::<Fault>);
    let digests = Memo::new(move |_| line.version(from).zip(line.version(to)).map(|(a, b)| (a.digest, b.digest)));
    let fetch = move || {
        let Some((a, b)) = digests.get_untracked() else { return };
        spawn_local(async move {
            let pair = async { Ok::<_, Fault>((bundle(&a).await?, bundle(&b).await?)) };
            match pair.await {
                Ok((a, b)) => {
                    let _ = files.try_set(Some(bundles(&a, &b)));
                    let _ = fault.try_set(None);
                }
                Err(why) => {
                    let _ = fault.try_set(Some(why));
                }
            }
        });
    };
    Effect::new(move || {
        digests.track();
        fetch();
    });
    let numbers = Memo::new(move |_| {
        line.versions
            .value
            .with(|list| list.as_ref().map(|list| list.items.iter().map(|version| version.version).collect::<Vec<_>>()).unwrap_or_default())
    });
    let go = move |from: u32, to: u32| nav.go(line.of.route(line.key.get_value(), Tab::Versions(Some((from, to)))));
    let select = move |label: &'static str, chosen: u32, pick: Callback<u32>| {
        view! {
            <select class="select small" aria-label=label on:change=move |event| if let Ok(number) = event_target_value(&event).parse() { pick.run(number) }>
                {move || numbers.get().into_iter().map(|number| view! { <option value=number selected=number == chosen>"v" {number}</option> }).collect_view()}
            </select>
        }
    };
    let side = move |which: Sides, word: &'static str| {
        view! { <button type="button" aria-pressed=move || if sides.get() == which { "true" } else { "false" } on:click=move |_| sides.set(which)>{word}</button> }
    };
    view! {
        <div class="row">
            <h2>"What changed"</h2>
            {select("From version", from, Callback::new(move |number| go(number, to)))}
            <span class="faint" aria-hidden="true">"→"</span>
            {select("To version", to, Callback::new(move |number| go(from, number)))}
            <div class="segments small push" role="group" aria-label="How it is shown">{side(Sides::Beside, "Side by side")}{side(Sides::Unified, "Unified")}</div>
        </div>
        <FaultNote fault again=move |()| fetch()/>
        {move || match files.get() {
            None if fault.with(Option::is_some) => ().into_any(),
            None => view! { <div class="card"><Waiting/></div> }.into_any(),
            Some(files) if files.is_empty() => view! { <div class="card empty"><p>"The files are the same."</p></div> }.into_any(),
            Some(files) => view! { <FileDiffs files=Signal::stored(files) sides/> }.into_any(),
        }}
    }
}

fn narrow() -> bool {
    crate::web::js::window().inner_width().ok().and_then(|width| width.as_f64()).is_some_and(|width| width < 900.0)
}
