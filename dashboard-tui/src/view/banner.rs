//! The line that says that the hub is away, when the next attempt is, and how old the picture has become.

use ratatui::{buffer::Buffer, layout::Rect, text::Line, widgets::Widget};

use super::{Look, wording};
use crate::state::{State, link::Phase};

/// Draws the banner.
pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) {
    buf.set_style(area, look.theme.banner);
    let text = wording::fit(&format!(" {} ", sentence(state, look)), usize::from(area.width));
    Line::styled(text, look.theme.banner).render(area, buf);
}

fn sentence(state: &State, look: Look<'_>) -> String {
    let mut sentence = match state.link.phase {
        Phase::Waiting { attempt, until_ms } => {
            // Rounded up: "in 0 s" would promise too much.
            let seconds = (until_ms - look.now_ms).max(0).div_euclid(1_000) + 1;
            format!("RECONNECTING in {seconds} s (attempt {attempt})")
        }
        Phase::Connecting { attempt } => format!("RECONNECTING now (attempt {attempt})"),
        Phase::Live => String::new(),
    };
    if let Some(lost_at_ms) = state.link.lost_at_ms {
        let age = wording::age(state.link.hub_time_ms(look.now_ms) - lost_at_ms);
        sentence.extend([" · data is ", &age, " old"]);
    }
    if let Some(reason) = &state.link.reason {
        sentence.extend([" · ", reason]);
    }
    sentence
}
