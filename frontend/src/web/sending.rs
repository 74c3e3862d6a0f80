//! Files on their way to the host. A file goes on whatever page is looked at; it does not survive a reload, and its upload does: the
//! person chooses the same file again, and it goes on where it was.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::machine::NewBox;
use orrery_contracts::rest::{Command, Empty, List};
use orrery_contracts::{NewUpload, Status, Upload};
use uuid::Uuid;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::http::{self, Fault};
use super::later::kept;
use super::live::{Live, live};
use super::toasts::{Toasts, toasts};
use crate::sending::{Known, Part, TRIES, comes_back, pause};
use crate::words::command_reason;

thread_local! {
    /// The files that this page may read, by their uploads.
    static FILES: RefCell<HashMap<Uuid, File>> = RefCell::default();
    /// How often each was begun or stopped: only the latest sender goes on.
    static TURNS: RefCell<HashMap<Uuid, u32>> = RefCell::default();
}

/// What this page does with an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It is sent.
    Sends,
    /// Something is away; it goes on by itself.
    Waits(String),
    /// The person stopped it.
    Stands,
    /// It cannot go on.
    Failed(String),
}

/// All uploads that this person may see, and what this page does with them.
#[derive(Clone, Copy)]
pub(crate) struct Sending {
    pub(crate) all: RwSignal<BTreeMap<Uuid, Upload>>,
    doing: RwSignal<BTreeMap<Uuid, Doing>>,
    live: Live,
    toasts: Toasts,
}

pub(crate) fn sending() -> Sending {
    kept(|| Sending { all: RwSignal::default(), doing: RwSignal::default(), live: live(), toasts: toasts() })
}

/// Lets so many seconds pass.
async fn rest(seconds: u32) {
    let milliseconds = i32::try_from(seconds.saturating_mul(1000)).unwrap_or(i32::MAX);
    let passed = js_sys::Promise::new(&mut |resolve, _| {
        let _ = super::js::window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    });
    let _ = JsFuture::from(passed).await;
}

/// Ends the turn of whoever sends an upload; answers the number of the next.
fn next_turn(id: Uuid) -> u32 {
    TURNS.with_borrow_mut(|turns| {
        let turn = turns.entry(id).or_default();
        *turn = turn.wrapping_add(1);
        *turn
    })
}

fn is_turn(id: Uuid, turn: u32) -> bool {
    TURNS.with_borrow(|turns| turns.get(&id) == Some(&turn))
}

/// The file that was chosen.
pub(crate) fn first_file(input: &web_sys::HtmlInputElement) -> Option<File> {
    input.files()?.get(0)
}

/// What is known of a file.
pub(crate) fn known(file: &File) -> Known {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let (size, modified) = (file.size() as u64, file.last_modified() as u64);
    Known { name: file.name(), size, modified }
}

impl Sending {
    /// Asks which uploads there are.
    pub(crate) fn look(self) {
        spawn_local(async move {
            // A host without machines has none, and says so elsewhere.
            if let Ok(list) = http::get::<List<Upload>>("/uploads", None).await {
                let _ = self.all.try_set(list.items.into_iter().map(|upload| (upload.of.id, upload)).collect());
            }
        });
    }

    /// What this page does with an upload; nothing where it does not have the file.
    pub(crate) fn doing(self, id: Uuid) -> Option<Doing> {
        self.doing.with(|doing| doing.get(&id).cloned())
    }

    /// Begins an upload and sends the file.
    pub(crate) async fn begin(self, new: NewUpload, file: File) -> Result<(), Fault> {
        let upload: Upload = http::post("/uploads", &new, None).await?;
        self.go_on(upload, file);
        Ok(())
    }

    /// Sends what is left of a file.
    pub(crate) fn go_on(self, upload: Upload, file: File) {
        let id = upload.of.id;
        if self.doing.with_untracked(|doing| matches!(doing.get(&id), Some(Doing::Sends | Doing::Waits(_)))) {
            return;
        }
        FILES.with_borrow_mut(|files| files.insert(id, file));
        self.learn(upload);
        self.set(id, Doing::Sends);
        let turn = next_turn(id);
        spawn_local(async move { self.send(id, turn).await });
    }

