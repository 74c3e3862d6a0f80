//! The console and the screen of a guest: a WebSocket of the api, and the glass that its bytes are seen through.

use std::time::Duration;

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::DomainState;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{CloseEvent, HtmlElement, WebSocket};

use super::this;
use crate::seat::Seat;
use crate::web::{http, js};

/// Every key is the guest's but this one.
const WAY_OUT: &str = "Every key goes to the guest. Shift and Esc lead out.";

/// How long a guest that runs and shows nothing is left alone.
const OFF: Duration = Duration::from_secs(10);

/// What is looked through.
#[derive(Clone)]
enum Glass {
    Console(js::Terminal),
    Screen(js::Screen),
}

impl Glass {
    fn any(&self) -> &js::Glass {
        match self {
            Self::Console(terminal) => terminal,
            Self::Screen(screen) => screen,
        }
    }
}

/// A connection; it ends with this.
struct Link {
    socket: WebSocket,
    heard: Closure<dyn Fn()>,
    closed: Closure<dyn Fn(CloseEvent)>,
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.socket.remove_event_listener_with_callback("message", self.heard.as_ref().unchecked_ref());
        let _ = self.socket.remove_event_listener_with_callback("close", self.closed.as_ref().unchecked_ref());
        let _ = self.socket.close();
    }
}

/// What must live as long as somebody looks.
#[derive(Default)]
struct Held {
    glass: Option<Glass>,
    link: Option<Link>,
    /// Connections in a row on which nothing was heard.
    tries: u32,
    /// Whether anything was ever heard.
    seen: bool,
}

/// Somebody who looks at a guest.
#[derive(Clone, Copy)]
struct Looker {
    path: StoredValue<String>,
    seat: RwSignal<Seat>,
    held: StoredValue<Held, LocalStorage>,
}

impl Looker {
    fn new(path: String) -> Self {
        let looker =
            Self { path: StoredValue::new(path), seat: RwSignal::new(Seat::Connecting), held: StoredValue::new_local(Held::default()) };
        on_cleanup(move || {
            if let Some(Held { glass: Some(glass), link, .. }) = looker.held.try_update_value(std::mem::take) {
                drop(link);
                glass.any().close();
            }
        });
        looker
    }

    /// Begins to look through this, unless nobody waits for it any more.
    fn begin(self, opened: Result<Glass, String>) {
        match opened {
            Ok(glass) => {
                let kept = self.held.try_update_value(|held| held.glass = Some(glass.clone()));
                if kept.is_none() {
                    return glass.any().close();
                }
                self.connect();
            }
            Err(why) => drop(self.seat.try_set(Seat::Refused(why))),
        }
    }

    fn glass(self) -> Option<Glass> {
        self.held.try_with_value(|held| held.glass.clone()).flatten()
    }

    fn focus(self) {
        if let Some(glass) = self.glass() {
            glass.any().focus();
        }
    }

    /// Connects, in place of any connection that there is.
    fn connect(self) {
        let (Some(glass), Some(path)) = (self.glass(), self.path.try_get_value()) else { return };
        let _ = self.held.try_update_value(|held| held.link = None);
        let Ok(socket) = WebSocket::new_with_str(&js::socket_address(&http::api(&path)), "binary") else {
            let _ = self.seat.try_set(Seat::Refused("the browser makes no WebSocket".into()));
            return;
        };
        let heard = Closure::<dyn Fn()>::new(move || self.heard());
        let closed = Closure::<dyn Fn(CloseEvent)>::new(move |event: CloseEvent| self.ended(event.code(), &event.reason()));
        let _ = socket.add_event_listener_with_callback("message", heard.as_ref().unchecked_ref());
        let _ = socket.add_event_listener_with_callback("close", closed.as_ref().unchecked_ref());
        glass.any().attach(&socket);
        let _ = self.held.try_update_value(|held| held.link = Some(Link { socket, heard, closed }));
    }

    /// The api refuses after the handshake: a connection stands once something is heard on it.
    fn heard(self) {
        if self.seat.try_get_untracked().is_none_or(|seat| seat == Seat::Open) {
            return;
        }
        let first = self.held.try_update_value(|held| {
            held.tries = 0;
            !std::mem::replace(&mut held.seen, true)
        });
        let _ = self.seat.try_set(Seat::Open);
        // Whoever comes here wants to type; whoever is elsewhere by the time that it comes back does not.
        if first == Some(true) {
            self.focus();
        }
    }

