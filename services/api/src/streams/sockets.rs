//! `WS /machines/{id}/console` and `/machines/{id}/screen`: what a guest says to its console or its screen, and what is said to it,
//! as binary messages, after an empty one that says that it has begun. The executor carries them; nothing is kept here but who came and when he went, in the audit.
//!
//! Who is a stranger is refused before there is a WebSocket. Everything else is said in its close, since a page is shown no other
//! answer: 1000 when the guest has ended, 1012 when the service ends, and 4000 and the status of a refusal with its words.

use std::time::Duration;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use orrery_contracts::rest::Machine;
use orrery_contracts::rpc::{MachineQuestion, StreamFrame};
use orrery_contracts::{Code, Engine, MachineId};
use tokio::time::{Instant, sleep_until, timeout};

use super::KEEP_ALIVE;
use super::seats::Seat;
use crate::auth::audit::{self, Entry};
use crate::auth::{Client, Principal};
use crate::broker::Frames;
use crate::extract::At;
use crate::problems::{Answer, Refusal};
use crate::queries::named::{self, NamedPath};
use crate::state::Api;

/// The largest message that a viewer may send, in bytes.
const LARGEST: usize = 64 * 1024;
/// How long a viewer who does not read is waited for.
const UNREAD: Duration = Duration::from_secs(20);
/// An executor that has given no sign of life for so long has died, and its stream with it.
const SILENCE: Duration = Duration::from_secs(30);

/// Above it stand the statuses of refusals: a close with 4409 is what 409 is in an answer.
const REFUSED: u16 = 4000;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
enum View {
    Console,
    Screen,
}

impl View {
    /// The verb of the question, and the actions of the audit.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Console => ("console", "machine.console.open", "machine.console.close"),
            Self::Screen => ("screen", "machine.screen.open", "machine.screen.close"),
        }
    }
}

/// The serial console of a machine.
pub async fn console(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    At(path): At<NamedPath>,
    upgrade: Upgrade,
) -> Answer<Response> {
    Ok(open(api, principal, client, &path, upgrade, View::Console).await)
}

/// The screen of a machine: the protocol of VNC (RFC 6143).
pub async fn screen(
    State(api): State<Api>,
    principal: Principal,
    client: Client,
    At(path): At<NamedPath>,
    upgrade: Upgrade,
) -> Answer<Response> {
    Ok(open(api, principal, client, &path, upgrade, View::Screen).await)
}

async fn open(api: Api, principal: Principal, client: Client, path: &NamedPath, upgrade: Upgrade, view: View) -> Response {
    let upgrade = upgrade.0.max_message_size(LARGEST).max_frame_size(LARGEST).protocols(["binary"]);
    match Session::begin(api, principal, client, path, view).await {
        Ok(session) => upgrade.on_upgrade(move |socket| session.carry(socket)),
        Err(refusal) => upgrade.on_upgrade(move |socket| close(socket, refused(refusal))),
    }
}

/// How a WebSocket is closed (RFC 6455, section 7.4).
type End = (u16, String);

/// Somebody who looks at a machine, for as long as he does.
struct Session {
    api: Api,
    principal: Principal,
    client: Client,
    machine: MachineId,
    host: String,
    view: View,
}

impl Session {
    async fn begin(api: Api, principal: Principal, client: Client, path: &NamedPath, view: View) -> Answer<Self> {
        let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
        let session = Self { api, principal, client, machine: machine.id, host: machine.host, view };
        if let Err(refusal) = session.principal.may_write() {
            session.note(view.words().1, false).await;
            return Err(refusal);
        }
        Ok(session)
    }

    async fn note(&self, action: &str, succeeded: bool) {
        let subject = self.machine.to_string();
        let (user_id, username) = (Some(self.principal.user_id), self.principal.name.as_str());
        audit::write(&self.api, Entry { user_id, username, action, subject: Some(&subject), succeeded }, &self.client).await;
    }

    async fn carry(self, mut socket: WebSocket) {
        let end = match Seat::take(&self.api, self.principal.user_id) {
            Ok(_seat) => self.look(&mut socket).await,
            Err(refusal) => refused(refusal),
        };
        close(socket, end).await;
    }

