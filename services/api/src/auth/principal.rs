//! The one who asks, as every handler receives him.
//!
//! A session by cookie counts only when the request comes from the page itself; a token in `Authorization` needs no
//! such proof. A request without either is refused here, before anything of it is read.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum_extra::extract::CookieJar;
use orrery_contracts::{Code, Name, Role, Time};
use uuid::Uuid;

use super::{origin, sessions, tokens};
use crate::listener::Peer;
use crate::problems::{Answer, Refusal};
use crate::state::Api;

/// The cookie that holds a session's secret.
pub(crate) const SESSION_COOKIE: &str = "orrery_session";

/// The header of a request that a page makes by itself, which keeps no session alive.
const BACKGROUND: &str = "x-orrery-background";

/// What an address must not carry, by the names that people give to it.
const CREDENTIALS: [&str; 9] = ["token", "access_token", "api_key", "apikey", "key", "password", "authorization", "auth", "session"];

/// Who asks.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The user's id.
    pub user_id: Uuid,
    /// The user's name: the actor of his commands.
    pub name: Name,
    /// What he may do.
    pub role: Role,
    /// How he proved it.
    pub via: Via,
}

/// How a user proved who he is.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    /// By the cookie of this session.
    Session {
        /// The session.
        id: Uuid,
        /// When it ends unless it is used.
        expires_at: Time,
    },
    /// By an API token.
    Token {
        /// The token's row.
        id: Uuid,
    },
}

impl Principal {
    /// Whether he sees everything of everybody.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whose things he sees: his own, or (none) everybody's.
    pub fn sees_only(&self) -> Option<&str> {
        (!self.is_admin()).then(|| self.name.as_str())
    }

    /// Whether his session or token still counts: what is open for long asks again.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn is_still_good(&self, api: &Api) -> Answer<bool> {
        match self.via {
            Via::Session { id, .. } => sessions::is_open(api, id).await,
            Via::Token { id } => tokens::is_good(api, id).await,
        }
    }

    /// Refuses viewers.
    ///
    /// # Errors
    /// 403 for who may only look.
    pub fn may_write(&self) -> Answer<()> {
        match self.role {
            Role::Admin | Role::User => Ok(()),
            Role::Viewer => Err(Refusal::new(Code::Forbidden, format!("{} may look and not change", self.name))),
        }
    }

    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// 403 for everybody else.
    pub fn must_be_admin(&self) -> Answer<()> {
        match self.role {
            Role::Admin => Ok(()),
            Role::User | Role::Viewer => Err(Refusal::new(Code::Forbidden, "this is for administrators")),
        }
    }
}

/// What a request brings along to prove who asks: read, and not believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `Authorization: Bearer <token>`.
    Token(String),
    /// The cookie of a session; whether somebody asks, and not a page by itself.
    Session {
        /// The session's secret.
        secret: String,
        /// Whether the session lives on by it.
        by_somebody: bool,
    },
}

impl Claim {
    /// Reads it.
    ///
    /// # Errors
    /// 401 when there is none, when it cannot be read, or when the address has one.
    pub fn of(parts: &Parts) -> Answer<Self> {
        refuse_credentials_in(parts)?;
        if let Some(value) = parts.headers.get(axum::http::header::AUTHORIZATION) {
            let text = value.to_str().unwrap_or_default();
            let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let (_, token) = token.ok_or_else(|| unauthenticated("Authorization: use `Bearer <token>`"))?;
            return Ok(Self::Token(token.trim().to_owned()));
        }
        let jar = CookieJar::from_headers(&parts.headers);
        let cookie = jar.get(SESSION_COOKIE).ok_or_else(|| unauthenticated("sign in, or send `Authorization: Bearer <token>`"))?;
        Ok(Self::Session { secret: cookie.value().to_owned(), by_somebody: !parts.headers.contains_key(BACKGROUND) })
    }

    /// Refuses a cookie that another site may have had sent; a token no browser sends by itself.
    ///
    /// # Errors
    /// 403 when the request does not come from the page.
    pub fn comes_from_the_page(&self, parts: &Parts) -> Answer<()> {
        match self {
            Self::Token(_) => Ok(()),
            Self::Session { .. } => origin::must_be_the_page(&parts.method, &parts.headers),
        }
    }
}

impl FromRequestParts<Api> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Answer<Self> {
        let claim = Claim::of(parts)?;
        let (owner, otherwise) = match &claim {
            Claim::Token(token) => (tokens::owner(api, token).await?, "the token is not known, was revoked or has expired"),
            Claim::Session { secret, by_somebody } => {
                (sessions::owner(api, secret, *by_somebody).await?, "the session has ended; sign in again")
            }
        };
        let principal = owner.ok_or_else(|| unauthenticated(otherwise))?;
        claim.comes_from_the_page(parts)?;
        Ok(principal)
    }
}

impl OperationInput for Principal {}

fn unauthenticated(detail: &str) -> Refusal {
    let challenge = axum::http::HeaderValue::from_static("Bearer realm=\"orrery\"");
    Refusal::new(Code::Unauthenticated, detail).with_header(axum::http::header::WWW_AUTHENTICATE, challenge)
}

fn refuse_credentials_in(parts: &Parts) -> Answer<()> {
    let query = parts.uri.query().unwrap_or_default();
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default().to_ascii_lowercase());
    match names.into_iter().find(|name| CREDENTIALS.contains(&name.as_str())) {
        Some(name) => Err(unauthenticated(&format!(
            "{name}= in the address: an address ends up in logs and histories, so a credential there is refused; send it in the header Authorization"
        ))),
        None => Ok(()),
    }
}

/// Where a request comes from, for limits and the audit.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The address.
    pub address: Option<String>,
    /// What it says it is.
    pub agent: Option<String>,
}

impl FromRequestParts<Api> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Self::Rejection> {
        let address = parts.extensions.get::<ConnectInfo<Peer>>().map(|info| info.0.0.ip().to_string());
        let agent = parts.headers.get(axum::http::header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self { address, agent: agent.map(|text| text.chars().take(200).collect()) })
    }
}

impl OperationInput for Client {
    fn operation_input(_: &mut GenContext, _: &mut Operation) {}
}
