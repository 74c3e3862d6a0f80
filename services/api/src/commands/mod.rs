//! Writes: each handler checks what can be known now, and puts one command on the queue. What becomes of it is its
//! executor's to say.
//!
//! **Invariant:** an answer of 202 means that the broker has the command on its disk.

pub mod boxes;
pub mod checks;
pub mod command_cancel;
pub mod command_retry;
pub mod machine_create;
pub mod machine_lifecycle;
pub mod machine_versions;
mod order;
pub mod secrets;
pub mod sources;
pub mod stack_apply;
pub mod stack_create;
pub mod stack_delete;
pub mod stack_deploy;
pub mod stack_restart;
pub mod stack_rollback;
pub mod stack_start;
pub mod stack_stop;
pub mod version_create;
mod waiting;
mod writer;

pub(crate) use order::{About, Order};
pub(crate) use waiting::Expected;
pub(crate) use writer::{MachineSubject, Subject};
pub use writer::{Terms, Writer};