    async fn look(&self, socket: &mut WebSocket) -> End {
        let (verb, begins, ends) = self.view.words();
        let question = MachineQuestion { machine_id: self.machine };
        let asked = self.api.broker.ask_for_frames(&self.api.executors, (Engine::Libvirt, &self.host), verb, &question);
        let asked = tokio::select! {
            () = self.api.ending.cancelled() => return the_service_ends(),
            asked = asked => asked,
        };
        let mut frames = match asked {
            Ok(frames) => frames,
            Err(refusal) => return refused(refusal),
        };
        self.note(begins, true).await;
        // The handshake promised nothing: this says that there is something to be seen.
        if !give(socket, Message::Binary(Bytes::new())).await {
            self.note(ends, true).await;
            return (close_code::AWAY, String::new());
        }
        let end = self.both_ways(&mut frames, socket).await;
        self.note(ends, true).await;
        end
    }

    /// Carries until either side ends.
    async fn both_ways(&self, frames: &mut Frames, socket: &mut WebSocket) -> End {
        let (mut checked, mut heard) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                () = self.api.ending.cancelled() => return the_service_ends(),
                () = sleep_until(checked + KEEP_ALIVE) => {
                    checked = Instant::now();
                    if !self.principal.is_still_good(&self.api).await.unwrap_or(false) {
                        return refused(Refusal::new(Code::Unauthenticated, "the session has ended; sign in again"));
                    }
                    if heard.elapsed() > SILENCE {
                        return refused(Refusal::new(Code::ExecutorAway, "the executor does not answer any more; come back"));
                    }
                    if !give(socket, Message::Ping(Bytes::new())).await {
                        return (close_code::AWAY, String::new());
                    }
                }
                said = socket.recv() => match said {
                    Some(Ok(Message::Binary(bytes))) => frames.say(bytes.into()).await,
                    Some(Ok(Message::Text(text))) => frames.say(text.as_bytes().to_vec()).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return (close_code::NORMAL, String::new()),
                },
                frame = frames.next() => {
                    heard = Instant::now();
                    match frame {
                        Some(StreamFrame::Bytes(bytes)) if bytes.0.is_empty() => {}
                        Some(StreamFrame::Bytes(bytes)) => {
                            if !give(socket, Message::Binary(bytes.0.into())).await {
                                return (close_code::AWAY, String::new());
                            }
                        }
                        Some(StreamFrame::End { problem: Some(problem) }) => return refused(Refusal::of(problem)),
                        Some(StreamFrame::End { problem: None }) | None => return (close_code::NORMAL, "the guest has ended".to_owned()),
                        Some(StreamFrame::Open { .. } | StreamFrame::Lines(_)) => {}
                    }
                }
            }
        }
    }
}

async fn close(mut socket: WebSocket, (code, reason): End) {
    let _ = timeout(UNREAD, socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() })))).await;
}

fn the_service_ends() -> End {
    (close_code::RESTART, "the service ends; come back".to_owned())
}

/// A refusal, where there is no answer of HTTP's any more that could carry it.
fn refused(refusal: Refusal) -> End {
    let problem = refusal.problem();
    (REFUSED.saturating_add(problem.status), short(&problem.detail))
}

/// Gives a viewer a message; false when he has gone or does not read.
async fn give(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(UNREAD, socket.send(message)).await, Ok(Ok(())))
}

/// As much of a text as a close has room for: 123 bytes.
fn short(text: &str) -> String {
    let end = (0..=text.len().min(123)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(..end).unwrap_or_default().to_owned()
}

/// The wish for a WebSocket; a request without it is refused with words.
pub struct Upgrade(WebSocketUpgrade);

impl FromRequestParts<Api> for Upgrade {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Answer<Self> {
        let wished = WebSocketUpgrade::from_request_parts(parts, api).await;
        wished.map(Self).map_err(|why: WebSocketUpgradeRejection| {
            Refusal::new(Code::InvalidRequest, format!("this is a WebSocket, and the request asks for none: {why}"))
        })
    }
}

impl OperationInput for Upgrade {
    fn operation_input(_: &mut GenContext, _: &mut Operation) {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reason_of_a_close_fits() {
        assert_eq!(super::short("why"), "why");
        let long = super::short(&"ü".repeat(100));
        assert!(long.len() == 122 && long.chars().all(|character| character == 'ü'), "{long}");
    }
}