    /// Goes on with a file that this page has; false when it has none.
    pub(crate) fn again(self, upload: Upload) -> bool {
        let file = FILES.with_borrow(|files| files.get(&upload.of.id).cloned());
        file.map(|file| self.go_on(upload, file)).is_some()
    }

    /// Sends nothing more for now.
    pub(crate) fn stop(self, id: Uuid) {
        next_turn(id);
        self.set(id, Doing::Stands);
    }

    /// Throws an upload away.
    pub(crate) fn cancel(self, id: Uuid) {
        self.stop(id);
        spawn_local(async move {
            match http::tell(&format!("/uploads/{id}/remove"), &Empty {}).await {
                Ok(()) => self.forget(id),
                Err(fault) => self.toasts.fault(&fault),
            }
            self.look();
        });
    }

    /// Has a box made of a whole upload.
    pub(crate) fn import(self, upload: Upload) {
        self.set(upload.of.id, Doing::Sends);
        spawn_local(async move { self.make_box(upload).await });
    }

    async fn send(self, id: Uuid, turn: u32) {
        let mut tries = 0;
        while let Some(upload) = self.all.try_with_untracked(|all| all.get(&id).cloned()).flatten() {
            let answer = self.part(&upload).await;
            if let Ok(upload) = &answer {
                self.learn(upload.clone());
            }
            if !is_turn(id, turn) {
                return;
            }
            match answer {
                Ok(upload) if upload.sha256.is_some() => return self.make_box(upload).await,
                Ok(_) => {
                    tries = 0;
                    self.set(id, Doing::Sends);
                }
                Err(fault) if comes_back(fault.code()) && tries < TRIES => {
                    self.set(id, Doing::Waits(fault.message()));
                    rest(pause(tries)).await;
                    tries = tries.saturating_add(1);
                    if let Ok(upload) = http::get::<Upload>(&format!("/uploads/{id}"), None).await {
                        self.learn(upload);
                    }
                    if !is_turn(id, turn) {
                        return;
                    }
                }
                Err(fault) => {
                    self.set(id, Doing::Failed(fault.message()));
                    return self.look();
                }
            }
        }
    }

    /// Sends the next part. A file that all has come of is closed by an empty one.
    async fn part(self, upload: &Upload) -> Result<Upload, Fault> {
        let id = upload.of.id;
        let path = format!("/uploads/{id}");
        let Some(file) = FILES.with_borrow(|files| files.get(&id).cloned()) else { return Err(Fault::Aborted) };
        let Some(part) = Part::next(upload) else { return http::put(&path, None, &JsValue::from_str("")).await };
        #[allow(clippy::cast_precision_loss)]
        let bytes = file.slice_with_f64_and_f64(part.from as f64, part.to as f64).map_err(|_| Fault::Aborted)?;
        http::put(&path, Some(&part.range(upload.of.size)), &bytes).await
    }

    async fn make_box(self, upload: Upload) {
        let (id, of) = (upload.of.id, upload.of);
        let new = NewBox {
            name: of.name.to_string(),
            url: None,
            upload: upload.sha256.map(|sum| sum.to_string()),
            sha256: None,
            format: of.format,
            description: Some(of.description).filter(|text| !text.is_empty()),
        };
        match http::post::<Command>("/boxes", &new, None).await {
            Ok(command) => {
                self.toasts.accepted(&command);
                self.live.learn(command.clone());
                match super::actions::ended(self.live, command).await {
                    Ok(command) if command.status == Status::Done => self.forget(id),
                    Ok(command) => self.set(id, Doing::Failed(command_reason(&command).unwrap_or_else(|| "No box was made of it.".into()))),
                    Err(fault) => self.set(id, Doing::Failed(fault.message())),
                }
            }
            Err(fault) => self.set(id, Doing::Failed(fault.message())),
        }
        self.look();
    }

    fn learn(self, upload: Upload) {
        let _ = self.all.try_update(|all| all.insert(upload.of.id, upload));
    }

    fn set(self, id: Uuid, doing: Doing) {
        let _ = self.doing.try_update(|all| all.insert(id, doing));
    }

    fn forget(self, id: Uuid) {
        FILES.with_borrow_mut(|files| files.remove(&id));
        let _ = self.doing.try_update(|all| all.remove(&id));
        let _ = self.all.try_update(|all| all.remove(&id));
    }
}
