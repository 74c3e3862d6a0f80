//! The query of an address, and the paging that all lists share.
//!
//! Unknown parameters are refused, so that a misspelt filter does not answer with everything.

use std::time::Duration;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use orrery_contracts::Code;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The query, parsed.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Answer<Self> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(value)| Self(value)).map_err(|error| Refusal::new(Code::MalformedRequest, error.body_text()))
    }
}

impl<T: JsonSchema> OperationInput for Params<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Query::<T>::operation_input(ctx, operation);
    }
}

/// How much of a list is wanted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// How many items: 50 by default, 500 at most.
    pub limit: Option<u32>,
    /// Where to begin: `next` of the page before.
    pub after: Option<String>,
}

impl Page {
    /// How many items.
    ///
    /// # Errors
    /// 422 when it is nothing or too much.
    pub fn limit(limit: Option<u32>) -> Answer<i64> {
        match limit.unwrap_or(50) {
            limit @ 1..=500 => Ok(i64::from(limit)),
            other => Err(Refusal::invalid(format!("limit={other}: ask for 1 to 500 items"))),
        }
    }
}

/// Reads `30s`, `500ms`, `2m` or plain seconds, up to `most`.
///
/// # Errors
/// 422 when it is none of these.
pub fn wait_time(text: &str, most: Duration) -> Answer<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| unreadable(text))?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        _ => return Err(unreadable(text)),
    };
    Ok(time.min(most))
}

fn unreadable(text: &str) -> Refusal {
    Refusal::invalid(format!("wait={text}: write it as 30s, 500ms or 2m"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Page, wait_time};

    #[test]
    fn a_waiting_time_is_read_and_bounded() {
        let most = Duration::from_secs(60);
        let read = |text| wait_time(text, most).ok();
        assert_eq!(read("30s"), Some(Duration::from_secs(30)));
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("5"), Some(Duration::from_secs(5)));
        assert_eq!(read("9m"), Some(most));
        for bad in ["", "s", "-1s", "1h", "1.5s"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_page_has_50_items_unless_told_and_500_at_most() {
        assert_eq!(Page::limit(None).unwrap(), 50);
        assert_eq!(Page::limit(Some(500)).unwrap(), 500);
        assert!(Page::limit(Some(501)).is_err() && Page::limit(Some(0)).is_err());
    }
}
