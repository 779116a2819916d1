//! The terminal: taken over at the start, given back whatever happens.

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    cursor::Show,
    execute, queue,
    terminal::{
        BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend, layout::Rect};

/// A frame of a large screen in one write: over SSH each write is a packet.
const OUTPUT_BUFFER_BYTES: usize = 64 * 1024;

/// Clicks and the wheel (1000) in the form without limits on columns (1006). Not crossterm's mouse capture: that also
/// asks for every movement of the mouse, which wakes the program and costs bytes for nothing.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Why the terminal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// The output goes to a file or a pipe.
    #[error("the output is not a terminal: use --once for a plain table")]
    NotATerminal,
    /// The terminal refused.
    #[error("cannot take over the terminal")]
    Enter(#[source] io::Error),
    /// A frame could not be written.
    #[error("cannot write to the terminal")]
    Draw(#[source] io::Error),
}

/// The terminal in full-screen mode. Dropping it gives it back; so does a panic, before its message is printed.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    restored: Arc<AtomicBool>,
}

impl Screen {
    /// Takes over standard output; `mouse` also takes clicks and the wheel.
    pub fn enter(mouse: bool) -> Result<Self, TerminalError> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Err(TerminalError::NotATerminal);
        }
        let restored = Arc::new(AtomicBool::new(false));
        let on_panic = Arc::clone(&restored);
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore(&on_panic);
            report(info);
        }));
        let take_over = || -> io::Result<_> {
            enable_raw_mode()?;
            let mut output = BufWriter::with_capacity(OUTPUT_BUFFER_BYTES, stdout);
            execute!(output, EnterAlternateScreen)?;
            if mouse {
                output.write_all(MOUSE_ON.as_bytes())?;
            }
            Terminal::new(CrosstermBackend::new(output))
        };
        match take_over() {
            Ok(terminal) => Ok(Self { terminal, restored }),
            Err(error) => {
                restore(&restored);
                Err(TerminalError::Enter(error))
            }
        }
    }

    /// Where there is to draw.
    pub fn area(&self) -> Result<Rect, TerminalError> {
        let size = self.terminal.size().map_err(TerminalError::Draw)?;
        Ok(Rect::new(0, 0, size.width, size.height))
    }

    /// Draws one frame; only what differs from the last one is written, and the terminal shows it at once.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> Result<(), TerminalError> {
        let draw = || -> io::Result<()> {
            queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
            self.terminal.draw(paint)?;
            execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
        };
        draw().map_err(TerminalError::Draw)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore(&self.restored);
    }
}

/// Gives the terminal back, once: a second time would put the cursor where it was and overwrite what has been
/// printed since. Errors are of no use here, the terminal may be gone.
fn restore(restored: &AtomicBool) {
    if restored.swap(true, Ordering::SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let _ = queue!(stdout, EndSynchronizedUpdate);
    let _ = stdout.write_all(MOUSE_OFF.as_bytes());
    let _ = execute!(stdout, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
