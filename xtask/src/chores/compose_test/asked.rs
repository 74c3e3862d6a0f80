//! A person at the page: signs in with a password, and asks the REST API with the cookie that he gets. HTTP/1.0 by hand.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// How long a command may take to end, with a service starting again meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Person {
    port: u16,
    cookie: String,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Person {
    /// Signs in.
    pub(super) fn sign_in(port: u16, password: &str) -> Result<Self> {
        let mut person = Self { port, cookie: String::new() };
        let answer = person.say("POST", "/api/v1/auth/login", Some(&json!({"username": "admin", "password": password})))?;
        ensure!(answer.status < 300, "the administrator is not let in: {} {}", answer.status, answer.body);
        let cookie =
            answer.head.lines().find_map(|line| Some(line.split_once(": ")?).filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")));
        let (_, cookie) = cookie.context("signing in gave no cookie")?;
        person.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(person)
    }

    /// One request, and its answer.
    pub(super) fn say(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let host = format!("127.0.0.1:{}", self.port);
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nOrigin: http://{host}\r\nX-Orrery-CSRF: 1\r\nCookie: {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.cookie,
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("{method} {path}: no answer"))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// What a GET shows, as soon as it is to be had.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            let why = match self.say("GET", path, None) {
                Ok(answer) if answer.status == 200 => return Ok(serde_json::from_str(&answer.body)?),
                Ok(answer) => format!("{} {}", answer.status, answer.body),
                Err(error) => error.to_string(),
            };
            ensure!(began.elapsed() < PATIENCE, "GET {path}: {why}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Gives a command, and answers its id.
    pub(super) fn command(&self, path: &str, body: Option<&Value>) -> Result<String> {
        let answer = self.say("POST", path, body)?;
        ensure!(answer.status == 202, "POST {path}: {} {}", answer.status, answer.body);
        let accepted: Value = serde_json::from_str(&answer.body)?;
        accepted["id"].as_str().map(str::to_owned).context("a command without an id")
    }

    /// Waits until a command is under way.
    pub(super) fn running(&self, id: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.get(&format!("/api/v1/commands/{id}"))?["status"].as_str() {
                Some("RUNNING") => return Ok(()),
                Some("PENDING") if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                other => bail!("a command is {other:?} before anything was done to it"),
            }
        }
    }

    /// Waits until a command is DONE; whatever is away meanwhile is asked again.
    pub(super) fn done(&self, id: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            let command = self.get(&format!("/api/v1/commands/{id}?wait=2s"))?;
            match command["status"].as_str() {
                Some("DONE") => return Ok(command),
                Some("PENDING" | "RUNNING") => ensure!(began.elapsed() < PATIENCE, "still {command:#}"),
                _ => bail!("a command did not end well: {command:#}"),
            }
        }
    }

    /// Gives a command and waits for its end.
    pub(super) fn does(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.done(&self.command(path, body)?)
    }
}
