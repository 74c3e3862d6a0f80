//! The page in the browser: what is fetched, what is kept alive, and what is shown.
// The component macro makes each component's properties public.
#![allow(unreachable_pub)]

mod actions;
mod app;
mod clock;
mod examples;
mod http;
mod js;
mod live;
mod load;
mod nav;
mod pages;
mod parts;
mod session;
mod shell;
mod storage;
mod toasts;

/// Mounts the page. A panic shows what `index.html` keeps ready for it, with an offer to load again.
pub(crate) fn start() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        js::show_crash();
    }));
    leptos::mount::mount_to_body(app::App);
}
