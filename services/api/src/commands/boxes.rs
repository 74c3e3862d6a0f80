//! `POST /boxes` and `POST /boxes/{name}/remove`: one command each. Whether a box may go is known where the disks lie, and so
//! said by its executor.

use axum::extract::State;
use orrery_contracts::command::{BoxImport, CommandType, NoFields};
use orrery_contracts::machine::NewBox;
use orrery_contracts::rest::Empty;
use orrery_contracts::{Digest, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stack_create::{comment, stack_name};
use super::{About, Order, Writer};
use crate::extract::{Accepted, At, Body};
use crate::problems::{Answer, Refusal, fault};
use crate::state::Api;

/// The variable of `/boxes/{name}/remove`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BoxPath {
    /// The box's name.
    pub name: String,
}

/// Brings a box into the pool.
pub async fn import(State(api): State<Api>, writer: Writer, Body(new): Body<NewBox>) -> Answer<Accepted> {
    let (name, payload) = asked_for(new)?;
    place(&api, &writer, name.to_string(), CommandType::BoxImport, payload).await
}

/// What a request for a box asks for: under which name, and what.
///
/// # Errors
/// 422 with the field that is wrong.
pub fn asked_for(new: NewBox) -> Answer<(Name, BoxImport)> {
    let name = stack_name(&new.name)?;
    let sha256 = new.sha256.filter(|text| !text.is_empty()).map(|text| checksum(&text)).transpose()?;
    let (url, upload) = source(new.url, new.upload, sha256.as_ref())?;
    Ok((name, BoxImport { format: new.format, url, upload, sha256, description: comment(new.description)? }))
}

/// Removes a box; one that a machine's disk lies on is not removed, and the command says whose.
pub async fn remove(State(api): State<Api>, writer: Writer, At(path): At<BoxPath>, Body(Empty {}): Body<Empty>) -> Answer<Accepted> {
    let name = stack_name(&path.name)?;
    place(&api, &writer, name.to_string(), CommandType::BoxRemove, NoFields {}).await
}

async fn place<P: Serialize>(api: &Api, writer: &Writer, name: String, kind: CommandType, payload: P) -> Answer<Accepted> {
    let order = Order::new(writer, kind, name.clone(), payload)?;
    if let Some(before) = order.made_before(api, writer).await? {
        return Ok(before);
    }
    order.place(api, writer, About { name, ..About::default() }).await
}

/// Reads a SHA-256.
pub(crate) fn checksum(text: &str) -> Answer<Digest> {
    text.parse().map_err(|_| wrong("sha256", "a SHA-256 has 64 hexadecimal digits in lower case"))
}

/// Where a box comes from: an address, or an upload.
fn source(url: Option<String>, upload: Option<String>, sha256: Option<&Digest>) -> Answer<(Option<String>, Option<Digest>)> {
    match (url, upload) {
        (Some(url), None) => Ok((Some(address(url, sha256.is_some())?), None)),
        (None, Some(upload)) => {
            let upload = upload.parse().map_err(|_| wrong("upload", "this is the `sha256` of an upload that has come whole"))?;
            match sha256.filter(|sha256| **sha256 != upload) {
                Some(_) => Err(wrong("sha256", "it differs from that of the upload")),
                None => Ok((None, Some(upload))),
            }
        }
        (Some(_), Some(_)) => Err(wrong("upload", "give either an address or an upload, not both")),
        (None, None) => Err(wrong("url", "give an address, or an upload")),
    }
}

/// An address that a box can be fetched from: what is not encrypted needs a checksum.
fn address(url: String, checked: bool) -> Answer<String> {
    match url.split_once("://") {
        Some(("https", rest)) if !rest.is_empty() => Ok(url),
        Some(("http", rest)) if !rest.is_empty() && checked => Ok(url),
        Some(("http", rest)) if !rest.is_empty() => Err(wrong("url", "http is not encrypted: say which sha256 the box must have")),
        Some(_) | None => Err(wrong("url", "give an address that begins with https:// or http://")),
    }
}

fn wrong(field: &str, why: &str) -> Refusal {
    Refusal::invalid(format!("{field}: {why}")).with_errors(vec![fault(field, why)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_encrypted_or_comes_with_a_checksum() {
        for (url, checked, fine) in [
            ("https://boxes.example/debian.qcow2", false, true),
            ("http://boxes.example/debian.qcow2", true, true),
            ("http://boxes.example/debian.qcow2", false, false),
            ("https://", true, false),
            ("file:///etc/shadow", true, false),
            ("debian.qcow2", true, false),
        ] {
            assert_eq!(address(url.to_owned(), checked).is_ok(), fine, "{url}");
        }
    }

    #[test]
    fn a_checksum_has_all_its_digits() {
        assert!(checksum(&"a1".repeat(32)).is_ok());
        assert!(checksum("a1").is_err() && checksum(&"G1".repeat(32)).is_err());
    }
}