    fn ended(self, code: u16, reason: &str) {
        let tries = self.held.try_update_value(|held| {
            held.tries = held.tries.saturating_add(1);
            held.tries
        });
        let Some(tries) = tries else { return };
        let seat = Seat::after(code, reason, tries.saturating_sub(1));
        if let Seat::Broken { pause, .. } = &seat {
            set_timeout(move || self.again(), *pause);
        }
        let _ = self.seat.try_set(seat);
    }

    /// Connects if there is still nothing to be seen.
    fn again_if_off(self) {
        if self.seat.try_get_untracked().is_some_and(|seat| matches!(seat, Seat::Off(_))) {
            self.again();
        }
    }

    /// Connects unless that was done meanwhile.
    fn again(self) {
        if self.seat.try_get_untracked().is_some_and(|seat| !matches!(seat, Seat::Open | Seat::Connecting)) {
            let _ = self.seat.try_set(Seat::Connecting);
            self.connect();
        }
    }
}

/// The serial console.
#[component]
pub(super) fn ConsoleTab() -> impl IntoView {
    let this = this();
    let looker = Looker::new(format!("{}/console", this.line.api()));
    let save = move |_| {
        if let Some(Glass::Console(terminal)) = looker.glass() {
            js::download("console.txt", "text/plain", terminal.text().as_bytes());
        }
    };
    let open = move |host: HtmlElement| {
        spawn_local(async move { looker.begin(js::open_console(&host, "The guest's console").await.map(Glass::Console)) });
    };
    view! {
        <Frame title="Serial console" looker open>
            <button class="btn small" on:click=save>"Save"</button>
        </Frame>
    }
}

/// The screen.
#[component]
pub(super) fn ScreenTab() -> impl IntoView {
    let this = this();
    let looker = Looker::new(format!("{}/screen", this.line.api()));
    let reset = move |_| {
        if let Some(Glass::Screen(screen)) = looker.glass() {
            screen.reset();
            screen.focus();
        }
    };
    let open = move |host: HtmlElement| {
        spawn_local(async move { looker.begin(js::open_screen(&host, "The guest's screen").await.map(Glass::Screen)) });
    };
    let picture = http::api(&format!("{}/screenshot.png", this.line.api()));
    view! {
        <Frame title="Screen" looker open>
            <button class="btn small" disabled=move || looker.seat.get() != Seat::Open on:click=reset>"Ctrl Alt Del"</button>
            <a class="btn small mid" href=picture target="_blank" rel="noopener">"Picture"</a>
        </Frame>
    }
}

/// What surrounds the glass: how the connection is, and what can be done.
#[component]
fn Frame(
    title: &'static str,
    looker: Looker,
    open: impl Fn(HtmlElement) + Copy + Send + Sync + 'static,
    children: Children,
) -> impl IntoView {
    let this = this();
    let (host, frame) = (NodeRef::<html::Div>::new(), NodeRef::<html::Section>::new());
    host.on_load(move |host| open(host.unchecked_into()));
    let again = move || match (looker.glass(), host.get_untracked()) {
        (None, Some(host)) => {
            looker.seat.set(Seat::Connecting);
            open(host.unchecked_into());
        }
        _ => looker.again(),
    };
    let up = Memo::new(move |_| {
        this.machine.with(|machine| {
            machine.as_ref().is_some_and(|machine| matches!(machine.state, Some(DomainState::Running | DomainState::Paused)))
        })
    });
    // At once when the guest comes up; now and then while it is up, and what it says could not be had.
    Effect::new(move |before: Option<bool>| {
        let up = up.get();
        if up && matches!(looker.seat.get(), Seat::Off(_)) {
            let pause = if before == Some(false) { Duration::ZERO } else { OFF };
            set_timeout(move || looker.again_if_off(), pause);
        }
        up
    });
    let large = move |_| {
        if let Some(frame) = frame.get_untracked() {
            let _ = frame.request_fullscreen();
        }
    };
    view! {
        <section class="card guestview" aria-label=title node_ref=frame>
            <header>
                <h2>{title}</h2>
                <span class="faint nowrap" role="status">{move || looker.seat.get().word()}</span>
                <span class="quiet wide">{WAY_OUT}</span>
                <span class="push">{children()}<button class="btn small mid" on:click=large>"Full screen"</button></span>
            </header>
            {move || looker.seat.get().notice().map(|notice| view! {
                <div class="notice"><div>{notice}</div><button class="btn small" on:click=move |_| again()>"Connect now"</button></div>
            })}
            <div class="glass" node_ref=host></div>
        </section>
    }
}
