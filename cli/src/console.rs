//! The serial console of a machine, in this terminal. Every key goes to the guest but Ctrl and ], which lead out.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::api::{Api, Socket, encode};

/// Ctrl and ].
const WAY_OUT: u8 = 0x1d;
/// A close with a code from here on is the status of a refusal.
const REFUSED: u16 = 4000;

/// Shows the console until the guest ends, or somebody leaves.
///
/// # Errors
/// Why there is nothing to be seen, or no more.
pub(crate) async fn carry(api: &Api, machine: &str) -> anyhow::Result<()> {
    let mut socket = api.socket(&format!("/machines/{}/console", encode(machine))).await?;
    let typed = std::io::stdin().is_terminal();
    if typed {
        eprintln!("the console of {machine}; Ctrl and ] lead out");
    }
    let raw = typed.then(Raw::begin).transpose()?;
    let ended = both_ways(&mut socket).await;
    drop(raw);
    if typed {
        eprintln!();
    }
    ended
}

/// Keys as they are pressed, until this is dropped.
struct Raw;

impl Raw {
    fn begin() -> anyhow::Result<Self> {
        enable_raw_mode().context("this terminal gives no single keys")?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}

async fn both_ways(socket: &mut Socket) -> anyhow::Result<()> {
    let (mut input, mut keys) = (tokio::io::stdin(), [0; 1024]);
    let mut listening = true;
    loop {
        tokio::select! {
            count = input.read(&mut keys), if listening => {
                let pressed = keys.get(..count.context("what is typed cannot be read")?).unwrap_or_default();
                let (said, leaves) = until_way_out(pressed);
                if !said.is_empty() {
                    socket.send(Message::binary(said.to_vec())).await.context("the connection broke")?;
                }
                if leaves {
                    let _ = socket.close(None).await;
                    return Ok(());
                }
                // What comes from a pipe has an end; what the guest answers is still heard.
                listening = !pressed.is_empty();
            }
            heard = socket.next() => match heard {
                Some(Ok(Message::Binary(bytes))) => show(&bytes)?,
                Some(Ok(Message::Text(text))) => show(text.as_bytes())?,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(close))) => return ended(close),
                Some(Err(error)) => return Err(error).context("the connection broke"),
                None => bail!("the connection broke"),
            },
        }
    }
}

/// What goes to the guest, and whether somebody wants to leave.
fn until_way_out(pressed: &[u8]) -> (&[u8], bool) {
    match pressed.iter().position(|byte| *byte == WAY_OUT) {
        Some(at) => (pressed.get(..at).unwrap_or_default(), true),
        None => (pressed, false),
    }
}

fn show(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("nobody reads what the guest says")
}

fn ended(close: Option<CloseFrame>) -> anyhow::Result<()> {
    let Some(close) = close else { return Ok(()) };
    let reason = close.reason.as_str();
    match u16::from(close.code) {
        1000 => Ok(()),
        REFUSED.. => bail!("{reason}"),
        code if reason.is_empty() => bail!("the connection was closed ({code})"),
        _ => bail!("{reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_not_the_guests() {
        assert_eq!(until_way_out(b"ls\r"), (&b"ls\r"[..], false));
        assert_eq!(until_way_out(b"exit\r\x1dmore"), (&b"exit\r"[..], true));
    }
}
