//! A door or window contact: closed most of the time, open now and then.
//!
//! Takes elapsed time and how busy people are, gives the state.

use super::noise::{Rng, waiting_time};

/// Shortest time that a door stays as it is, seconds: nobody passes through it faster.
const DWELL_S_MIN: f64 = 2.0;

/// A door with random openings.
#[derive(Debug, Clone)]
pub(super) struct Contact {
    closed_s: f64,
    open_s: f64,
    is_open: bool,
    left_s: f64,
}

impl Contact {
    /// Closed at first; on a busy day it stays closed for `closed_s` and open for `open_s` seconds in the mean.
    pub(super) fn new(closed_s: f64, open_s: f64, rng: &mut Rng) -> Self {
        Self { closed_s, open_s, is_open: false, left_s: DWELL_S_MIN + waiting_time(closed_s, rng) }
    }

    /// Goes on by `elapsed_s` seconds. `activity` from 0 (nobody there: what is closed stays closed) to 1.
    pub(super) fn step(&mut self, elapsed_s: f64, activity: f64, rng: &mut Rng) {
        self.left_s -= if self.is_open { elapsed_s } else { elapsed_s * activity };
        if self.left_s <= 0.0 {
            self.is_open = !self.is_open;
            let mean_s = if self.is_open { self.open_s } else { self.closed_s };
            self.left_s = DWELL_S_MIN + waiting_time(mean_s, rng);
        }
    }

    /// Whether it is open.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn it_dwells_as_long_as_it_should() {
        let mut rng = Rng::seed_from_u64(5);
        let mut door = Contact::new(300.0, 20.0, &mut rng);
        let (mut open_s, mut openings) = (0, 0);
        let days_s = 10 * 86_400;
        for _ in 0..days_s {
            let was_open = door.is_open();
            door.step(1.0, 1.0, &mut rng);
            openings += u32::from(door.is_open() && !was_open);
            open_s += u32::from(door.is_open());
        }
        assert!((2_300..3_100).contains(&openings), "{openings} openings");
        assert!((18.0..27.0).contains(&(f64::from(open_s) / f64::from(openings))), "{open_s} s open");
    }

    #[test]
    fn nobody_opens_it_at_night() {
        let mut rng = Rng::seed_from_u64(6);
        let mut door = Contact::new(10.0, 10.0, &mut rng);
        for _ in 0..10_000 {
            door.step(1.0, 0.0, &mut rng);
            assert!(!door.is_open());
        }
    }
}
