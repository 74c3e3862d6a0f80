//! `POST /compose/check`: what there is to say about a definition, without keeping it.

use axum::Json;
use axum::extract::State;
use orrery_compose::LoadOptions;
use orrery_contracts::rest::{CheckReport, CheckRequest};

use crate::auth::Principal;
use crate::commands::checks::{bundle_can_be_taken, located, read};
use crate::extract::Body;
use crate::problems::Answer;
use crate::state::Api;

/// Checks a definition.
pub async fn check(State(api): State<Api>, _: Principal, Body(asked): Body<CheckRequest>) -> Answer<Json<CheckReport>> {
    bundle_can_be_taken(&asked.bundle, &api.config.limits)?;
    let fallback = LoadOptions::default();
    let options = LoadOptions {
        project: asked.project.unwrap_or(fallback.project),
        project_dir: asked.project_dir.unwrap_or(fallback.project_dir),
        environment: asked.environment,
        ..LoadOptions::default()
    };
    let outcome = read(&asked.bundle, options).await?;
    Ok(Json(CheckReport {
        valid: outcome.is_valid(),
        errors: outcome.errors().map(located).collect(),
        refusals: outcome.refusals().map(located).collect(),
        notes: outcome.notes().map(located).collect(),
        normalized: outcome.normalized.clone().filter(|_| outcome.is_valid()),
    }))
}
