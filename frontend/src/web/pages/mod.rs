//! The pages.

mod boxes;
pub(crate) mod command;
mod help;
mod home;
pub(crate) mod line;
mod machine;
mod machines;
mod new_machine;
mod new_stack;
mod nowhere;
pub(crate) mod queue;
mod sign_in;
mod stack;
mod stacks;

pub(crate) use boxes::BoxesPage;
pub(crate) use command::CommandPage;
pub(crate) use help::Help;
pub(crate) use home::{Home, Lately, MachinesTile, Next, Running};
pub(crate) use machine::MachinePage;
pub(crate) use machines::MachinesPage;
pub(crate) use new_machine::NewMachinePage;
pub(crate) use new_stack::NewStackPage;
pub(crate) use nowhere::Nowhere;
pub(crate) use queue::QueuePage;
pub(crate) use sign_in::SignIn;
pub(crate) use stack::StackPage;
pub(crate) use stacks::{NoStacks, StacksPage};
