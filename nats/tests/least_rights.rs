//! The whole table of permissions, tried by everybody: each user and a publisher, on every subject of everybody's rows, on
//! every request that JetStream knows of every stream, and on what no row names. What lies in his own rows is allowed; all
//! the rest the broker refuses, by its word and not by silence.
//!
//! Nothing is listed by hand that the table or the topology knows: a new row or stream is tried as soon as it is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod support;

use std::collections::BTreeSet;

use orrery_nats::User;
use orrery_nats::permissions::{self, Permissions};
use orrery_nats::testing::{Broker, Credentials};
use orrery_queue::topology;
use support::{Attempt, refusals};

/// What JetStream is asked of a stream, `<s>`.
const OF_A_STREAM: [&str; 30] = [
    "$JS.API.STREAM.CREATE.<s>",
    "$JS.API.STREAM.UPDATE.<s>",
    "$JS.API.STREAM.DELETE.<s>",
    "$JS.API.STREAM.INFO.<s>",
    "$JS.API.STREAM.PURGE.<s>",
    "$JS.API.STREAM.MSG.GET.<s>",
    "$JS.API.STREAM.MSG.DELETE.<s>",
    "$JS.API.STREAM.SNAPSHOT.<s>",
    "$JS.API.STREAM.RESTORE.<s>",
    "$JS.API.STREAM.PEER.REMOVE.<s>",
    "$JS.API.STREAM.LEADER.STEPDOWN.<s>",
    "$JS.API.DIRECT.GET.<s>",
    "$JS.API.DIRECT.GET.<s>.orrery.x",
    "$JS.API.CONSUMER.CREATE.<s>",
    "$JS.API.CONSUMER.CREATE.<s>.c",
    "$JS.API.CONSUMER.CREATE.<s>.c.orrery.x",
    "$JS.API.CONSUMER.DURABLE.CREATE.<s>.c",
    "$JS.API.CONSUMER.NAMES.<s>",
    "$JS.API.CONSUMER.LIST.<s>",
    "$JS.API.CONSUMER.INFO.<s>.c",
    "$JS.API.CONSUMER.DELETE.<s>.c",
    "$JS.API.CONSUMER.PAUSE.<s>.c",
    "$JS.API.CONSUMER.RESET.<s>.c",
    "$JS.API.CONSUMER.UNPIN.<s>.c",
    "$JS.API.CONSUMER.MSG.NEXT.<s>.c",
    "$JS.API.CONSUMER.LEADER.STEPDOWN.<s>.c",
    "$JS.FC.<s>.c.x",
    "$JS.ACK.<s>.c.1.1.1.1.0",
    "$JS.SNAPSHOT.ACK.<s>.x",
    "$JS.SNAPSHOT.RESTORE.<s>.x",
];

/// What the broker is asked of itself, and subjects of its own machinery.
const OF_THE_BROKER: [&str; 36] = [
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.TEMPLATE.CREATE.x",
    "$JS.API.STREAM.TEMPLATE.DELETE.x",
    "$JS.API.STREAM.TEMPLATE.NAMES",
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.API.SERVER.REMOVE",
    "$JS.API.SERVER.STREAM.MOVE.ORRERY.COMMANDS",
    "$JS.API.ACCOUNT.PURGE.ORRERY",
    "$JS.API.ACCOUNT.STREAM.MOVE.ORRERY.COMMANDS",
    "$JS.API.ACCOUNT.STREAM.CANCEL_MOVE.ORRERY.COMMANDS",
    "$JS.EVENT.ADVISORY.API",
    "$JS.EVENT.ADVISORY.STREAM.DELETED.COMMANDS",
    "$JS.EVENT.METRIC.CONSUMER.ACK.COMMANDS.c",
    "$JS.hub.API.INFO",
    "$JSC.R.x",
    "$NRG.V.x",
    "$SRV.PING",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.PING.VARZ",
    "$SYS.REQ.SERVER.x.VARZ",
    "$SYS.REQ.SERVER.x.RELOAD",
    "$SYS.REQ.SERVER.x.KICK",
    "$SYS.REQ.SERVER.x.LDM",
    "$SYS.REQ.SERVER.x.PROFILEZ",
    "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SYS.REQ.ACCOUNT.ORRERY.CONNZ",
    "$SYS.REQ.ACCOUNT.ORRERY.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.USER.INFO",
    "$SYS.ACCOUNT.ORRERY.DISCONNECT",
    "$SYS.SERVER.x.SHUTDOWN",
    "$SYS.DEBUG.SUBSCRIBERS",
    "_R_.x",
    "_GR_.x.x.x",
];

/// What nobody's row is about, and what reaches over many rows.
const WIDE: [&str; 14] = [
    ">",
    "*",
    "*.>",
    "*.*.*.*",
    "orrery.>",
    "orrery.*.>",
    "_INBOX.>",
    "_INBOX.*.>",
    "_R_.>",
    "$JS.>",
    "$JS.API.>",
    "$KV.>",
    "$O.>",
    "$SYS.>",
];

/// Names under which no publisher may speak but the one whose name it is.
const PUBLISHERS: [&str; 2] = ["ci", "release-bot"];

