//! What a person and a publisher do with an installation, from the first start to a start over what was there.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::asked::Person;
use super::publisher;
use super::site::Site;
use crate::say;
use crate::shell;

/// Every service, in the order in which each is started again in the middle of an apply.
const SERVICES: [&str; 5] = ["docker-executor", "nats", "postgres", "projector", "api"];

pub(super) fn tell(site: &mut Site, machines: bool) -> Result<()> {
    let person = first_start(site)?;
    let hello = Hello { name: site.thing("hello"), person };
    hello.apply_and_roll_back()?;
    let beacon = site.thing("beacon");
    a_publisher(site, &beacon)?;
    for service in SERVICES {
        hello.in_the_middle(site, service)?;
    }
    hello.down_and_up(site)?;
    hello.upgrade(site)?;
    if machines {
        super::machines::tell(site, &hello.person)?;
    }
    let began = Instant::now();
    for stack in [&hello.name, &format!("ci%2F{beacon}")] {
        let deleted = hello.person.does(&format!("/api/v1/stacks/{stack}/delete"), Some(&json!({"volumes": true})))?;
        // What the container wrote as root the executor cannot remove: it says so, and holds nobody up.
        ensure!(deleted["reason"].as_str().is_some_and(|reason| reason.contains("stays")), "{deleted:#}");
    }
    ensure!(hello.containers()?.is_empty(), "containers are left");
    say::done("story", "the stacks are gone", began);
    Ok(())
}

fn first_start(site: &Site) -> Result<Person> {
    let began = Instant::now();
    site.up()?;
    say::done("story", "everything is up", began);
    site.check_confinement()?;
    let person = Person::sign_in(site.port(), &site.shown("password")?)?;
    let page = person.say("GET", "/", None)?;
    ensure!(page.status == 200 && page.head.to_lowercase().contains("text/html"), "no page: {}", page.head);
    ensure!(site.shown("token")?.len() > 20, "the administrator has no token");
    say::done("story", "the administrator signed in", began);
    Ok(person)
}

/// The definition of such a stack; another word replaces the container.
fn definition(word: &str) -> Value {
    json!({"files": {"compose.yaml": include_str!("hello.yaml").replace("the-word", word)}})
}

/// A stack of one container, and the person who owns it.
struct Hello {
    name: String,
    person: Person,
}

impl Hello {
    fn path(&self, below: &str) -> String {
        format!("/api/v1/stacks/{}{below}", self.name)
    }

    fn apply_and_roll_back(&self) -> Result<()> {
        let began = Instant::now();
        self.person.does("/api/v1/stacks", Some(&json!({"name": self.name, "bundle": definition("one")})))?;
        self.person.does(&self.path("/apply/1"), None)?;
        self.says("one")?;
        self.person.does(&self.path("/versions"), Some(&json!({"bundle": definition("two")})))?;
        self.person.does(&self.path("/apply/2"), None)?;
        self.says("two")?;
        self.person.does(&self.path("/rollback/1"), None)?;
        self.says("one")?;
        say::done("story", "a stack was applied and rolled back", began);
        Ok(())
    }

    fn containers(&self) -> Result<Vec<String>> {
        Site::containers(&[&format!("label=com.docker.compose.project={}", self.name)])
    }

    /// The one container says this: from a file that the executor wrote and the engine mounted.
    fn says(&self, word: &str) -> Result<()> {
        let names = self.containers()?;
        ensure!(names.len() == 1, "there are {names:?}");
        let name = names.first().context("there is none")?;
        let said = shell::quiet(shell::command("docker").args(["exec", name, "cat", "/word"]))?;
        ensure!(said.trim() == word, "the container says {said}, and not {word}");
        Ok(())
    }

    /// Starts a service again while an apply runs; the apply ends well.
    fn in_the_middle(&self, site: &Site, service: &str) -> Result<()> {
        let began = Instant::now();
        let made = self.person.does(&self.path("/versions"), Some(&json!({"bundle": definition(service)})))?;
        let version = made["version"].as_u64().context("a version without a number")?;
        let id = self.person.command(&self.path(&format!("/apply/{version}")), None)?;
        self.person.running(&id)?;
        site.run(&["restart", service])?;
        self.person.done(&id)?;
        self.says(service)?;
        say::done("story", &format!("{service} was started again in the middle of an apply"), began);
        Ok(())
    }

    /// What must be there after everything was down.
    fn facts(&self) -> Result<[Value; 3]> {
        let paths = ["/api/v1/commands?limit=100", &self.path("/versions"), &self.path("")];
        let [commands, versions, stack] = paths.map(|path| self.person.get(path));
        Ok([commands?, versions?, stack?["current_version"].clone()])
    }

    fn down_and_up(&self, site: &Site) -> Result<()> {
        let began = Instant::now();
        let (before, running) = (self.facts()?, self.containers()?);
        site.run(&["down", "--timeout", "20"])?;
        ensure!(self.containers()? == running, "what ran does not run any more");
        site.up()?;
        self.nothing_is_lost(&before)?;
        say::done("story", "down and up again, and nothing is lost", began);
        Ok(())
    }

    /// Other images under another tag take the place of what runs.
    fn upgrade(&self, site: &mut Site) -> Result<()> {
        let began = Instant::now();
        let before = self.facts()?;
        site.next_release()?;
        site.up()?;
        self.nothing_is_lost(&before)?;
        say::done("story", "images of another release were put in place, and nothing is lost", began);
        Ok(())
    }

    /// The session of before still holds too: it lies in the database.
    fn nothing_is_lost(&self, before: &[Value; 3]) -> Result<()> {
        let after = self.facts()?;
        ensure!(*before == after, "something is lost:\n{before:#?}\n{after:#?}");
        self.says(SERVICES.last().context("no services")?)
    }
}

fn a_publisher(site: &Site, stack: &str) -> Result<()> {
    let began = Instant::now();
    let create = json!({"type": "stack.create", "target": stack, "payload": {"bundle": definition("beacon")}});
    let apply = json!({"type": "stack.apply", "target": stack, "payload": {"version": 1}});
    for (id, command) in [("01997f2e-6f0a-7c3e-9a51-3f0b8a4a2c11", create), ("01997f2e-7b15-7d02-8c94-52c1f5e0a7d3", apply)] {
        let answer = publisher::publish(site, id, &command)?;
        ensure!(answer["status"] == "DONE", "the publisher's command: {answer:#}");
    }
    say::done("story", "a publisher made a stack and applied it", began);
    Ok(())
}
