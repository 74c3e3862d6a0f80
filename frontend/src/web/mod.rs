//! The page in the browser: what is fetched, what is kept alive, and what is shown.
// The component macro makes each component's properties public.
#![allow(unreachable_pub)]

mod actions;
mod app;
mod clock;
mod examples;
mod http;
mod js;
mod later;
mod live;
mod load;
mod nav;
mod pages;
mod parts;
mod presence;
mod sending;
mod session;
mod shell;
mod storage;
mod toasts;

/// Mounts the page. A panic ends it with a trap, for which `npm/boot.ts` shows an offer to load again.
pub(crate) fn start() {
    leptos::mount::mount_to_body(app::App);
}
