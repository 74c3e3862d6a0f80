//! Every error answer of this service: one type that handlers return, written as `application/problem+json` with the
//! request's path.
//!
//! It must not show what broke inside: that goes to the log, once, with its whole chain.

use std::error::Error;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as ApiResponse, SchemaObject};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use orrery_contracts::{Code, Located, Problem, Severity};

/// Why a request is not answered as its caller wished.
#[derive(Clone, Debug)]
pub struct Refusal {
    problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What handlers answer.
pub type Answer<T> = Result<T, Refusal>;

/// How long a client is asked to wait before it comes again after a 503.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

impl Refusal {
    /// A refusal with this code and these words.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::of(Problem::new(code, detail))
    }

    /// A problem that somebody else put together.
    pub fn of(problem: Problem) -> Self {
        let headers = if problem.status == 503 { vec![(RETRY_AFTER, RETRY_AFTER_SECONDS)] } else { Vec::new() };
        Self { problem: Box::new(problem), headers }
    }

    /// There is no such thing, or the caller may not know of it.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("{what} does not exist, or is not yours to see"))
    }

    /// The request can be read and makes no sense.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// Something broke here. The cause is logged, and not shown.
    pub fn internal(doing: &str, cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %chain(cause), "{doing} failed: {}", chain(cause));
        Self::new(Code::Internal, format!("{doing} failed; the log of the api says why"))
    }

    /// The same, with located errors in their order: by severity, file, line, column.
    #[must_use]
    pub fn with_errors(mut self, mut errors: Vec<Located>) -> Self {
        errors.sort_by(|a, b| (a.severity, &a.file, a.line, a.column).cmp(&(b.severity, &b.file, b.line, b.column)));
        self.problem.errors = errors;
        self
    }

    /// The same, with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.problem.code
    }

    /// The problem itself.
    pub fn problem(self) -> Problem {
        *self.problem
    }
}

/// A located error that is about a place of the request and not of a file.
pub fn fault(path: impl Into<String>, message: impl Into<String>) -> Located {
    Located { file: None, line: None, column: None, path: path.into(), message: message.into(), hint: None, severity: Severity::Error }
}

/// An error with everything that caused it, on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) {
            tracing::warn!(error = %error, "the database cannot be reached: {error}");
            return Self::new(
                Code::DatabaseAway,
                "the database cannot be reached; commands that were accepted go on, and reads come back with it",
            );
        }
        Self::internal("reading the database", &error)
    }
}

/// Whether the database is what is missing, and not the query that is wrong.
fn is_away(error: &sqlx::Error) -> bool {
    // 57P01 to 57P03: shutting down, crashed, starting up. 53300: too many connections. 42P01, 3F000: not migrated yet.
    const AWAY: [&str; 6] = ["57P01", "57P02", "57P03", "53300", "42P01", "3F000"];
    let told = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let connection = matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_)
    );
    connection || told.is_some_and(|code| AWAY.contains(&code.as_ref()) || code.starts_with("08"))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = write(&self.problem);
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self.problem);
        response
    }
}

fn write(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// Tells each problem which request it is the answer to.
pub async fn name_the_request(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let Some(mut problem) = response.extensions_mut().remove::<Box<Problem>>() else { return response };
    problem.instance = Some(path);
    let mut named = write(&problem);
    for (name, value) in response.headers() {
        named.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    named.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
    named
}

/// What answers when a handler panicked.
pub fn after_a_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Refusal::new(Code::Internal, "something broke while answering; the log of the api says what").into_response()
}

impl OperationOutput for Refusal {
    type Inner = Problem;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<ApiResponse> {
        let schema = ctx.schema.subschema_for::<Problem>();
        let media =
            MediaType { schema: Some(SchemaObject { json_schema: schema, external_docs: None, example: None }), ..MediaType::default() };
        Some(ApiResponse {
            description: "A problem (RFC 9457) with a stable code".to_owned(),
            content: [("application/problem+json".to_owned(), media)].into_iter().collect(),
            ..ApiResponse::default()
        })
    }

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, ApiResponse)> {
        Self::operation_response(ctx, operation).map(|response| (None, response)).into_iter().collect()
    }
}
