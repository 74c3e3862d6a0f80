//! Publishers ask about their own commands, and about nobody else's.

use orrery_nats::testing;
use serde_json::{Value, json};

use crate::stacks::bundle;
use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_asks_about_his_own_commands_alone() {
    let world = World::start().await;
    world.admin().post("/api/v1/stacks", json!({"name": "shop", "bundle": bundle("web:1")})).await.expect(202);
    let ci = testing::connect(&world.broker.publisher("ci").await.unwrap()).await.unwrap();
    let id = "01997f2e-6f0a-7c3e-9a51-3f0b8a4a2c11";
    let command = json!({"type": "stack.start", "target": "shop"});
    ci.request(format!("orrery.commands.{id}"), command.to_string().into()).await.unwrap();
    let ask = async |question: Value| -> Value {
        let answer = ci.request("orrery.status", question.to_string().into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    };
    let mine = ask(json!({"id": id})).await;
    assert_eq!((&mine["publisher"], &mine["type"], &mine["seq"]), (&json!("ci"), &json!("stack.start"), &json!(2)));
    assert_eq!(ask(json!({"seq": 2})).await["id"], id);
    assert_eq!(ask(json!({"seq": 1})).await["code"], "not_found", "the api's command is not his");
    assert_eq!(ask(json!({})).await["code"], "invalid_request");
    assert_eq!(ask(json!({"no": 1})).await["code"], "malformed_request");
    let executor = world.executor().await;
    executor.done_after_running(2).await;
    assert_eq!(ask(json!({"id": id, "wait": "30s"})).await["status"], "DONE");
}
