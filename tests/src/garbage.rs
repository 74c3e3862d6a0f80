//! What a publisher may put on the queue that is no command, drawn from a seed: every kind of it, again and again, no two alike.

use bytes::Bytes;
use orrery_contracts::CommandType;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use uuid::Uuid;

/// The most that the broker takes in one message.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// A kind of garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Any bytes.
    Bytes,
    /// No byte at all.
    Empty,
    /// As much as the broker takes.
    Large,
    /// JSON in JSON in JSON.
    Deep,
    /// A command with a byte that is no text.
    BadText,
    /// A command of which the end is missing.
    Cut,
    /// A command with some bits turned.
    Flipped,
    /// A command under an id that is no canonical UUID.
    BadId,
    /// A command under an id that somebody else has used, about something of his.
    Foreign,
    /// What the broker and its clients say to each other.
    Acknowledgement,
    /// A type that nobody knows.
    UnknownType,
    /// A version that nobody reads.
    UnknownVersion,
    /// A field that nobody knows.
    UnknownField,
    /// A field twice.
    Twice,
    /// A value of another kind than its field has.
    WrongKind,
    /// A command in another's name.
    Actor,
    /// A command for machines, which this release has not.
    Machine,
    /// A command for what does not exist.
    Nowhere,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Bytes,
        Self::Empty,
        Self::Large,
        Self::Deep,
        Self::BadText,
        Self::Cut,
        Self::Flipped,
        Self::BadId,
        Self::Foreign,
        Self::Acknowledgement,
        Self::UnknownType,
        Self::UnknownVersion,
        Self::UnknownField,
        Self::Twice,
        Self::WrongKind,
        Self::Actor,
        Self::Machine,
        Self::Nowhere,
    ];
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The last token of its subject.
    pub id: String,
    /// Its body.
    pub body: Bytes,
}

/// Garbage without end.
#[derive(Debug)]
pub struct Garbage {
    draw: StdRng,
    /// Ids and names that are somebody else's.
    foreign: Vec<String>,
    /// One in so many is as large as can be.
    large_in: u32,
}

impl Garbage {
    /// From a seed; `foreign` are ids of commands and stacks of others.
    #[must_use]
    pub fn new(seed: u64, foreign: Vec<String>, large_in: u32) -> Self {
        Self { draw: StdRng::seed_from_u64(seed), foreign, large_in }
    }

