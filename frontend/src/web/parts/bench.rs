//! The bench: every file of a bundle, one of them in the editor, what the checker says of them all. It changes a draft
//! and nothing else; who saves it, and as what, is the page's.

mod file_dialog;
mod paper;
mod problems;
mod tree;

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::FileContent;

use crate::check::{Check, definition_file};
use crate::draft::Draft;
use crate::route::Of;
use crate::web::actions::{is_archive, unpack};
use crate::web::js;
use crate::web::toasts::toasts;

/// What the parts of a bench share.
#[derive(Clone, Copy)]
pub(crate) struct BenchState {
    pub(crate) draft: RwSignal<Draft>,
    pub(crate) selected: RwSignal<String>,
    /// Raised whenever the draft changes by something other than typing.
    pub(crate) turn: RwSignal<u32>,
    pub(crate) found: RwSignal<Check>,
    /// A place that the editor should show.
    pub(crate) go_to: RwSignal<Option<(u32, u32)>>,
    pub(crate) diff: RwSignal<bool>,
}

impl BenchState {
    /// A bench for a draft; `of` says what the files define, `project` what it is called, once it has one.
    pub(crate) fn new(draft: RwSignal<Draft>, of: Of, project: impl Fn() -> String + Send + Sync + 'static) -> Self {
        let selected = RwSignal::new(draft.with_untracked(|draft| definition_file(draft.bundle())));
        let state = Self {
            draft,
            selected,
            turn: RwSignal::new(0),
            found: RwSignal::new(Check::default()),
            go_to: RwSignal::new(None),
            diff: RwSignal::new(false),
        };
        let toasts = toasts();
        // Not at every letter: when the fingers rest for a moment. What is found counts while nothing newer is looked at.
        let latest = StoredValue::new(0_u32);
        let look = move |ticket: u32, draft: Draft, project: String| {
            spawn_local(async move {
                let told = js::check(of, draft.bundle(), &project).await;
                if latest.try_get_value() != Some(ticket) {
                    return;
                }
                match told {
                    Ok(found) => {
                        let _ = state.found.try_set(found);
                    }
                    Err(why) => toasts.bad(why),
                }
            });
        };
        Effect::new(move |first: Option<()>| {
            let (draft, project) = (draft.get(), project());
            let ticket = latest.get_value().wrapping_add(1);
            latest.set_value(ticket);
            if first.is_none() {
                look(ticket, draft, project);
            } else {
                let run = move || {
                    if latest.try_get_value() == Some(ticket) {
                        look(ticket, draft, project);
                    }
                };
                set_timeout(run, std::time::Duration::from_millis(120));
            }
        });
        state
    }

    /// Changes the draft by something other than typing; the editor shows what came out.
    pub(crate) fn change(self, with: impl FnOnce(&mut Draft)) {
        self.draft.update(with);
        let gone = self.draft.with_untracked(|draft| !draft.bundle().files.contains_key(&self.selected.get_untracked()));
        if gone {
            self.selected.set(self.draft.with_untracked(|draft| definition_file(draft.bundle())));
        }
        self.turn.update(|turn| *turn = turn.wrapping_add(1));
    }

    /// Takes files that came in; archives are unpacked first.
    pub(crate) fn take(self, incoming: impl Future<Output = Result<Vec<(String, Vec<u8>)>, String>> + 'static) {
        let toasts = toasts();
        spawn_local(async move {
            let files = match incoming.await {
                Ok(files) => open_archives(files).await,
                Err(why) => Err(why),
            };
            let taken = files.and_then(|files| {
                let first = files.first().map(|(path, _)| path.clone());
                let mut outcome = Ok(());
                self.change(|draft| outcome = draft.take(files));
                outcome.map(|()| first)
            });
            match taken {
                Ok(Some(_)) if self.selected.with_untracked(String::is_empty) => {
                    self.selected.set(self.draft.with_untracked(|draft| definition_file(draft.bundle())))
                }
                Ok(_) => {}
                Err(why) => toasts.bad(why),
            }
        });
    }
}

/// Files as they are, and the files within archives.
pub(crate) async fn open_archives(files: Vec<(String, Vec<u8>)>) -> Result<Vec<(String, FileContent)>, String> {
    let mut all = Vec::new();
    for (path, bytes) in files {
        if is_archive(&path) {
            let bundle = unpack(&path, &bytes).await.map_err(|fault| format!("{path}: {}", fault.message()))?;
            all.extend(bundle.files);
        } else {
            all.push((path, FileContent { bytes, executable: false }));
        }
    }
    Ok(all)
}

/// The bench itself; `children` is the bar below it.
#[component]
pub(crate) fn Bench(state: BenchState, children: Children) -> impl IntoView {
    let over = RwSignal::new(false);
    let dropped = move |event: web_sys::DragEvent| {
        event.prevent_default();
        over.set(false);
        state.take(js::files_of_drop(&event));
    };
    view! {
        <section class="card" aria-label="Files of the definition" class:over=move || over.get()
            on:dragover=move |event: web_sys::DragEvent| { event.prevent_default(); over.set(true); } on:dragleave=move |_| over.set(false) on:drop=dropped>
            <div class="bench">
                <tree::Tree state/>
                <div class="desk"><paper::Strip state/><paper::Paper state/></div>
            </div>
            <problems::ProblemList state/>
            {children()}
        </section>
    }
}
