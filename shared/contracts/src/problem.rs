//! Errors as other programs see them: `application/problem+json` (RFC 9457) with a stable code, and located errors
//! where a definition is at fault. [`Code`] is the one table of codes, statuses and titles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::VersionDiff;

/// How much a located error matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It must be mended.
    Error,
    /// It works, and probably not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// An error at a place of a definition. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Located {
    /// The file of the bundle; null where the fault is in no file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1, in characters.
    pub column: Option<u32>,
    /// The path within the definition: `services.web.ports`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How much it matters.
    pub severity: Severity,
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A reference to the page that explains the code: `/problems/<code>`.
    pub r#type: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: Code,
    /// What happened this time, and what to do.
    pub detail: String,
    /// The request's path; null where the problem is not of a request.
    #[serde(default)]
    pub instance: Option<String>,
    /// Where a definition is at fault; empty where it is none's fault.
    #[serde(default)]
    pub errors: Vec<Located>,
    /// With `edit_conflict`: what somebody else saved, against what the author saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<Box<VersionDiff>>,
}

impl Problem {
    /// A problem with this code and these words.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("/problems/{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            diff: None,
        }
    }

    /// The same, with located errors.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Located>) -> Self {
        self.errors = errors;
        self
    }
}

/// The stable codes of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is not well-formed.
    MalformedRequest,
    /// Nobody is signed in.
    Unauthenticated,
    /// The credentials are wrong.
    WrongCredentials,
    /// Too many attempts to sign in.
    TooManyAttempts,
    /// Signed in, and not allowed.
    Forbidden,
    /// An unsafe request with a cookie that did not come from the page.
    CrossSite,
    /// There is no such thing, or it is not yours to see.
    NotFound,
    /// There is nothing at this method and path.
    NoSuchRoute,
    /// There is something at this path, for other methods.
    MethodNotAllowed,
    /// More than one thing answers to this name.
    Ambiguous,
    /// The name is taken.
    NameTaken,
    /// The thing is not in a state for this.
    Conflict,
    /// Somebody else saved first.
    EditConflict,
    /// The body is larger than allowed.
    TooLarge,
    /// The content type is not one that is read here.
    UnsupportedMediaType,
    /// The definition has errors.
    InvalidDefinition,
    /// The request can be read and makes no sense.
    InvalidRequest,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// A publisher's or user's quota is used up.
    QuotaExceeded,
    /// The broker cannot be reached.
    BrokerAway,
    /// The executor does not answer.
    ExecutorAway,
    /// The database cannot be reached.
    DatabaseAway,
    /// The broker's storage is nearly full.
    StorageFull,
    /// The disk of the host has no room for this.
    DiskFull,
    /// Something broke on our side.
    Internal,
}

impl Code {
    /// Every code, for documentation and tests.
    pub const ALL: [Self; 25] = [
        Self::MalformedRequest,
        Self::Unauthenticated,
        Self::WrongCredentials,
        Self::TooManyAttempts,
        Self::Forbidden,
        Self::CrossSite,
        Self::NotFound,
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::Ambiguous,
        Self::NameTaken,
        Self::Conflict,
        Self::EditConflict,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidDefinition,
        Self::InvalidRequest,
        Self::IdempotencyKeyReused,
        Self::QuotaExceeded,
        Self::BrokerAway,
        Self::ExecutorAway,
        Self::DatabaseAway,
        Self::StorageFull,
        Self::DiskFull,
        Self::Internal,
    ];

