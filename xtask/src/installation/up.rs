//! `cargo xtask up`: from whatever the machine has to a running installation.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use super::lock::Lock;
use super::members::Member;
use super::record::Record;
use super::services::Built;
use super::{down, start, state};
use crate::chores::web;
use crate::folders::{self, Data};
use crate::interrupt;
use crate::say;
use crate::tools::{self, Tools};

/// Install what is missing, start everything, and stay until Ctrl-C.
#[derive(Args)]
pub(crate) struct Up {
    /// Return when everything is ready, and leave it running.
    #[arg(long)]
    detach: bool,
    /// Use the programs and the page that were built before.
    #[arg(long)]
    no_build: bool,
    /// Install and start libvirt too, where none answers: for virtual machines and system containers.
    #[arg(long)]
    machines: bool,
}

impl Up {
    pub(crate) fn run(self) -> Result<()> {
        let began = Instant::now();
        let data = Data::chosen()?;
        data.create().with_context(|| {
            format!("the data folder {} cannot be used; set ORRERY_DATA_DIR to one that you may write", data.root().display())
        })?;
        interrupt::listen()?;
        let lock = Lock::hold(&data)?;
        let mut record = Record::load(&data)?;
        if self.machines {
            tools::libvirt::find_or_start(std::env::var("ORRERY_LIBVIRT_URI").ok().as_deref().or(record.setting("ORRERY_LIBVIRT_URI")))?;
        }
        if Member::ALL.into_iter().all(|member| record.is_alive(member)) {
            say::step("running", "this installation runs already; `cargo xtask down` stops it");
            tell_where(&data, &record);
            return Ok(());
        }
        let brought = self.bring_up(&data, &mut record);
        if interrupt::requested() {
            return down::stop_all(&data);
        }
        if let Err(error) = brought {
            if !self.detach {
                down::stop_all(&data)?;
            } else if !record.processes.is_empty() {
                say::step("up", "what did start goes on; `cargo xtask down` stops it");
            }
            return Err(error);
        }
        say::done("up", "everything is ready", began);
        tell_where(&data, &record);
        drop(lock);
        if self.detach {
            return Ok(());
        }
        stay(&data)
    }

    fn bring_up(&self, data: &Data, record: &mut Record) -> Result<()> {
        if Member::ALL.into_iter().all(|member| !record.is_alive(member)) {
            // What an earlier time was told does not bind this one.
            record.settings.clear();
        }
        record.take_settings();
        check_listener(record)?;
        let tools = Tools::find_or_install(record.setting("DOCKER_HOST"))?;
        let built = if self.no_build { built_before()? } else { build()? };
        record.built = Some(built.clone());
        make_first_password(data)?;
        record.save(data)?;
        start::everything(data, record, &tools, &built)
    }
}

/// Builds the services and the page; takes no time when nothing changed.
fn build() -> Result<Built> {
    let programs = tools::cargo::build_services()?;
    let web = web::build()?;
    Ok(Built { programs, web })
}

/// The programs and the page of an earlier build.
fn built_before() -> Result<Built> {
    Ok(Built { programs: tools::cargo::built_programs(), web: web::output()? })
}

/// Somebody else at our address is a mistake that is better said before anything starts.
fn check_listener(record: &Record) -> Result<()> {
    if record.is_alive(Member::Api) {
        return Ok(());
    }
    std::net::TcpListener::bind(record.listen()).map(drop).with_context(|| {
        format!("{} cannot be listened on; choose another address: ORRERY_LISTEN=127.0.0.1:8081 cargo xtask up", record.listen())
    })
}

/// The first administrator's password: the one that was asked for, or one made up; it lies in a file until it is changed.
fn make_first_password(data: &Data) -> Result<()> {
    // The token is written with the administrator: from then on the password is his.
    if data.file("admin.token").exists() {
        return Ok(());
    }
    let chosen = std::env::var("ORRERY_ADMIN_PASSWORD").ok().filter(|chosen| !chosen.is_empty());
    let password = match (chosen, first_password(data)) {
        (Some(chosen), _) => chosen,
        (None, Some(_)) => return Ok(()),
        (None, None) => made_up_password()?,
    };
    let length = password.chars().count();
    anyhow::ensure!(
        length >= PASSWORD_AT_LEAST,
        "ORRERY_ADMIN_PASSWORD has {length} characters; an administrator's password has at least {PASSWORD_AT_LEAST}"
    );
    folders::write_private(&password_file(data), &password)
}

/// What the api takes as a password.
const PASSWORD_AT_LEAST: usize = 12;

/// Four groups of five letters and digits that cannot be mistaken for each other: 97 bits.
fn made_up_password() -> Result<String> {
    use std::io::Read;
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 20];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let groups: Vec<String> = letters.chunks(5).map(String::from_iter).collect();
    Ok(groups.join("-"))
}

/// The first password, while nobody has changed it.
pub(crate) fn first_password(data: &Data) -> Option<String> {
    folders::read_trimmed(&password_file(data))
}

fn password_file(data: &Data) -> PathBuf {
    data.file("admin.password")
}

fn tell_where(data: &Data, record: &Record) {
    println!();
    println!("address    {}", record.address());
    println!("user       admin");
    match first_password(data) {
        Some(password) => println!("password   {password}"),
        None => println!("password   the one that you chose"),
    }
    match folders::read_trimmed(&data.file("admin.token")) {
        Some(token) => println!("token      {token}"),
        None => println!("token      none: {} is not there", data.file("admin.token").display()),
    }
    println!("publisher  {}", data.file("publishers/ci.env").display());
    println!("data       {}", data.root().display());
    println!();
}

/// Stays in the foreground, says when something ends or comes back, and stops everything on Ctrl-C.
fn stay(data: &Data) -> Result<()> {
    say::step("running", "Ctrl-C stops everything");
    let mut known: Vec<(Member, state::State)> = Member::ALL.into_iter().map(|member| (member, state::State::Ready)).collect();
    while !interrupt::requested() {
        std::thread::sleep(Duration::from_millis(300));
        let record = Record::load(data)?;
        if record.processes.is_empty() {
            say::step("stopped", "somebody called `cargo xtask down`");
            return Ok(());
        }
        for (member, before) in &mut known {
            let now = state::look(data, &record, *member).state;
            if now != *before {
                tell_change(data, *member, now);
                *before = now;
            }
        }
    }
    eprintln!();
    let _lock = Lock::hold(data)?;
    down::stop_all(data)
}

fn tell_change(data: &Data, member: Member, now: state::State) {
    match now {
        state::State::Ready => say::step(member.name(), "ready"),
        state::State::Starting => say::step(member.name(), "waits"),
        state::State::Stopped => say::step(member.name(), "stopped"),
        state::State::Dead => say::step(
            member.name(),
            &format!(
                "died; its last words are in {}; `cargo xtask restart {}` starts it again",
                data.log(member.name()).display(),
                member.name()
            ),
        ),
    }
}
