//! Uploads: files of people for boxes to come, sent on to the executor of machines piece by piece. Nothing of them lies here, in the
//! broker or in the database; an upload that was interrupted goes on where its last piece ended.
//!
//! **Invariant:** what an answer counts as received is on the disk of the host.

mod body;
pub mod sweep;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use orrery_contracts::rest::{Empty, List};
use orrery_contracts::rpc::UploadsQuestion;
use orrery_contracts::{Code, Engine, Name, NewUpload, Upload, UploadOf};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Principal;
use crate::commands::boxes::checksum;
use crate::commands::stack_create::{comment, stack_name};
use crate::extract::{At, Body, Idempotency, With};
use crate::problems::{Answer, Refusal};
use crate::queries::boxes;
use crate::queries::hosts::LOCAL;
use crate::state::Api;

pub use body::{Content, Range, put};

/// The header that says where the next bytes begin.
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// The longest name of a file.
const LONGEST: usize = 255;

/// The variable of `/uploads/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UploadPath {
    /// The upload's id.
    pub id: String,
}

/// `POST /uploads`: begins one. The bytes follow by `PUT`.
pub async fn begin(
    State(api): State<Api>,
    principal: Principal,
    key: Idempotency,
    Body(new): Body<NewUpload>,
) -> Answer<With<Json<Upload>>> {
    principal.may_write()?;
    let of = asked_for(new, key.command_id(&principal.name).uuid(), principal.name)?;
    if boxes::exists(&api, LOCAL, &of.name).await? {
        return Err(Refusal::new(Code::NameTaken, format!("there is a box {} already; remove it first, or take another name", of.name)));
    }
    let upload: Upload = ask(&api, "upload.begin", &of).await?;
    Ok(placed(upload))
}

/// What a request for an upload asks for, under this id.
///
/// # Errors
/// 422 with the field that is wrong.
pub fn asked_for(new: NewUpload, id: Uuid, owner: Name) -> Answer<UploadOf> {
    let name = stack_name(&new.name)?;
    let file = new.file.unwrap_or_default();
    if file.chars().count() > LONGEST || file.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!("file: a name of {LONGEST} characters at most")));
    }
    let expected = new.sha256.filter(|text| !text.is_empty()).map(|text| checksum(&text)).transpose()?;
    let description = comment(new.description)?.unwrap_or_default();
    Ok(UploadOf { id, owner, name, size: new.size, file, modified: new.modified, expected, format: new.format, description })
}

/// `GET /uploads`: one's own, oldest first; an administrator sees everybody's.
pub async fn list(State(api): State<Api>, principal: Principal) -> Answer<Json<List<Upload>>> {
    let mut items: Vec<Upload> = ask(&api, "uploads", &UploadsQuestion { id: None }).await?;
    items.retain(|upload| principal.is_admin() || upload.of.owner == principal.name);
    Ok(Json(List { items, next: None }))
}

/// `GET /uploads/{id}`: how much of it has come.
pub async fn get(State(api): State<Api>, principal: Principal, At(path): At<UploadPath>) -> Answer<With<Json<Upload>>> {
    one(&api, &principal, &path.id).await.map(placed)
}

/// `POST /uploads/{id}/remove`: throws away what has come.
pub async fn remove(
    State(api): State<Api>,
    principal: Principal,
    At(path): At<UploadPath>,
    Body(Empty {}): Body<Empty>,
) -> Answer<Json<Empty>> {
    principal.may_write()?;
    let upload = one(&api, &principal, &path.id).await?;
    if let Some(sum) = &upload.sha256
        && sweep::named_by_waiting_commands(&api).await?.contains(sum)
    {
        return Err(Refusal::new(Code::Conflict, "a command waits to make a box of it: cancel that first"));
    }
    let () = ask(&api, "upload.remove", &UploadsQuestion { id: Some(upload.of.id) }).await?;
    Ok(Json(Empty {}))
}

/// An upload that the caller may know of.
async fn one(api: &Api, principal: &Principal, id: &str) -> Answer<Upload> {
    let missing = || Refusal::not_found(format!("the upload {id}"));
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let found: Vec<Upload> = ask(api, "uploads", &UploadsQuestion { id: Some(id) }).await?;
    let mine = |upload: &Upload| principal.is_admin() || upload.of.owner == principal.name;
    found.into_iter().find(mine).ok_or_else(missing)
}

async fn ask<Q: Serialize, T: DeserializeOwned>(api: &Api, verb: &str, question: &Q) -> Answer<T> {
    api.broker.ask(&api.executors, (Engine::Libvirt, LOCAL), verb, question).await
}

/// An upload, and in a header where its next bytes begin.
fn placed(upload: Upload) -> With<Json<Upload>> {
    With { name: OFFSET, value: HeaderValue::from(upload.received), answer: Json(upload) }
}