    /// The row of the table: word, HTTP status, title, what it means and what to do.
    const fn row(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            Self::MalformedRequest => (
                "malformed_request",
                400,
                "The request cannot be read",
                "The body or the query could not be read as what the operation takes. The detail names the line and column, or the field. Nothing was changed.",
            ),
            Self::Unauthenticated => (
                "unauthenticated",
                401,
                "Sign in first",
                "The request carries neither a session nor a token, or the session has ended. Sign in, or send `Authorization: Bearer <token>`.",
            ),
            Self::WrongCredentials => (
                "wrong_credentials",
                401,
                "User name or password is wrong",
                "No user has this name and password. Nothing says which of the two is wrong.",
            ),
            Self::TooManyAttempts => (
                "too_many_attempts",
                429,
                "Too many attempts to sign in",
                "Signing in failed too often in a short time. Wait as long as `Retry-After` says.",
            ),
            Self::Forbidden => (
                "forbidden",
                403,
                "Not allowed",
                "You may see this and may not do it. Ask an administrator, or use a token of a wider scope.",
            ),
            Self::CrossSite => (
                "cross_site",
                403,
                "The request did not come from this page",
                "A request that changes something came with a cookie, and without the header `X-Orrery-CSRF` or with the `Origin` of another site. Scripts should use a token instead of a cookie.",
            ),
            Self::NotFound => (
                "not_found",
                404,
                "There is no such thing",
                "There is no such thing, or it belongs to somebody else. What was just accepted is visible within two seconds.",
            ),
            Self::NoSuchRoute => (
                "no_such_route",
                404,
                "There is nothing here",
                "The address is not one of the API's. `/api/v1/openapi.json` lists them all.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                405,
                "Not with this method",
                "The address exists, and not with this method. `Allow` lists the ones that it has.",
            ),
            Self::Ambiguous => (
                "ambiguous",
                409,
                "The name means more than one thing",
                "More than one thing answers to this name or id. The detail lists them; use the id, the sequence, or `owner/name`.",
            ),
            Self::NameTaken => (
                "name_taken",
                409,
                "The name is taken",
                "Another stack of the same owner has this name. Choose another, or delete the other first.",
            ),
            Self::Conflict => (
                "conflict",
                409,
                "Not possible in this state",
                "The thing is in a state in which this cannot be done: a command that has ended cannot be cancelled, one that has not failed cannot be retried. The detail says how it stands now.",
            ),
            Self::EditConflict => (
                "edit_conflict",
                412,
                "Somebody else saved first",
                "Since you loaded it, somebody wrote a newer version. The detail names it, `diff` shows what differs. Load it, put your change on top, and save again.",
            ),
            Self::TooLarge => (
                "too_large",
                413,
                "Too large",
                "The body, or what it unpacks to, is over a limit. The detail names the limit and the variable that sets it.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                415,
                "This content type is not read here",
                "Send JSON; bundles may also come as `application/x-tar`, `application/gzip` or `application/zip`.",
            ),
            Self::InvalidDefinition => (
                "invalid_definition",
                422,
                "The definition has errors",
                "The definition cannot be used. Each error names file, line, column and path, what is wrong, and what to do. Nothing was saved.",
            ),
            Self::InvalidRequest => (
                "invalid_request",
                422,
                "The request makes no sense",
                "The request could be read and makes no sense: a name of the wrong form, two fields that exclude each other. The detail says which.",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                422,
                "The idempotency key was used for another request",
                "This `Idempotency-Key` was used before with another body. The first request stands. Use a new key for a new request.",
            ),
            Self::QuotaExceeded => (
                "quota_exceeded",
                429,
                "Your quota is used up",
                "As many commands wait as you may have waiting, as many consoles and screens are open as you may have open, or as many uploads are unfinished. Wait until some have ended, cancel some, or close some.",
            ),
            Self::BrokerAway => (
                "broker_away",
                503,
                "The broker cannot be reached",
                "NATS does not answer, so nothing can be accepted. Reads go on. Try again after `Retry-After`.",
            ),
            Self::ExecutorAway => (
                "executor_away",
                503,
                "The executor does not answer",
                "The executor that would have to answer gives no sign of life. Commands are accepted and wait for it.",
            ),
            Self::DatabaseAway => (
                "database_away",
                503,
                "The database cannot be reached",
                "PostgreSQL does not answer, so nothing can be read. Publishers on NATS go on, and reads catch up.",
            ),
            Self::StorageFull => (
                "storage_full",
                507,
                "The broker's storage is nearly full",
                "The broker's storage for commands is over 85 % full. Cancel and retry still work. Start the broker again with a larger `ORRERY_NATS_MAX_FILE_STORE`: its streams grow with it.",
            ),
            Self::DiskFull => (
                "disk_full",
                507,
                "The host's disk is full",
                "The disk of the host has no room for what would be written to it. What was written before stays. Make room there, or cancel uploads that nobody needs, and go on.",
            ),
            Self::Internal => (
                "internal",
                500,
                "Something broke on our side",
                "Something broke on our side, and was logged. Nothing was half done: a write is one message on the queue.",
            ),
        }
    }

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The code in words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// What it means, and what to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        self.row().3
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn the_word_of_a_code_is_what_serde_writes() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