    /// The next message.
    pub fn next_message(&mut self) -> Message {
        let drawn = self.any(&Kind::ALL);
        let kind = if self.draw.random_ratio(1, self.large_in) {
            Kind::Large
        } else if drawn == Kind::Large {
            Kind::Bytes
        } else {
            drawn
        };
        let id = if kind == Kind::BadId {
            self.bad_id()
        } else if kind == Kind::Foreign && !self.foreign.is_empty() {
            // The broker does not take another message under the same id.
            self.foreign.swap_remove(0)
        } else {
            Uuid::from_u128(self.draw.random()).hyphenated().to_string()
        };
        Message { kind, id, body: self.body(kind).into() }
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.draw.random_range(0..of.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.draw.random_range(1..most);
        let mut bytes = vec![0; length];
        self.draw.fill(bytes.as_mut_slice());
        bytes
    }

    fn word(&mut self) -> String {
        (0..self.draw.random_range(1..12)).map(|_| char::from(self.draw.random_range(b'a'..=b'z'))).collect()
    }

    /// A command that can be read; what it is about is not there.
    fn command(&mut self) -> Value {
        let kinds = [CommandType::StackStart, CommandType::StackStop, CommandType::StackRestart, CommandType::StackDelete];
        json!({"type": self.any(&kinds).as_str(), "schema": 1, "target": format!("nowhere-{}", self.word()), "payload": {}})
    }

    fn with(&mut self, field: &str, value: Value) -> Vec<u8> {
        let mut command = self.command();
        command[field] = value;
        command.to_string().into_bytes()
    }

    /// Any token of a subject that is not `*` or `>` and no UUID as one is written.
    fn bad_id(&mut self) -> String {
        let id = Uuid::from_u128(self.draw.random());
        match self.draw.random_range(0..7) {
            0 => format!("{}A", id.hyphenated().to_string().to_uppercase()),
            1 => id.simple().to_string(),
            2 => format!("{{{}}}", id.hyphenated()),
            3 => format!("{}-{}", self.word(), self.draw.random::<u64>()),
            4 => format!("ä{}ö", id.simple()),
            5 => format!("{}{}", "0".repeat(self.draw.random_range(1..900)), id.simple()),
            _ => format!("$JS'\"{}\\", id.simple()),
        }
    }

    fn body(&mut self, kind: Kind) -> Vec<u8> {
        match kind {
            Kind::Bytes => self.bytes(3000),
            Kind::Empty => Vec::new(),
            Kind::Large => self.large(),
            Kind::Deep => self.deep(),
            Kind::BadText => {
                let mut body = self.command().to_string().into_bytes();
                let place = self.draw.random_range(2..body.len() - 2);
                body[place] = self.any(&[0xff, 0xc0, 0x80, 0xfe]);
                body
            }
            Kind::Cut => {
                let body = self.command().to_string().into_bytes();
                let length = self.draw.random_range(1..body.len());
                body[..length].to_vec()
            }
            Kind::Flipped => {
                let mut body = self.command().to_string().into_bytes();
                for _ in 0..self.draw.random_range(1..4) {
                    let place = self.draw.random_range(0..body.len());
                    body[place] ^= 1 << self.draw.random_range(0..8);
                }
                body
            }
            Kind::BadId | Kind::Nowhere => self.command().to_string().into_bytes(),
            Kind::Foreign => {
                let target = format!("admin/{}", self.word());
                self.with("target", target.into())
            }
            Kind::Acknowledgement => self.acknowledgement(),
            Kind::UnknownType => {
                let word = format!("{}.{}", self.word(), self.word());
                self.with("type", word.into())
            }
            Kind::UnknownVersion => {
                let version = self.any(&[0, 2, 99, u64::from(u32::MAX), u64::MAX]);
                self.with("schema", version.into())
            }
            Kind::UnknownField => {
                let field = format!("x{}", self.word());
                self.with(&field, true.into())
            }
            Kind::Twice => format!("{{\"type\":\"stack.stop\",\"target\":\"{0}\",\"target\":\"{0}\"}}", self.word()).into_bytes(),
            Kind::WrongKind => self.wrong_kind(),
            Kind::Actor => {
                let actor = self.any(&["admin", "api", "ops", "anna", ""]);
                self.with("actor", actor.into())
            }
            Kind::Machine => {
                let kind = format!("{}.{}", self.any(&["machine", "box"]), self.word());
                self.with("type", kind.into())
            }
        }
    }

    fn large(&mut self) -> Vec<u8> {
        if self.draw.random() {
            let mut bytes = vec![0; MAX_PAYLOAD];
            self.draw.fill(bytes.as_mut_slice());
            return bytes;
        }
        let (open, close) = (r#"{"type":"stack.stop","target":"nowhere","payload":{"x":""#, "\"}}");
        format!("{open}{}{close}", "x".repeat(MAX_PAYLOAD - open.len() - close.len())).into_bytes()
    }

    fn deep(&mut self) -> Vec<u8> {
        let depth = if self.draw.random_ratio(1, 50) { 50_000 } else { self.draw.random_range(100..1000) };
        let (open, close) = self.any(&[("[", "]"), ("{\"a\":", "}"), ("[{\"type\":", "}]")]);
        let nest = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        if self.draw.random() {
            return nest.into_bytes();
        }
        format!(r#"{{"type":"stack.stop","target":"nowhere","payload":{nest}}}"#).into_bytes()
    }

    fn acknowledgement(&mut self) -> Vec<u8> {
        let seq = self.draw.random::<u32>();
        let said = [
            "+ACK".to_owned(),
            "-NAK".to_owned(),
            "+WPI".to_owned(),
            "+TERM".to_owned(),
            "+OK".to_owned(),
            "PING\r\n".to_owned(),
            json!({"stream": "COMMANDS", "seq": seq}).to_string(),
            json!({"stream": "EVENTS", "seq": seq, "duplicate": true}).to_string(),
            json!({"type": "io.nats.jetstream.api.v1.pub_ack_response", "stream": "COMMANDS", "seq": seq}).to_string(),
            json!({"error": {"code": 503, "err_code": 10077, "description": "maximum messages exceeded"}}).to_string(),
            json!({"seq": seq, "command_sha256": "0".repeat(64), "attempt": 1, "run": 1, "to": "DONE"}).to_string(),
        ];
        said[self.draw.random_range(0..said.len())].clone().into_bytes()
    }

    fn wrong_kind(&mut self) -> Vec<u8> {
        let field = self.any(&["type", "schema", "target", "payload", "on_failure", "deadline_seconds"]);
        let values = [json!([]), json!(-1), json!(1.5), json!({"a": 1}), json!([[], {}]), json!(""), json!("\u{0}"), json!(1e300)];
        let value = values[self.draw.random_range(0..values.len())].clone();
        // An empty object is a payload.
        self.with(field, if field == "payload" { json!(["not", "an", "object"]) } else { value })
    }
}