/// Somebody who can sign in.
struct Somebody {
    name: String,
    credentials: Credentials,
    may: Permissions,
}

async fn everybody(broker: &Broker) -> Vec<Somebody> {
    let mut all = Vec::new();
    for user in User::ALL {
        let credentials = broker.credentials(user).unwrap();
        all.push(Somebody { name: user.name().to_owned(), credentials, may: permissions::of(user) });
    }
    for name in PUBLISHERS {
        let credentials = broker.publisher(name).await.unwrap();
        all.push(Somebody { name: name.to_owned(), credentials, may: permissions::of_publisher(name) });
    }
    all
}

fn hears(may: &Permissions) -> Vec<String> {
    may.subscribe.iter().map(|grant| grant.subject.clone()).collect()
}

/// Whether everything that `subject` stands for is in `pattern`.
fn covers(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

/// One subject that a pattern allows.
fn example(pattern: &str) -> String {
    let token = |token: &str| match token {
        "*" => "x".to_owned(),
        ">" => "x.y".to_owned(),
        other => other.to_owned(),
    };
    pattern.split('.').map(token).collect::<Vec<_>>().join(".")
}

/// Everything in everybody's rows and in the topology, as patterns.
fn patterns(all: &[Somebody]) -> BTreeSet<String> {
    let mut patterns = BTreeSet::new();
    for somebody in all {
        patterns.extend(somebody.may.publishes());
        patterns.extend(hears(&somebody.may));
        patterns.insert(format!("orrery.commands.{}.*", somebody.name));
        patterns.insert(format!("orrery.rpc.api.status.{}", somebody.name));
    }
    for stream in topology::streams(&topology::Settings::default()) {
        patterns.extend(stream.subjects);
    }
    patterns
}

/// Every subject on which everybody tries to say something: one of each pattern, and its neighbours, one token longer and one
/// shorter.
fn said(all: &[Somebody]) -> Vec<String> {
    let mut subjects = BTreeSet::new();
    for pattern in patterns(all) {
        let one = example(&pattern);
        subjects.insert(format!("{one}.more"));
        subjects.extend(one.rsplit_once('.').map(|(shorter, _)| shorter.to_owned()));
        subjects.insert(one);
    }
    for stream in topology::streams(&topology::Settings::default()) {
        subjects.extend(OF_A_STREAM.map(|request| request.replace("<s>", &stream.name)));
    }
    subjects.extend(OF_A_STREAM.map(|request| request.replace("<s>", "NOT_OURS")));
    subjects.extend(OF_THE_BROKER.map(str::to_owned));
    subjects.into_iter().collect()
}

/// Every subject that everybody tries to hear: patterns as they stand, and what [`said`] has.
fn heard(all: &[Somebody]) -> Vec<String> {
    let mut subjects: BTreeSet<String> = said(all).into_iter().collect();
    subjects.extend(patterns(all));
    subjects.extend(WIDE.map(str::to_owned));
    subjects.into_iter().collect()
}

/// What the broker does with every attempt, held against the rows.
async fn try_all(attempt: Attempt, all: &[Somebody], subjects: &[String], rows: impl Fn(&Permissions) -> Vec<String>) {
    for Somebody { name, credentials, may } in all {
        let rows = rows(may);
        let allowed = |subject: &&String| rows.iter().any(|row| covers(row, subject));
        let outside: BTreeSet<String> = subjects.iter().filter(|subject| !allowed(subject)).cloned().collect();
        assert!(subjects.iter().any(|subject| allowed(&subject)) && !outside.is_empty(), "{name} proves nothing");
        let refused = refusals(credentials, attempt, subjects).await;
        let open: Vec<_> = outside.difference(&refused).collect();
        let closed: Vec<_> = refused.difference(&outside).collect();
        assert!(open.is_empty(), "{name} may {attempt:?} outside of its rows: {open:#?}");
        assert!(closed.is_empty(), "{name} may not {attempt:?} what its rows say: {closed:#?}");
        println!("{attempt:?} as {name}: {} allowed, {} refused", subjects.len() - refused.len(), refused.len());
    }
}

#[tokio::test]
async fn everybody_says_what_its_rows_say_and_nothing_else() {
    let broker = Broker::provisioned().await.unwrap();
    let all = everybody(&broker).await;
    try_all(Attempt::Publish, &all, &said(&all), Permissions::publishes).await;
}

#[tokio::test]
async fn everybody_hears_what_its_rows_say_and_nothing_else() {
    let broker = Broker::provisioned().await.unwrap();
    let all = everybody(&broker).await;
    try_all(Attempt::Subscribe, &all, &heard(&all), hears).await;
}

#[test]
fn a_row_covers_what_the_broker_says_it_covers() {
    for (pattern, subject, covered) in [
        ("a.*", "a.b", true),
        ("a.*", "a.*", true),
        ("a.*", "a.>", false),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.>", "a.b.c", true),
        ("a.>", "a.>", true),
        ("a.>", "a", false),
        ("a.b", "a.*", false),
        (">", "a", true),
        ("*", ">", false),
    ] {
        assert_eq!(covers(pattern, subject), covered, "{pattern} {subject}");
    }
}
