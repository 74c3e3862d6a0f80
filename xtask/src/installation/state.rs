//! How each process is: looked at, never remembered.

use std::net::ToSocketAddrs;
use std::time::Duration;

use serde::Serialize;

use super::database;
use super::members::Member;
use super::record::Record;
use crate::folders::Data;
use crate::readiness::{self, Answer};

/// What `status` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It runs, and is not ready.
    Starting,
    /// It runs and does its work.
    Ready,
    /// It was started, nobody stopped it, and it is gone.
    Dead,
    /// It was not started, or was stopped.
    Stopped,
}

impl State {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Dead => "dead",
            Self::Stopped => "stopped",
        }
    }
}

/// A process's state, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) state: State,
    pub(crate) waits_for: Vec<String>,
}

/// Looks at one process.
pub(crate) fn look(data: &Data, record: &Record, member: Member) -> Look {
    let only = |state| Look { state, waits_for: Vec::new() };
    let Some(started) = record.of(member) else {
        return only(State::Stopped);
    };
    if !started.identity.is_alive() {
        return only(State::Dead);
    }
    match member {
        Member::Postgres => only(ready_if(database::answers(data))),
        Member::Nats => only(ready_if(accepts(&started.address))),
        Member::Api | Member::Projector | Member::DockerExecutor | Member::LibvirtExecutor => {
            match readiness::of_service(&data.socket(member.name())) {
                Answer::Ready => only(State::Ready),
                Answer::Waits(waits_for) => Look { state: State::Starting, waits_for },
                Answer::Silent => only(State::Starting),
            }
        }
    }
}

const fn ready_if(ready: bool) -> State {
    if ready { State::Ready } else { State::Starting }
}

/// Whether a broker greets at this address.
fn accepts(url: &str) -> bool {
    use std::io::Read;
    let Some((_, address)) = url.split_once("://") else {
        return false;
    };
    let Some(address) = address.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
        return false;
    };
    let second = Duration::from_secs(1);
    let mut greeting = [0_u8; 5];
    std::net::TcpStream::connect_timeout(&address, second)
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(second))?;
            stream.read_exact(&mut greeting)
        })
        .is_ok_and(|()| &greeting == b"INFO ")
}
