//! One installation on this machine: its six processes, started in order, watched, and stopped in the other order.

pub(crate) mod broker;
pub(crate) mod database;
pub(crate) mod down;
pub(crate) mod lock;
pub(crate) mod logs;
pub(crate) mod members;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod restart;
pub(crate) mod services;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod up;
