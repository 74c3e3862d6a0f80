//! Who is signed in, and what happens when the session ends: the page goes back to the door, says why, and remembers
//! where the person was.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{Empty, Me};

use super::http;

/// Where a person stands at the door.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Door {
    /// Not known yet.
    Asking,
    In(Me),
    Out {
        /// Whether there was a session that ended by itself.
        ended: bool,
    },
    /// The api cannot be reached to ask.
    Away(String),
}

#[derive(Clone, Copy)]
pub(crate) struct Session(pub(crate) RwSignal<Door>);

impl Session {
    /// Asks the api who is signed in.
    pub(crate) fn ask(self) {
        spawn_local(async move {
            match http::get::<Me>("/auth/me", None).await {
                Ok(me) => self.0.set(Door::In(me)),
                Err(http::Fault::Problem(problem)) if problem.status == 401 => self.ended(),
                // Who is in stays in while the api is away for a moment: the page says "reconnecting" by itself.
                Err(_) if self.0.with_untracked(|door| matches!(door, Door::In(_))) => {}
                Err(fault) => self.0.set(Door::Away(fault.message())),
            }
        });
    }

    /// The name of the person who is signed in; empty at the door.
    pub(crate) fn name(self) -> String {
        self.0.with_untracked(|door| match door {
            Door::In(me) => me.username.clone(),
            Door::Asking | Door::Out { .. } | Door::Away(_) => String::new(),
        })
    }

    /// The api knows no session: told only to a person who had one.
    fn ended(self) {
        self.0.update(|door| *door = Door::Out { ended: matches!(door, Door::In(_) | Door::Out { ended: true }) });
    }

    /// Signs out.
    pub(crate) fn leave(self) {
        spawn_local(async move {
            let _ = http::tell("/auth/logout", &Empty {}).await;
            self.0.set(Door::Out { ended: false });
        });
    }
}

pub(crate) fn provide_session() -> Session {
    let session = Session(RwSignal::new(Door::Asking));
    provide_context(session);
    http::on_session_end(Callback::new(move |()| session.ended()));
    session
}

pub(crate) fn session() -> Session {
    expect_context()
}
