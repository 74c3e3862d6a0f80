//! What this release says to a command about a machine. It has no effect on any engine.

use std::convert::Infallible;

use orrery_contracts::command::Glance;
use orrery_contracts::{CommandMessage, Rejection};
use orrery_queue::{Accepted, Executor, JudgeError, Run, RunError};

/// Judges every command of a machine or box as rejected.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMachinesYet;

impl Executor for NoMachinesYet {
    type Job = Infallible;

    fn read(&self, body: &[u8]) -> Result<CommandMessage, Rejection> {
        Err(not_yet(Glance::at(body).r#type.as_deref()))
    }

    async fn judge(&self, _command: &Accepted) -> Result<Infallible, JudgeError> {
        Err(not_yet(None).into())
    }

    async fn execute(&self, job: Infallible, _run: &Run) -> Result<String, RunError> {
        match job {}
    }
}

fn not_yet(kind: Option<&str>) -> Rejection {
    let version = env!("CARGO_PKG_VERSION");
    let what = kind.map_or_else(String::new, |kind| format!("{kind}: "));
    Rejection(format!("{what}virtual machines and system containers are not part of release {version} yet; nothing was done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rejection_names_the_type_and_the_release() {
        let rejection = NoMachinesYet.read(br#"{"type":"machine.create","target":"a"}"#).unwrap_err();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            rejection.0,
            format!("machine.create: virtual machines and system containers are not part of release {version} yet; nothing was done")
        );
    }
}
