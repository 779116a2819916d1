//! Many links on one thread: waits for whichever has something to say.

use std::{io::ErrorKind, time::Duration};

use anyhow::Context;
use mio::{Events, Interest, Poll, Token};

use crate::link::{Link, Opening};

/// Links by number, in the order they were added.
pub struct Swarm {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    links: Vec<Link>,
}

impl Swarm {
    /// An empty one.
    pub fn new() -> anyhow::Result<Self> {
        let poll = Poll::new().context("cannot poll")?;
        Ok(Self { poll, events: Events::with_capacity(1024), scratch: vec![0; 128 * 1024], links: Vec::new() })
    }

    /// Takes over a connection whose set-up is done; gives its number.
    pub fn add(&mut self, opening: Opening) -> anyhow::Result<usize> {
        let mut link = opening.into_link()?;
        let number = self.links.len();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut link.stream, Token(number), interest).context("cannot watch a socket")?;
        self.links.push(link);
        Ok(number)
    }

    /// The link of this number.
    pub fn link(&mut self, number: usize) -> &mut Link {
        &mut self.links[number]
    }

    /// Bytes of all links, sent and received, since their set-up.
    pub fn bytes(&self) -> (u64, u64) {
        self.links.iter().map(Link::bytes).fold((0, 0), |sum, bytes| (sum.0 + bytes.0, sum.1 + bytes.1))
    }

    /// Waits at most `timeout` and gives every message that has come, with its link's number.
    pub fn turn(&mut self, timeout: Duration, mut each: impl FnMut(usize, &[u8])) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error).context("cannot poll"),
        }
        for event in &self.events {
            let number = event.token().0;
            let link = &mut self.links[number];
            if event.is_writable() {
                link.flush()?;
            }
            if event.is_readable() {
                link.receive(&mut self.scratch, |message| each(number, message))?;
            }
        }
        Ok(())
    }
}
