//! The small parts that pages are made of.

mod bench;
mod command_rows;
mod dialog;
mod diff_view;
mod dry_plan;
mod fault;
mod field_changes;
mod head;
mod machine_form;
mod mark;
mod more_menu;
mod orbit_picture;
mod plan_list;
mod ports;
mod sight;
mod status;
mod step_list;
mod sure;

pub(crate) use bench::{Bench, BenchState, open_archives};
pub(crate) use command_rows::{CommandButtons, CommandName, CommandWord, Through};
pub(crate) use dialog::Dialog;
pub(crate) use diff_view::{DiffView, FileDiffs, Sides};
pub(crate) use dry_plan::{DryPlan, Question};
pub(crate) use fault::{FaultNote, Waiting};
pub(crate) use field_changes::FieldChanges;
pub(crate) use head::PageHead;
pub(crate) use machine_form::MachineForm;
pub(crate) use mark::Mark;
pub(crate) use more_menu::MoreMenu;
pub(crate) use orbit_picture::OrbitPicture;
pub(crate) use plan_list::{PlanNotes, ProgressList};
pub(crate) use ports::Ports;
pub(crate) use sight::Sight;
pub(crate) use status::Status;
pub(crate) use step_list::{KeptLog, StepList};
pub(crate) use sure::Sure;
