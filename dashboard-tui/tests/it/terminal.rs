//! The real program in a pseudo-terminal: whatever ends it, the terminal is given back.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{fake_hub::FakeHub, farm};

const PATIENCE: Duration = Duration::from_secs(20);
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// A program in a terminal of its own.
struct InTerminal {
    child: Child,
    master: File,
    slave: File,
    modes: Termios,
    output: mpsc::Receiver<Vec<u8>>,
    seen: String,
}

impl InTerminal {
    fn start(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let path = ptsname(&master, Vec::new()).expect("a name");
        let path = path.into_string().expect("text");
        let slave = File::options().read(true).write(true).open(path).expect("opened");
        tcsetwinsize(&slave, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).expect("sized");
        let modes = tcgetattr(&slave).expect("modes");
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().expect("cloned")));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("started");
        let master = File::from(master);
        let mut reader = master.try_clone().expect("cloned");
        let (sender, output) = mpsc::sync_channel(64);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, master, slave, modes, output, seen: String::new() }
    }

    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let patience = deadline.saturating_duration_since(Instant::now());
            let bytes = self.output.recv_timeout(patience);
            let bytes = bytes.unwrap_or_else(|_| panic!("waited in vain for {text:?} in {} bytes", self.seen.len()));
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Waits for the end; the terminal must be as it was.
    fn ends_well(mut self) -> (String, bool) {
        self.wait_for(LEAVE);
        self.wait_for(SHOW_CURSOR);
        let status = self.child.wait().expect("ended");
        let modes = tcgetattr(&self.slave).expect("modes");
        let before = (self.modes.input_modes, self.modes.output_modes, self.modes.local_modes);
        assert_eq!((modes.input_modes, modes.output_modes, modes.local_modes), before);
        assert!(self.seen.contains("\x1b[?1000l"), "the mouse is given back");
        while let Ok(bytes) = self.output.try_recv() {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (self.seen.clone(), status.success())
    }
}

async fn dashboard() -> (InTerminal, FakeHub) {
    let hub = FakeHub::start(farm::devices()).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashboard-tui"));
    command.args(["--hub", &hub.address.to_string()]).env("TERM", "xterm-256color").env_remove("NO_COLOR");
    let started = tokio::task::spawn_blocking(move || {
        let mut program = InTerminal::start(command);
        program.wait_for(ENTER);
        program.wait_for("greenhouse-1");
        program
    });
    (started.await.expect("started"), hub)
}

#[tokio::test]
async fn signals_end_it_and_the_terminal_is_given_back() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (program, _hub) = dashboard().await;
        kill_process(Pid::from_child(&program.child), signal).expect("sent");
        let ended = tokio::task::spawn_blocking(|| program.ends_well()).await;
        assert!(ended.expect("as it was").1, "{signal:?}");
    }
}

#[tokio::test]
async fn keys_reach_it_and_q_leaves() {
    let (mut program, _hub) = dashboard().await;
    let ended = tokio::task::spawn_blocking(move || {
        program.master.write_all(b"?").expect("typed");
        program.wait_for(" Keys ");
        program.master.write_all(b"q").expect("typed");
        program.ends_well()
    });
    assert!(ended.await.expect("as it was").1);
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "terminal::panics_on_the_screen", "--ignored", "--nocapture"]);
    let program = InTerminal::start(command);
    let (seen, success) = program.ends_well();
    assert!(!success);
    let left = seen.find(LEAVE).expect("left");
    let reported = seen.find("the reason of this panic").expect("reported");
    assert!(left < reported && seen.matches(LEAVE).count() == 1, "{seen:?}");
}

#[test]
#[ignore = "the program that the test above runs"]
fn panics_on_the_screen() {
    let mut screen = dashboard_tui::terminal::Screen::enter(true).expect("a terminal");
    screen.draw(|frame| frame.render_widget("something", frame.area())).expect("drawn");
    panic!("the reason of this panic");
}
