//! The pages.

pub(crate) mod command;
mod help;
mod home;
mod new_stack;
mod nowhere;
pub(crate) mod queue;
mod sign_in;
mod stack;
mod stacks;

pub(crate) use command::CommandPage;
pub(crate) use help::Help;
pub(crate) use home::Home;
pub(crate) use new_stack::NewStackPage;
pub(crate) use nowhere::Nowhere;
pub(crate) use queue::QueuePage;
pub(crate) use sign_in::SignIn;
pub(crate) use stack::StackPage;
pub(crate) use stacks::{NoStacks, StacksPage};
