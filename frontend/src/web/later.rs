//! What is not needed for the first screen: it lies in a second WebAssembly module, which is fetched in the background as
//! soon as the frame stands. What is shown before it has come says that it is on its way.
//!
//! The functions marked `wasm_split` are where the build cuts: what only they reach goes into the second module.
// The macro of wasm_split writes the calls across the border; none is written by hand.
#![allow(unsafe_code)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::wasm_split;

use super::pages::{
    BoxesPage, CommandPage, Help, Lately, MachinePage, MachinesPage, MachinesTile, NewMachinePage, NewStackPage, Next, NoStacks, Nowhere,
    QueuePage, Running, StackPage, StacksPage,
};
use super::parts::Waiting;
use super::shell::{Find, HeldBanner, PasswordForm};

/// What the second module holds.
pub(crate) enum Later {
    Stacks,
    NoStacks,
    Stack(String),
    NewStack,
    Machines,
    Machine(String),
    NewMachine,
    Boxes,
    Queue,
    Command(String),
    Help,
    Nowhere,
    /// The list of what can be found and done.
    Find(RwSignal<bool>),
    Password(RwSignal<bool>),
    /// Why the queue stands.
    Held,
    /// What the queue does now, and what it does next.
    Running,
    Next,
    MachinesTile,
    /// What went through it lately.
    Lately,
}

#[wasm_split(later, wasm_split_path = leptos::wasm_split, preload(fetch), fallible)]
fn view_of(later: Box<Later>) -> Result<AnyView, leptos::wasm_split::SplitLoaderError> {
    Ok(match *later {
        Later::Stacks => view! { <StacksPage/> }.into_any(),
        Later::NoStacks => view! { <NoStacks/> }.into_any(),
        Later::Stack(id) => view! { <StackPage id/> }.into_any(),
        Later::NewStack => view! { <NewStackPage/> }.into_any(),
        Later::Machines => view! { <MachinesPage/> }.into_any(),
        Later::Machine(id) => view! { <MachinePage id/> }.into_any(),
        Later::NewMachine => view! { <NewMachinePage/> }.into_any(),
        Later::Boxes => view! { <BoxesPage/> }.into_any(),
        Later::Queue => view! { <QueuePage/> }.into_any(),
        Later::Command(id) => view! { <CommandPage id/> }.into_any(),
        Later::Help => view! { <Help/> }.into_any(),
        Later::Nowhere => view! { <Nowhere/> }.into_any(),
        Later::Find(open) => view! { <Find open/> }.into_any(),
        Later::Password(open) => view! { <PasswordForm open/> }.into_any(),
        Later::Held => view! { <HeldBanner/> }.into_any(),
        Later::Running => view! { <Running/> }.into_any(),
        Later::Next => view! { <Next/> }.into_any(),
        Later::MachinesTile => view! { <MachinesTile/> }.into_any(),
        Later::Lately => view! { <Lately/> }.into_any(),
    })
}

/// How far the second module is: not here yet, here, or not to be had.
#[derive(Clone, Copy)]
struct Second(RwSignal<Option<bool>>);

impl Second {
    fn load(self) {
        self.0.set(None);
        spawn_local(async move {
            let here = fetch().await.is_ok();
            let _ = self.0.try_set(Some(here));
        });
    }
}

/// What lives as long as the frame does, whichever page is looked at.
#[derive(Clone)]
struct Frame(Option<Owner>);

/// Begins to fetch the second module.
pub(crate) fn provide_later() {
    let second = Second(RwSignal::new(None));
    provide_context(second);
    provide_context(Frame(Owner::current()));
    second.load();
}

/// What a part of the second module keeps for as long as the frame stands: made when it is first asked for.
pub(crate) fn kept<T: Clone + Send + Sync + 'static>(make: impl FnOnce() -> T) -> T {
    let keep = || {
        let new = make();
        provide_context(new.clone());
        new
    };
    use_context::<T>().unwrap_or_else(|| match expect_context::<Frame>().0 {
        Some(frame) => frame.with(keep),
        None => keep(),
    })
}

/// Shows something of the second module, once it is here.
pub(crate) fn later(make: impl Fn() -> Later + Send + Sync + 'static) -> AnyView {
    let second = expect_context::<Second>();
    (move || match second.0.get() {
        Some(true) => at_once(view_of(Box::new(make()))).and_then(Result::ok).unwrap_or_else(|| ().into_any()),
        None => view! { <div class="card"><Waiting/></div> }.into_any(),
        Some(false) => view! {
            <div class="notice bad" role="alert">
                <div>"This part of the page could not be loaded: Orrery does not answer, or was updated meanwhile."</div>
                <button class="btn small" on:click=move |_| second.load()>"Try again"</button>
            </div>
        }
        .into_any(),
    })
    .into_any()
}

/// The outcome of what does not have to wait any more: within an owner, a view cannot be awaited.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
