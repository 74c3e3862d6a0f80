//! `POST /machines/{id}/start | shutdown | stop | reboot | suspend | resume | delete | snapshots`: one command each. What the
//! guest makes of it is its executor's to find out.

use axum::extract::State;
use orrery_contracts::Action;
use orrery_contracts::command::{CommandType, MachineDelete, MachineShutdown, NoFields, SnapshotCreate, SnapshotName};
use orrery_contracts::rest::Empty;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{About, MachineSubject, Order, Writer};
use crate::extract::{Accepted, At, Body};
use crate::problems::Answer;
use crate::queries::named::NamedPath;
use crate::state::Api;

/// The variables of `/machines/{id}/snapshots/{name}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SnapshotPath {
    /// A machine's id, its name, or `owner/name` (percent-encoded).
    pub id: String,
    /// The snapshot's name.
    pub name: String,
}

/// Starts the guest.
pub async fn start(State(api): State<Api>, writer: Writer, At(path): At<NamedPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineStart, NoFields {}).await
}

/// Asks the guest to end, and ends it when its time is over.
pub async fn shutdown(
    State(api): State<Api>,
    writer: Writer,
    At(path): At<NamedPath>,
    Body(how): Body<MachineShutdown>,
) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineShutdown, how).await
}

/// Ends the guest at once.
pub async fn stop(State(api): State<Api>, writer: Writer, At(path): At<NamedPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineStop, NoFields {}).await
}

/// Has the guest boot again.
pub async fn reboot(State(api): State<Api>, writer: Writer, At(path): At<NamedPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineReboot, NoFields {}).await
}

/// Has the guest stand still.
pub async fn suspend(State(api): State<Api>, writer: Writer, At(path): At<NamedPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineSuspend, NoFields {}).await
}

/// Lets the guest go on.
pub async fn resume(State(api): State<Api>, writer: Writer, At(path): At<NamedPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineResume, NoFields {}).await
}

/// Removes the machine; its disks only when told.
pub async fn delete(State(api): State<Api>, writer: Writer, At(path): At<NamedPath>, Body(how): Body<MachineDelete>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineDelete, how).await
}

/// Keeps the machine as it is now.
pub async fn snapshot(
    State(api): State<Api>,
    writer: Writer,
    At(path): At<NamedPath>,
    Body(new): Body<SnapshotCreate>,
) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineSnapshotCreate, new).await
}

/// Has the machine be as it was.
pub async fn revert(State(api): State<Api>, writer: Writer, At(path): At<SnapshotPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineSnapshotRevert, SnapshotName { name: path.name }).await
}

/// Forgets a snapshot.
pub async fn forget(State(api): State<Api>, writer: Writer, At(path): At<SnapshotPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    order(&api, &writer, &path.id, CommandType::MachineSnapshotDelete, SnapshotName { name: path.name }).await
}

async fn order<P: Serialize>(api: &Api, writer: &Writer, reference: &str, kind: CommandType, payload: P) -> Answer<Accepted> {
    let machine = match writer.machine(api, reference, |action: &Action| action.command_type() == kind).await? {
        MachineSubject::Machine(machine) => machine,
        MachineSubject::Repeated(answer) => return Ok(*answer),
    };
    let order = Order::new(writer, kind, machine.id.to_string(), payload)?;
    order.place(api, writer, About::machine(&machine, machine.current_version)).await
}
