//! What is meant by an id, a name or `owner/name`: one way for stacks and for machines.

use std::collections::BTreeSet;
use std::future::Future;

use axum::http::HeaderValue;
use orrery_contracts::command::Target;
use orrery_contracts::rest::{List, Machine, Stack};
use orrery_contracts::{Code, Name, Time};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::page;
use crate::auth::Principal;
use crate::consistency;
use crate::extract::Page;
use crate::problems::{Answer, Refusal, fault};
use crate::state::Api;

/// The variable of `/stacks/{id}` and `/machines/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NamedPath {
    /// An id, a name, or `owner/name` (percent-encoded).
    pub id: String,
}

/// Which rows are wanted; whatever is none asks for nothing.
pub(crate) struct Wanted {
    pub(crate) id: Option<Uuid>,
    pub(crate) name: Option<String>,
    pub(crate) owner: Option<String>,
    /// The name and the id behind which a page begins.
    pub(crate) after: Option<String>,
    pub(crate) after_id: Option<Uuid>,
    pub(crate) limit: i64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { id: None, name: None, owner: None, after: None, after_id: None, limit: 500 }
    }
}

/// What has an owner and a name, and lies in the read model.
pub(crate) trait Named: Sized + Send {
    /// What it is called in sentences.
    const WHAT: &'static str;

    /// The one statement that fetches them: whose they are is part of it.
    fn select(api: &Api, sees_only: Option<&str>, wanted: Wanted) -> impl Future<Output = Answer<Vec<Self>>> + Send;

    /// Its id, its owner, its name, and when it was made.
    fn identity(&self) -> (Uuid, &str, &str, Time);
}

impl Named for Stack {
    const WHAT: &'static str = "stack";

    async fn select(api: &Api, sees_only: Option<&str>, wanted: Wanted) -> Answer<Vec<Self>> {
        super::stacks::select(api, sees_only, wanted).await
    }

    fn identity(&self) -> (Uuid, &str, &str, Time) {
        (self.id.uuid(), &self.owner, &self.name, self.created_at)
    }
}

impl Named for Machine {
    const WHAT: &'static str = "machine";

    async fn select(api: &Api, sees_only: Option<&str>, wanted: Wanted) -> Answer<Vec<Self>> {
        super::machines::select(api, sees_only, wanted).await
    }

    fn identity(&self) -> (Uuid, &str, &str, Time) {
        (self.id.uuid(), &self.owner, &self.name, self.created_at)
    }
}

/// A page of those that the caller may see, by name.
pub(super) async fn list<T: Named>(api: &Api, principal: &Principal, asked: Page) -> Answer<List<T>> {
    let limit = Page::limit(asked.limit)?;
    consistency::catch_up_with_own_writes(api).await?;
    let (after, after_id) = match asked.after.as_deref() {
        Some(cursor) => cursor_of(cursor).map(|(name, id)| (Some(name), Some(id)))?,
        None => (None, None),
    };
    let wanted = Wanted { after, after_id, limit: limit.saturating_add(1), ..Wanted::default() };
    let found = T::select(api, principal.sees_only(), wanted).await?;
    Ok(page(found, limit, |one: &T| {
        let (id, _, name, _) = one.identity();
        format!("{name}/{id}")
    }))
}

/// What a caller means and may see; waits for the read model before it says that there is none.
///
/// # Errors
/// 404, or 409 when the name means several.
pub(crate) async fn fetch<T: Named>(api: &Api, principal: &Principal, reference: &str) -> Answer<T> {
    consistency::catch_up_with_own_writes(api).await?;
    if let Some(found) = look_up(api, principal, reference).await? {
        return Ok(found);
    }
    consistency::catch_up_with_everything(api).await?;
    let found = look_up(api, principal, reference).await?;
    found.ok_or_else(|| Refusal::not_found(format!("the {} {reference:?}", T::WHAT)))
}

/// The same, without waiting.
async fn look_up<T: Named>(api: &Api, principal: &Principal, reference: &str) -> Answer<Option<T>> {
    let Ok(target) = Target::parse(reference) else { return Ok(None) };
    let wanted = match target {
        Target::Id(id) => Wanted { id: Some(id), ..Wanted::default() },
        Target::Of(owner, name) => Wanted { owner: Some(owner.into()), name: Some(name.into()), ..Wanted::default() },
        Target::Own(name) => Wanted { name: Some(name.into()), ..Wanted::default() },
    };
    let mut found = T::select(api, principal.sees_only(), wanted).await?;
    // Of two creates of one name that wait, the second will be rejected.
    found.sort_by_key(|one| one.identity().3);
    let mut owners = BTreeSet::new();
    found.retain(|one| owners.insert(one.identity().1.to_owned()));
    let own = found.iter().position(|one| one.identity().1 == principal.name.as_str());
    match (found.len(), own) {
        (0 | 1, _) => Ok(found.pop()),
        (_, Some(own)) => Ok(Some(found.swap_remove(own))),
        (_, None) => {
            let of = |one: &T| {
                let (id, owner, name, _) = one.identity();
                fault(format!("{owner}/{name}"), id.to_string())
            };
            let detail = format!("{} {}s are named {reference:?}; say owner/name or the id", found.len(), T::WHAT);
            Err(Refusal::new(Code::Ambiguous, detail).with_errors(found.iter().map(of).collect()))
        }
    }
}

/// The one with this id, whosever it is; none when it is gone.
pub(crate) async fn by_id<T: Named>(api: &Api, id: Uuid) -> Answer<Option<T>> {
    Ok(T::select(api, None, Wanted { id: Some(id), ..Wanted::default() }).await?.pop())
}

/// The caller's own of this name.
pub(crate) async fn own<T: Named>(api: &Api, principal: &Principal, name: &Name) -> Answer<Option<T>> {
    let wanted = Wanted { owner: Some(principal.name.to_string()), name: Some(name.to_string()), ..Wanted::default() };
    Ok(T::select(api, principal.sees_only(), wanted).await?.pop())
}

/// Reads `next` of a page.
///
/// # Errors
/// 422 when it is none.
pub fn cursor_of(cursor: &str) -> Answer<(String, Uuid)> {
    let read = cursor.split_once('/').and_then(|(name, id)| Some((name.to_owned(), id.parse().ok()?)));
    read.ok_or_else(|| Refusal::invalid(format!("after={cursor}: take it from `next` of the page before")))
}

/// The `ETag` of what has this latest version.
pub(crate) fn etag(latest: u32) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{latest}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}
