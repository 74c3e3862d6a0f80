//! One message becomes rows. Every kind of message has a file; which one it is follows from stream and subject.
//!
//! **Invariant:** what a message does depends on the messages of its own stream before it, and on the commands up to the one
//! that it is about, and on nothing else: so every way of catching up ends with the same rows.

mod arrival;
mod cancel;
mod container;
mod domain;
mod engine;
mod machine;
mod stack;
mod step;
mod transition;

use orrery_contracts::subjects::{EventSubject, parse_event};
use orrery_contracts::{Change, TransitionMessage};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::changes::Changes;
use crate::errors::ProjectError;
use crate::message::{Message, Stream};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the rows.
    Taken,
    /// It changed nothing, and why: it could not be read, or could not follow.
    Passed(String),
}

impl Verdict {
    /// Why it changed nothing.
    #[must_use]
    pub fn reason(self) -> Option<String> {
        match self {
            Self::Taken => None,
            Self::Passed(reason) => Some(reason),
        }
    }

    fn unreadable(error: &serde_json::Error) -> Self {
        Self::Passed(format!("cannot be read: {error}"))
    }
}

/// Where messages become rows.
#[derive(Debug)]
pub struct Projection<'a> {
    /// The connection, within a transaction.
    pub db: &'a mut PgConnection,
    /// The installation, from which the ids of stacks follow.
    pub installation: Uuid,
    /// What has changed so far.
    pub changes: Changes,
}

impl Projection<'_> {
    /// Takes one message.
    ///
    /// # Errors
    /// When the database does not take it, or a number has changed its meaning.
    pub async fn apply(&mut self, message: &Message) -> Result<Verdict, ProjectError> {
        match message.stream {
            Stream::Commands => arrival::apply(self, message).await,
            Stream::Versions => Ok(Verdict::Taken),
            Stream::Observed => self.observe(message).await,
            Stream::Events => match parse_event(&message.subject) {
                Some(EventSubject::Transition(command)) => transition::apply(self, message, command).await,
                Some(EventSubject::Step(command)) => step::apply(self, message, command).await,
                Some(EventSubject::Cancel(command)) => cancel::apply(self, message, command).await,
                Some(EventSubject::Stack(id)) => stack::apply(self, message, id).await,
                Some(EventSubject::Machine(id)) => machine::apply(self, message, id).await,
                None => Ok(Verdict::Passed("the subject is not known to this release".into())),
            },
        }
    }

    /// Takes a command whose words the database refuses: its number has a row all the same, for what is said of it later.
    ///
    /// # Errors
    /// When the database does not take even that.
    pub async fn bare(&mut self, message: &Message) -> Result<(), ProjectError> {
        arrival::bare(self, message).await
    }

    async fn observe(&mut self, message: &Message) -> Result<Verdict, ProjectError> {
        let tokens: Vec<&str> = message.subject.split('.').collect();
        match tokens.as_slice() {
            ["orrery", "observed", host, "container", id] => container::apply(self, message, host, id).await,
            ["orrery", "observed", host, "machine", id] => domain::machine(self, message, host, id).await,
            ["orrery", "observed", host, "box", name] => domain::boxed(self, message, host, name).await,
            ["orrery", "observed", host, "marker", engine] => engine::apply(self, message, host, engine).await,
            _ => Ok(Verdict::Passed("the subject is not known to this release".into())),
        }
    }
}

/// The command that must be there before this message is applied.
#[must_use]
pub fn needs_command(message: &Message) -> Option<u64> {
    match message.stream {
        Stream::Commands | Stream::Versions | Stream::Observed => None,
        Stream::Events => match parse_event(&message.subject)? {
            EventSubject::Transition(command) | EventSubject::Step(command) | EventSubject::Cancel(command) => Some(command),
            EventSubject::Stack(_) | EventSubject::Machine(_) => serde_json::from_slice(&message.body).ok().map(|Caused { seq }| seq),
        },
    }
}

#[derive(serde::Deserialize)]
struct Caused {
    seq: u64,
}

/// Whether this message is a transition: the only kind that proves that its command was there.
#[must_use]
pub fn is_transition(message: &Message) -> bool {
    message.stream == Stream::Events && matches!(parse_event(&message.subject), Some(EventSubject::Transition(_)))
}

/// Whether this message says that a run of a command is over.
#[must_use]
pub fn ends_a_run(message: &Message) -> bool {
    let ends = |transition: TransitionMessage| match transition.change {
        Change::Done { .. } | Change::Failed { .. } | Change::Cancelled { .. } => true,
        Change::Pending {} | Change::Running { .. } => false,
    };
    is_transition(message) && serde_json::from_slice(&message.body).is_ok_and(ends)
}
