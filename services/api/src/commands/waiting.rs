//! Versions that do not exist yet: what the waiting commands of a stack or machine will make, if nothing comes between.
//!
//! A guess that turns out wrong does no harm: the command carries the digest, and its executor compares.

use orrery_contracts::command::BundleSource;
use orrery_contracts::{Action, Bundle, CommandMessage, Digest};

use super::sources;
use crate::problems::Answer;
use crate::queries::line::Line;
use crate::queries::{sequence, versions};
use crate::state::Api;

/// A version that exists, or that a waiting command will make.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Its number.
    pub(crate) version: u32,
    /// Its bundle.
    pub(crate) digest: Digest,
    /// Its files, where they are still in the command alone.
    files: Option<Bundle>,
}

impl Expected {
    /// The version of a stack that exists or is waited for; none when there is neither.
    pub(crate) async fn find(api: &Api, line: &Line, version: u32) -> Answer<Option<Self>> {
        if let Some(found) = versions::find(api, line.of, version).await? {
            return Ok(Some(Self { version, digest: found.digest, files: None }));
        }
        Ok(to_be_made(api, line).await?.into_iter().find(|expected| expected.version == version))
    }

    /// The newest version of a stack, the waited for included; none when there is none.
    pub(crate) async fn latest(api: &Api, line: &Line) -> Answer<Option<Self>> {
        if let Some(last) = to_be_made(api, line).await?.pop() {
            return Ok(Some(last));
        }
        let found = versions::find(api, line.of, line.latest).await?;
        Ok(found.map(|found| Self { version: found.version, digest: found.digest, files: None }))
    }

    /// Its files.
    pub(crate) async fn bundle(&self, api: &Api) -> Answer<Bundle> {
        match &self.files {
            Some(files) => Ok(files.clone()),
            None => sources::bundle_at(api, &self.digest).await,
        }
    }

    /// Whether its files lie under their digest already.
    pub(crate) fn is_stored(&self) -> bool {
        self.files.is_none()
    }
}

/// What the waiting commands of a stack will make, in order.
async fn to_be_made(api: &Api, line: &Line) -> Answer<Vec<Expected>> {
    let waiting = sqlx::query_scalar!(
        r#"SELECT c.seq FROM read.commands c
           WHERE c.stack_id = $1 AND c.status IN ('PENDING', 'RUNNING', 'FAILED') AND c.readable
             AND c.type IN ('stack.create', 'stack.version.create', 'stack.apply', 'stack.deploy',
                            'machine.create', 'machine.version.create', 'machine.apply', 'machine.deploy')
             AND NOT EXISTS (SELECT FROM read.versions v WHERE v.stack_id = c.stack_id AND v.created_by = c.seq)
           ORDER BY c.seq"#,
        line.id()
    )
    .fetch_all(&api.database)
    .await?;
    let mut expected = Vec::new();
    let mut number = line.latest;
    for seq in waiting {
        let Some(body) = api.broker.command_body(sequence(seq)).await? else { continue };
        let Some((digest, files)) = CommandMessage::read(&body).ok().and_then(|message| makes(message.action)) else { continue };
        number = number.saturating_add(1);
        expected.push(Expected { version: number, digest, files });
    }
    Ok(expected)
}

/// The bundle of the version that an action makes; none when it makes none.
fn makes(action: Action) -> Option<(Digest, Option<Bundle>)> {
    Some(match action.into_source()? {
        BundleSource::Inline(bundle) => (bundle.digest(), Some(bundle)),
        BundleSource::Digest(digest) => (digest, None),
    })
}
