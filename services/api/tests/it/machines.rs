//! What a machine shows, and to whom: consoles and screens as WebSockets, pictures, and what an apply would do.

use std::time::Duration;

use orrery_contracts::{Code, Engine, Problem};
use serde_json::{Value, json};

use crate::events::read_until;
use crate::support::{Answer, Caller, PASSWORD, SOON, World};

const CONSOLE: &str = "/api/v1/machines/web/console";

fn definition() -> Value {
    json!({"files": {"machine.yaml": "kind: vm\nsource: {kernel: kernel}\nmemory: 64MiB\n"}})
}

/// Makes a machine, as far as the api knows one; answers its id.
async fn machine(caller: &Caller) -> String {
    let made = caller.post("/api/v1/machines", json!({"name": "web", "bundle": definition()})).await.expect(202);
    let id = made.json["machine_id"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned();
    caller.get("/api/v1/machines/web").await.expect(200);
    id
}

async fn refused(caller: &Caller, path: &str, status: u16) -> Answer {
    caller.socket(path).await.err().expect("it is refused").expect(status)
}

/// What the audit says of consoles and screens: user, action, subject, whether it was let through.
async fn audit(world: &World) -> Vec<(String, String, String, bool)> {
    let rows = r"SELECT username, action, subject, succeeded FROM auth.audit WHERE action ~ '\.(open|close)$' ORDER BY id";
    sqlx::query_as(rows).fetch_all(&world.api.database).await.unwrap()
}

/// Waits until the audit says this many things.
async fn audited(world: &World, count: usize) -> Vec<(String, String, String, bool)> {
    let look = || async { Ok(Some(audit(world).await).filter(|rows| rows.len() >= count)) };
    orrery_tests::eventually("the audit", SOON, look).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_is_for_who_may_change_the_machine_and_for_the_page_alone() {
    let world = World::start().await;
    let executor = world.executor_of(Engine::Libvirt).await;
    executor.echoes("console").await;
    let ada = world.user("ada", "user").await;
    let id = machine(&ada).await;

    assert_eq!(refused(&world.anonymous(), CONSOLE, 401).await.code(), "unauthenticated");
    let eve = world.user("eve", "user").await;
    assert_eq!(eve.socket(CONSOLE).await.ok().unwrap().closed().await.0, 4404, "a page is shown the close and no status");
    let plain = ada.get(CONSOLE).await.expect(422);
    assert!(plain.json["detail"].as_str().unwrap().contains("this is a WebSocket"), "{}", plain.text);

    // By cookie, as a browser asks: from our own page and from no other.
    let signed_in = world.anonymous().post("/api/v1/auth/login", json!({"username": "admin", "password": PASSWORD})).await.expect(200);
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let browser = world.anonymous().with("cookie", &cookie);
    let path = format!("/api/v1/machines/{id}/console");
    assert_eq!(refused(&browser, &path, 403).await.code(), "cross_site");
    assert_eq!(refused(&browser.clone().with("origin", "http://evil.example"), &path, 403).await.code(), "cross_site");
    let page = world.anonymous().on_page(&cookie);
    let mut console = page.socket(&path).await.ok().unwrap();
    console.say("from the page").await;
    assert_eq!(console.hear().await, "from the page");

    // A session that ends takes its console along.
    page.post_nothing("/api/v1/auth/logout").await.expect(204);
    assert_eq!(console.closed().await, (4401, "the session has ended; sign in again".to_owned()));

    world.role("ada", "viewer").await;
    let refusal = ada.socket(CONSOLE).await.ok().unwrap().closed().await;
    assert_eq!(refusal, (4403, "ada may look and not change".to_owned()));
    let row = |user: &str, action: &str, succeeded| (user.to_owned(), format!("machine.console.{action}"), id.clone(), succeeded);
    assert_eq!(audited(&world, 3).await, [row("admin", "open", true), row("admin", "close", true), row("ada", "open", false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_look_at_once_and_so_many_and_no_more() {
    let world = World::start().await;
    let executor = world.executor_of(Engine::Libvirt).await;
    let open = executor.echoes("console").await;
    executor.echoes("screen").await;
    let (admin, ada) = (world.admin(), world.user("ada", "user").await);
    let id = machine(&ada).await;
    let mut sockets = Vec::new();
    for number in 0..orrery_api::streams::seats::OF_ONE {
        let path = if number == 0 { "/api/v1/machines/web/screen" } else { CONSOLE };
        let mut socket = ada.socket(path).await.ok().unwrap();
        socket.say(&format!("hello {number}")).await;
        assert_eq!(socket.hear().await, format!("hello {number}"));
        sockets.push(socket);
    }
    let (code, reason) = ada.socket(CONSOLE).await.ok().unwrap().closed().await;
    assert_eq!((code, reason.as_str()), (4429, "you have 16 consoles and screens open; close some"));
    let path = format!("/api/v1/machines/{id}/console");
    let mut other = admin.socket(&path).await.ok().unwrap();
    other.say("still here").await;
    assert_eq!(other.hear().await, "still here", "one who takes all his places takes nobody else's");

    // Who leaves makes room, and the executor and the audit hear of it.
    let left = sockets.pop().unwrap();
    drop(left);
    orrery_tests::eventually("the executor to hear that somebody left", SOON, || async { Ok((*open.borrow() == 15).then_some(())) })
        .await
        .unwrap();
    audited(&world, 18).await;
    let mut again = ada.socket(CONSOLE).await.ok().unwrap();
    again.say("end").await;
    assert_eq!(again.closed().await, (1000, "the guest has ended".to_owned()));

    // The service ends: everybody is told, and the audit is whole before it has ended.
    world.api.ending.cancel();
    tokio::time::timeout(SOON, world.api.seats.left()).await.unwrap();
    assert_eq!(other.closed().await, (1012, "the service ends; come back".to_owned()));
    let rows = audit(&world).await;
    let count = |end: &str| rows.iter().filter(|(_, action, ..)| action.ends_with(end)).count();
    assert_eq!((count(".open"), count(".close")), (18, 18), "{rows:?}");
    assert!(rows.iter().any(|(_, action, ..)| action == "machine.screen.close"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_there_is_no_console_is_said_in_its_close() {
    let world = World::start().await;
    let admin = world.admin();
    machine(&admin).await;
    let begun = std::time::Instant::now();
    let away = admin.socket(CONSOLE).await.ok().unwrap().closed().await;
    assert_eq!(away, (4503, "the executor libvirt@local does not answer; commands wait for it".to_owned()));
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());

    let executor = world.executor_of(Engine::Libvirt).await;
    let problem = Problem::new(Code::Conflict, format!("web is off: start it first {}", "ü".repeat(100)));
    executor.answers("console", vec![json!({"end": {"problem": problem}})]).await;
    let (code, reason) = admin.socket(CONSOLE).await.ok().unwrap().closed().await;
    assert!(code == 4409 && reason.starts_with("web is off: start it first") && reason.len() <= 123, "{code} {reason}");
    assert_eq!(audit(&world).await, [], "nothing was shown to anybody");

    // One that dies in the middle says no more; nobody waits for it for ever.
    executor.answers("screen", vec![json!({"open": {"control": "orrery.rpc.libvirt.local.control.1"}})]).await;
    let mut screen = admin.socket("/api/v1/machines/web/screen").await.ok().unwrap();
    assert_eq!(screen.closed().await, (4503, "the executor does not answer any more; come back".to_owned()));
    assert_eq!(audited(&world, 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_comes_whole_or_with_a_reason() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor_of(Engine::Libvirt).await);
    machine(&admin).await;
    let path = "/api/v1/machines/web/screenshot.png";
    let open = json!({"open": {"control": "orrery.rpc.libvirt.local.control.1"}});
    let frames = vec![open, json!({"bytes": "UE5H"}), json!({"bytes": "IQ=="}), json!({"end": {"problem": null}})];
    let answers = executor.answers("screenshot", frames).await;
    let picture = admin.get(path).await.expect(200);
    assert_eq!((picture.text.as_str(), picture.header("content-type"), picture.header("cache-control")), ("PNG!", "image/png", "no-store"));
    answers.abort();
    let problem = Problem::new(Code::Conflict, "the machine has no screen");
    executor.answers("screenshot", vec![json!({"end": {"problem": problem}})]).await;
    orrery_tests::eventually("the other answer", SOON, || async { Ok(Some(admin.get(path).await).filter(|answer| answer.status == 409)) })
        .await
        .unwrap();
    assert_eq!(world.anonymous().get(path).await.expect(401).code(), "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_machine_is_the_executors() {
    let world = World::start().await;
    let (admin, executor) = (world.admin(), world.executor_of(Engine::Libvirt).await);
    let id = machine(&admin).await;
    let mut asked = executor.hears("plan").await;
    let plan = json!({"empty": true, "actions": [], "kept": [], "notes": []});
    executor.answers("plan", vec![json!({"ok": plan})]).await;
    let new = json!({"name": "other", "bundle": definition()});
    for (path, body, machine_id, domain) in [
        ("/api/v1/machines/web/plan", json!({"bundle": definition()}), json!(id), "web"),
        ("/api/v1/machines/web/plan/1", json!({}), json!(id), "web"),
        ("/api/v1/plan/machine", new, Value::Null, "other"),
    ] {
        assert_eq!(admin.post(path, body).await.expect(200).json, plan, "{path}");
        let question = tokio::time::timeout(Duration::from_secs(10), asked.recv()).await.unwrap().unwrap();
        assert_eq!((&question["machine_id"], &question["domain"], &question["actor"]), (&machine_id, &json!(domain), &json!("admin")));
        assert!(question["target"]["bundle"]["files"]["machine.yaml"].is_string(), "{path}: {question}");
    }
    let faulty = json!({"files": {"machine.yaml": "kind: vm\nmemroy: 1GiB\n"}});
    let refused = admin.post("/api/v1/machines/web/plan", json!({"bundle": faulty})).await.expect(422);
    assert_eq!(refused.code(), "invalid_definition");
    assert_eq!(admin.post("/api/v1/machines/none/plan", json!({"bundle": definition()})).await.expect(404).code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_uses_is_kept_for_who_may_see_it_and_told_as_it_comes() {
    let world = World::start().await;
    let executor = world.executor_of(Engine::Libvirt).await;
    let ada = world.user("ada", "user").await;
    let (id, path) = (machine(&ada).await, "/api/v1/machines/web/figures");
    let none = ada.get(path).await.expect(200).json;
    assert_eq!((&none["machine_id"], &none["times"], &none["cpu"]["values"]), (&json!(id), &json!([]), &json!([])));

    let sample = |id: &str, cpu: u64, read: Option<u64>| json!({"machine_id": id, "cpus": 2, "cpu": cpu, "memory": 1024, "resident": 512, "read": read, "written": read, "received": 4, "sent": 6});
    let other = "0195f0c8-1111-7000-8000-000000000001";
    let mut live = ada.stream("/api/v1/events").await;
    // What cannot be read stops nothing; and the service may not listen yet.
    executor.measures(json!("nonsense")).await;
    let heard = orrery_tests::eventually("figures to be heard", SOON, || async {
        executor.measures(json!([sample(&id, 1500, Some(10)), sample(other, 7, None)])).await;
        let told = ada.get(path).await.expect(200).json;
        Ok(told["times"].as_array().map(Vec::len).filter(|count| *count > 0))
    });
    let before = heard.await.unwrap();
    let event = read_until(&mut live, |event| event.kind == "figures").await.pop().unwrap();
    assert_eq!((event.id.as_str(), event.data), ("", json!({})), "who comes back has no use for it");
    executor.measures(json!([sample(&id, 20, None)])).await;
    let look =
        || async { Ok(Some(ada.get(path).await.json).filter(|told| told["times"].as_array().is_some_and(|times| times.len() > before))) };
    let told = orrery_tests::eventually("the next sample", SOON, look).await.unwrap();
    let last = |column: &str| (told[column]["unit"].clone(), told[column]["values"].as_array().unwrap()[before - 1..].to_vec());
    assert_eq!(last("cpu"), (json!("milliprocessors"), vec![json!(1500), json!(20)]));
    assert_eq!(last("cpus"), (json!("processors"), vec![json!(2), json!(2)]));
    assert_eq!(last("read"), (json!("bytes_per_second"), vec![json!(10), Value::Null]));
    assert_eq!((&told["every_seconds"], &told["window_seconds"]), (&json!(5), &json!(900)));
    assert!(told["times"].as_array().unwrap().iter().all(|time| time.as_str() <= told["now"].as_str()), "{told}");

    assert_eq!(world.user("eve", "user").await.get(path).await.expect(404).code(), "not_found");
    assert_eq!(world.anonymous().get(path).await.expect(401).code(), "unauthenticated");
    assert_eq!(world.admin().get(&format!("/api/v1/machines/{other}/figures")).await.expect(404).code(), "not_found");
}
