//! The stream of events: in order, resumable, and honest about what was missed.

use serde_json::{Value, json};

use crate::stacks::bundle;
use crate::support::{SOON, World};

pub struct Event {
    pub id: String,
    pub kind: String,
    pub data: Value,
}

/// Reads events until one satisfies.
pub async fn read_until(response: &mut reqwest::Response, mut wanted: impl FnMut(&Event) -> bool) -> Vec<Event> {
    let (mut text, mut events) = (String::new(), Vec::new());
    let reading = async {
        while let Some(chunk) = response.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
            while let Some((block, rest)) = text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
                let data = serde_json::from_str(&field("data:")).unwrap_or(Value::Null);
                let event = Event { id: field("id:"), kind: field("event:"), data };
                text = rest.to_owned();
                let found = wanted(&event);
                events.push(event);
                if found {
                    return;
                }
            }
        }
        panic!("the stream ended: {text}");
    };
    tokio::time::timeout(SOON, reading).await.expect("events in time");
    events
}

/// The place in the feed, from `generation-number`.
fn number(id: &str) -> u64 {
    id.rsplit_once('-').unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_goes_on_where_he_was_and_who_was_away_too_long_is_told() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor().await);
    let mut live = admin.stream("/api/v1/events").await;
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    let here = read_until(&mut live, |event| !event.id.is_empty()).await.pop().unwrap().id;
    admin.post("/api/v1/stacks", json!({"name": "shop", "bundle": bundle("web:1")})).await.expect(202);
    let seen = read_until(&mut live, |event| event.kind == "stack").await;
    assert!(seen.iter().any(|event| event.kind == "command" && event.data["status"] == "PENDING"));
    assert_eq!(seen.last().unwrap().data["name"], "shop");
    executor.runs(1, 1).await;
    executor.steps(1, 1).await;
    let seen = read_until(&mut live, |event| event.kind == "step" && event.data["status"] == "done").await;
    let step = seen.last().unwrap();
    assert_eq!((&step.data["command"], &step.data["attempt"], &step.data["n"]), (&json!(1), &json!(1), &json!(1)));

    let mut again = admin.clone().with("last-event-id", &here).stream("/api/v1/events").await;
    let missed = read_until(&mut again, |event| event.kind == "step").await;
    assert!(missed.iter().any(|event| event.kind == "command") && missed.iter().all(|event| event.kind != "reset"));
    let mut ahead = admin.stream(&format!("/api/v1/events?after={}", step.id)).await;
    executor.done(1).await;
    let new = read_until(&mut ahead, |event| event.kind == "command").await;
    assert_eq!(new.last().unwrap().data["status"], "DONE");
    // An entry is read with what it is about as it is now, so a step's earlier entry may say "done" too: the id counts.
    let told = new.iter().filter(|event| !event.kind.is_empty());
    assert!(told.map(|event| number(&event.id)).all(|n| n > number(&step.id)), "what was seen is not told again");

    for strange in ["1-1", "nonsense", &format!("{}999", step.id)] {
        let mut lost = admin.stream(&format!("/api/v1/events?after={strange}")).await;
        let told = read_until(&mut lost, |event| event.kind == "reset").await;
        assert_eq!(told.len(), 1, "{strange}");
        assert!(!told[0].id.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_service() {
    let world = World::start().await;
    let mut live = world.admin().stream("/api/v1/events").await;
    read_until(&mut live, |event| !event.id.is_empty()).await;
    world.api.ending.cancel();
    let ended = async { while live.chunk().await.unwrap_or(None).is_some() {} };
    tokio::time::timeout(SOON, ended).await.expect("the end");
}
