//! The menu: at the side where there is room, at the thumb where there is not.

use leptos::prelude::*;

use crate::web::live::live;
use crate::web::nav::nav;
use crate::words;

#[component]
pub(crate) fn Menu() -> impl IntoView {
    let live = live();
    let stacks = Memo::new(move |_| live.known.with(|known| known.stacks.len()));
    let machines = Memo::new(move |_| live.known.with(|known| known.machines.len()));
    let open = Memo::new(move |_| live.known.with(|known| known.open().count()));
    let figure = |n: usize| (n > 0).then(|| words::count(n as u64));
    view! {
        <nav class="nav" aria-label="Main">
            <div>
                <Entry path="/" word="Home" icon="M3 8.5 8 4l5 4.5M4.5 7.5V13h7V7.5" count=|| None/>
                <Entry path="/stacks" word="Stacks" icon="m8 3 5.5 2.8L8 8.6 2.5 5.800 8 3ZM2.500 8.500 8 11.300l5.500-2.800M2.500 11.200 8 14l5.500-2.800" count=move || figure(stacks.get())/>
                <Entry path="/machines" word="Machines" icon="M2.500 3.500h11v7.500h-11ZM6 13.500h4M8 11v2.500" count=move || figure(machines.get())/>
                <Entry path="/queue" word="Queue" icon="M3 4h10M3 8h10M3 12h6" count=move || figure(open.get())/>
                <Entry path="/help" word="Help" icon="M6.200 6.300a1.900 1.900 0 1 1 2.700 1.800c-.600.300-.900.700-.900 1.400M8 11.800v.1" count=|| None/>
            </div>
        </nav>
    }
}

#[component]
fn Entry(
    path: &'static str,
    word: &'static str,
    icon: &'static str,
    count: impl Fn() -> Option<String> + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let nav = nav();
    let current = move || nav.route.with(|route| route.section() == word).then_some("page");
    view! {
        <a href=path aria-current=current>
            <svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=icon/></svg>
            {word}
            {move || count().map(|count| view! { <span class="count">{count}</span> })}
        </a>
    }
}
