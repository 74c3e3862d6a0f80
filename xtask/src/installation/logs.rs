//! `cargo xtask logs [name] [-f]`: the logs of one process or of all, each line with its process's name when there are several.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::members::Member;
use crate::folders::Data;

/// Show the log of one process, or of all.
#[derive(Args)]
pub(crate) struct Logs {
    /// Which one; all when none is named.
    #[arg(value_enum)]
    name: Option<Member>,
    /// Go on with what comes.
    #[arg(short, long)]
    follow: bool,
    /// The last so many lines of each.
    #[arg(short = 'n', long, default_value_t = 200)]
    tail: usize,
}

/// One log that is being read.
struct Reading {
    prefix: String,
    file: BufReader<File>,
    unfinished: String,
}

impl Logs {
    pub(crate) fn run(self) -> Result<()> {
        let data = Data::chosen()?;
        let members: Vec<Member> = self.name.map_or_else(|| Member::ALL.to_vec(), |name| vec![name]);
        let several = members.len() > 1;
        let mut readings = Vec::new();
        for member in members {
            let path = data.log(member.name());
            let Ok(file) = File::open(&path) else {
                anyhow::ensure!(several, "there is no log yet: {}", path.display());
                continue;
            };
            let prefix = if several { format!("{:<17} ", member.name()) } else { String::new() };
            readings.push(Reading { prefix, file: BufReader::new(file), unfinished: String::new() });
        }
        let shown = show(&mut readings, self.tail, self.follow);
        match shown {
            // Whoever reads us has seen enough.
            Err(error) if is_closed_pipe(&error) => Ok(()),
            Ok(()) | Err(_) => shown,
        }
    }
}

fn show(readings: &mut [Reading], tail: usize, follow: bool) -> Result<()> {
    for reading in readings.iter_mut() {
        reading.last(tail)?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        let mut any = false;
        for reading in readings.iter_mut() {
            any |= reading.fresh()?;
        }
        if !any {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

impl Reading {
    /// Shows the last lines that are there; no more than the last four mebibytes are looked at.
    fn last(&mut self, tail: usize) -> Result<()> {
        let length = self.file.seek(SeekFrom::End(0))?;
        let from = length.saturating_sub(4 * 1024 * 1024);
        self.file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut self.file, &mut bytes).context("the log cannot be read")?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let mut out = std::io::stdout().lock();
        for line in &lines[lines.len().saturating_sub(tail)..] {
            writeln!(out, "{}{line}", self.prefix)?;
        }
        Ok(out.flush()?)
    }

    /// Shows what came; says whether anything did.
    fn fresh(&mut self) -> Result<bool> {
        let mut any = false;
        let mut out = std::io::stdout().lock();
        let mut line = Vec::new();
        while self.file.read_until(b'\n', &mut line)? > 0 {
            self.unfinished.push_str(&String::from_utf8_lossy(&line));
            line.clear();
            if self.unfinished.ends_with('\n') {
                write!(out, "{}{}", self.prefix, self.unfinished)?;
                self.unfinished.clear();
                any = true;
            }
        }
        out.flush()?;
        Ok(any)
    }
}
