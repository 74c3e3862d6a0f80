//! The doors that are open on this host. Setting them changes only what differs: a door that stays keeps its connections.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use orrery_contracts::MachineId;
use orrery_contracts::machine::MachinePort;
use orrery_queue::ports::Held;
use tokio::task::JoinHandle;

use super::socket::{Listening, listen};
use super::{Find, Front, Road, Way, tcp, udp};

/// The open doors.
#[derive(Debug, Default)]
pub struct Doors {
    open: tokio::sync::Mutex<HashMap<Front, Door>>,
    /// The same, for who only looks.
    seen: Mutex<Vec<Way>>,
}

#[derive(Debug)]
struct Door {
    way: Way,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A door that could not be opened.
#[derive(Debug)]
pub struct Unopened {
    /// Which.
    pub way: Way,
    /// Why, in words.
    pub why: String,
}

impl Doors {
    /// Has exactly these doors open; answers whether that changed any, and which could not be opened.
    pub async fn set(&self, wanted: Vec<Way>, find: &Find) -> (bool, Vec<Unopened>) {
        let mut open = self.open.lock().await;
        let gone: Vec<Front> = open.values().filter(|door| !wanted.contains(&door.way)).map(|door| door.way.front).collect();
        let mut changed = !gone.is_empty();
        for front in gone {
            if let Some(mut door) = open.remove(&front) {
                door.task.abort();
                // Once it has ended, its socket is closed, and another may have the port.
                let _ = (&mut door.task).await;
                tracing::info!(port = %front, machine = %door.way.machine, "the port leads nowhere any more");
            }
        }
        let mut unopened = Vec::new();
        for way in wanted {
            match open.get(&way.front) {
                Some(door) if door.way == way => {}
                Some(door) => unopened.push(Unopened { why: format!("it is held by {}", door.way.holder), way }),
                None => match begin(&way, find) {
                    Ok(task) => {
                        tracing::info!(port = %way.front, machine = %way.machine, guest = way.guest, "the port leads to its machine");
                        open.insert(way.front, Door { way, task });
                        changed = true;
                    }
                    Err(error) => unopened.push(Unopened { way, why: error.to_string() }),
                },
            }
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = open.values().map(|door| door.way.clone()).collect();
        (changed, unopened)
    }

    /// The doors that are open now.
    pub(super) fn seen(&self) -> Vec<Way> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ports that lead to a machine now.
    #[must_use]
    pub fn of(&self, machine: MachineId) -> Vec<MachinePort> {
        let mut ports: Vec<MachinePort> = self.seen().iter().filter(|way| way.machine == machine).map(Way::told).collect();
        ports.sort();
        ports
    }

    /// What all machines but this one hold.
    #[must_use]
    pub fn held_by_others(&self, machine: MachineId) -> Vec<Held> {
        let others = self.seen().into_iter().filter(|way| way.machine != machine);
        others.map(|way| Held { port: way.front.published(way.guest), holder: way.holder }).collect()
    }
}

fn begin(way: &Way, find: &Find) -> io::Result<JoinHandle<()>> {
    let road = Road::new(way.clone(), Find::clone(find));
    Ok(match listen(way.front)? {
        Listening::Tcp(listener) => tokio::spawn(tcp::serve(listener, road)),
        Listening::Udp(socket) => tokio::spawn(udp::serve(socket, road)),
    })
}
