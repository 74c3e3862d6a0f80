//! `GET /machines/{id}/figures`: what a machine used lately. It stands in no table: it is what this process has heard.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use orrery_contracts::figures::MachineFigures;
use orrery_contracts::rest::Machine;
use time::OffsetDateTime;

use super::named::{self, NamedPath};
use crate::auth::Principal;
use crate::extract::At;
use crate::problems::Answer;
use crate::state::Api;

/// The samples of the window, in columns.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<NamedPath>) -> Answer<Json<MachineFigures>> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    let samples = api.figures.of(machine.id, Instant::now());
    Ok(Json(MachineFigures::of(machine.id, OffsetDateTime::now_utc().into(), &samples)))
}
