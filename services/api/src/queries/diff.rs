//! `GET /stacks/{id}/diff/{a}/{b}`: how the files of two versions differ. Version 0 is an empty bundle.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use orrery_contracts::rest::{FileDiff, Machine, Stack, VersionDiff};
use orrery_contracts::{Bundle, FileContent};
use schemars::JsonSchema;
use serde::Deserialize;
use similar::TextDiff;

use super::line::Line;
use super::named;
use crate::auth::Principal;
use crate::commands::stack_apply::version_of;
use crate::extract::At;
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// A file is compared by lines for so long; then the rest of it counts as changed.
const PATIENCE: Duration = Duration::from_millis(500);

/// The variables of `/stacks/{id}/diff/{a}/{b}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DiffPath {
    /// A stack's id, its name, or `owner/name` (percent-encoded).
    pub id: String,
    /// The version on the left; 0 is nothing.
    pub a: u32,
    /// The version on the right; 0 is nothing.
    pub b: u32,
}

/// Compares two versions.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<DiffPath>) -> Answer<Json<VersionDiff>> {
    let stack: Stack = named::fetch(&api, &principal, &path.id).await?;
    of(&api, &Line::from(&stack), &path).await
}

/// Compares two versions of a machine.
pub async fn get_of_machine(State(api): State<Api>, principal: Principal, At(path): At<DiffPath>) -> Answer<Json<VersionDiff>> {
    let machine: Machine = named::fetch(&api, &principal, &path.id).await?;
    of(&api, &Line::from(&machine), &path).await
}

async fn of(api: &Api, line: &Line, path: &DiffPath) -> Answer<Json<VersionDiff>> {
    let (left, right) = (files(api, line, path.a).await?, files(api, line, path.b).await?);
    between(path.a, left, path.b, right).await.map(Json)
}

async fn files(api: &Api, line: &Line, version: u32) -> Answer<Bundle> {
    match version {
        0 => Ok(Bundle::default()),
        version => version_of(api, line, version).await?.bundle(api).await,
    }
}

/// Compares two bundles, off the threads that answer.
///
/// # Errors
/// When comparing breaks.
pub(crate) async fn between(from: u32, left: Bundle, to: u32, right: Bundle) -> Answer<VersionDiff> {
    let compared = tokio::task::spawn_blocking(move || compare(&left, &right)).await;
    let files = compared.map_err(|error| Refusal::internal("comparing versions", &error))?;
    Ok(VersionDiff { from, to, files })
}

fn compare(left: &Bundle, right: &Bundle) -> Vec<FileDiff> {
    let paths: BTreeSet<&String> = left.files.keys().chain(right.files.keys()).collect();
    paths.into_iter().filter_map(|path| compare_file(path, left.files.get(path), right.files.get(path))).collect()
}

fn compare_file(path: &str, left: Option<&FileContent>, right: Option<&FileContent>) -> Option<FileDiff> {
    let status = match (left, right) {
        (None, Some(_)) => "added",
        (Some(_), None) => "removed",
        (Some(left), Some(right)) if left != right => "changed",
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let text = |file: Option<&FileContent>| file.map_or(Some(String::new()), |file| file.as_text().map(str::to_owned));
    let diff = match (text(left), text(right)) {
        (Some(old), Some(new)) => Some(unified(path, status, &old, &new)),
        (None, _) | (_, None) => None,
    };
    Some(FileDiff { path: path.to_owned(), status: status.to_owned(), diff })
}

fn unified(path: &str, status: &str, old: &str, new: &str) -> String {
    let (before, after) = (format!("a/{path}"), format!("b/{path}"));
    let nothing = "/dev/null".to_owned();
    let (before, after) = match status {
        "added" => (nothing, after),
        "removed" => (before, nothing),
        _ => (before, after),
    };
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    diff.unified_diff().context_radius(3).header(&before, &after).to_string()
}

#[cfg(test)]
mod tests {
    use orrery_contracts::Bundle;

    #[test]
    fn files_are_added_removed_and_changed_line_by_line() {
        let read = |text: &str| serde_json::from_str::<Bundle>(text).unwrap();
        let left = read(r#"{"files":{"same":"x","old":"1\n","compose.yaml":"a\nb\nc\n","logo":{"base64":"//8="}}}"#);
        let right = read(r#"{"files":{"same":"x","new":"2\n","compose.yaml":"a\nB\nc\n","logo":{"base64":"//4="}}}"#);
        let told: Vec<_> = super::compare(&left, &right).into_iter().map(|file| (file.path, file.status, file.diff)).collect();
        insta::assert_debug_snapshot!(told);
    }
}
