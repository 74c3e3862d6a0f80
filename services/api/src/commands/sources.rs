//! Where the files of a request come from, in the request itself or uploaded before, and how they go to the executor:
//! inside the command when they are small, by digest of an upload when they are not.

use orrery_contracts::{Bundle, Code, Digest};

use super::checks;
use crate::problems::{Answer, Refusal, fault};
use crate::state::Api;

/// Up to this size files travel inside the command.
pub const INLINE_BYTES: usize = 256 * 1024;

/// Files on their way: exactly one of the two is set.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The files themselves.
    pub bundle: Option<Bundle>,
    /// The digest under which they were uploaded.
    pub digest: Option<Digest>,
}

/// The files that a request names, within the limits.
///
/// # Errors
/// 422 when it names none, two sources, or a digest under which nothing lies.
pub async fn named(api: &Api, bundle: Option<Bundle>, digest: Option<&Digest>) -> Answer<Bundle> {
    let bundle = match (bundle, digest) {
        (Some(bundle), None) => bundle,
        (None, Some(digest)) => bundle_at(api, digest).await?,
        (Some(_), Some(_)) => {
            return Err(Refusal::invalid("give either `bundle` or `digest`").with_errors(vec![fault("digest", "not with `bundle`")]));
        }
        (None, None) => {
            return Err(Refusal::invalid("give the files as `bundle`, or the `digest` of an upload")
                .with_errors(vec![fault("bundle", "is missing")]));
        }
    };
    checks::bundle_can_be_taken(&bundle, &api.config.limits)?;
    Ok(bundle)
}

/// The bundle under a digest.
///
/// # Errors
/// 422 when nothing lies there or it is no bundle; 503 when the broker is away.
pub async fn bundle_at(api: &Api, digest: &Digest) -> Answer<Bundle> {
    let nothing =
        || Refusal::new(Code::InvalidRequest, format!("no files lie under {digest}; an upload that no command names is kept for a day"));
    let bytes = api.broker.bytes_of(digest, canonical_limit(api)).await?.ok_or_else(nothing)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::invalid(format!("what lies under {digest} is no bundle")))
}

/// How many bytes a bundle of allowed size may have in its canonical form.
pub fn canonical_limit(api: &Api) -> usize {
    let limits = &api.config.limits;
    limits.bytes.saturating_mul(2).saturating_add(limits.files.saturating_mul(1200)).saturating_add(1024)
}

/// Makes files ready to travel.
///
/// # Errors
/// 503 when they must be uploaded and the broker is away.
pub async fn sent(api: &Api, bundle: Bundle) -> Answer<Sent> {
    if bundle.canonical_bytes().len() <= INLINE_BYTES {
        return Ok(Sent { bundle: Some(bundle), digest: None });
    }
    let digest = api.broker.upload(&bundle).await?;
    Ok(Sent { bundle: None, digest: Some(digest) })
}
