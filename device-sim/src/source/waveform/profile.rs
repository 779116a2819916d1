//! What kinds of devices a simulated fleet consists of, and what its members are called.
//!
//! Takes a device's number in the fleet and gives its profile, id and title.

use std::str::FromStr;

use protocol::ids::Id;

use super::{
    boiler::Boiler, cold_room::ColdRoom, greenhouse::Greenhouse, hall::Hall, meter::Meter, noise::Rng, plant::Plant,
    press::Press, weather::Weather,
};

/// A kind of simulated device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Air, light and soil under glass.
    Greenhouse,
    /// A gas boiler's water and burner.
    Boiler,
    /// A hydraulic press, with an accelerometer.
    Press,
    /// A freezer room with a door.
    ColdRoom,
    /// An electricity meter.
    Meter,
    /// A hall with people in it.
    Hall,
    /// A weather station.
    Weather,
}

impl Profile {
    /// Every profile, in the order in which a fleet takes them.
    pub const ALL: [Self; 7] =
        [Self::Greenhouse, Self::Boiler, Self::Press, Self::ColdRoom, Self::Meter, Self::Hall, Self::Weather];

    /// The profile of the device with this number (from 0) in a mixed fleet: each in its turn.
    pub fn of(index: u32) -> Self {
        Self::ALL[index as usize % Self::ALL.len()]
    }

    /// What it is called in options and ids.
    pub fn key(self) -> &'static str {
        match self {
            Self::Greenhouse => "greenhouse",
            Self::Boiler => "boiler",
            Self::Press => "press",
            Self::ColdRoom => "cold-room",
            Self::Meter => "meter",
            Self::Hall => "hall",
            Self::Weather => "weather",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Greenhouse => "Greenhouse",
            Self::Boiler => "Boiler",
            Self::Press => "Press",
            Self::ColdRoom => "Cold room",
            Self::Meter => "Electricity meter",
            Self::Hall => "Hall",
            Self::Weather => "Weather station",
        }
    }

    pub(super) fn plant(self, time_us: i64, rng: &mut Rng) -> Box<dyn Plant> {
        match self {
            Self::Greenhouse => Box::new(Greenhouse::new(time_us, rng)),
            Self::Boiler => Box::new(Boiler::new(time_us, rng)),
            Self::Press => Box::new(Press::new(time_us, rng)),
            Self::ColdRoom => Box::new(ColdRoom::new(rng)),
            Self::Meter => Box::new(Meter::new(time_us, rng)),
            Self::Hall => Box::new(Hall::new(time_us, rng)),
            Self::Weather => Box::new(Weather::new(rng)),
        }
    }
}

/// No profile has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no profile is called {name:?}: there are {}", Profile::ALL.map(Profile::key).join(", "))]
pub struct UnknownProfile {
    name: String,
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        let named = Self::ALL.into_iter().find(|profile| profile.key() == name);
        named.ok_or_else(|| UnknownProfile { name: name.to_owned() })
    }
}

/// Who a simulated device says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Such as `cold-room-2`.
    pub id: Id,
    /// Such as `Cold room 2`.
    pub title: String,
    /// Such as `simulated cold-room`: nobody shall take it for a real one.
    pub model: String,
}

impl Identity {
    /// The device with this number (from 0) in a fleet that consists of `profile` alone, or of all of them in turn.
    pub fn of(index: u32, profile: Option<Profile>) -> Self {
        let (profile, number) = match profile {
            Some(profile) => (profile, index + 1),
            None => (Profile::of(index), index / Profile::ALL.len() as u32 + 1),
        };
        Self {
            id: Id::new(&format!("{}-{number}", profile.key())).expect("a key and a number make an id"),
            title: format!("{} {number}", profile.title()),
            model: format!("simulated {}", profile.key()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_device_of_a_fleet_has_an_id_of_its_own() {
        for profile in [None, Some(Profile::Meter)] {
            let ids: HashSet<String> = (0..1_000).map(|index| Identity::of(index, profile).id.to_string()).collect();
            assert_eq!(ids.len(), 1_000);
        }
        assert_eq!(Identity::of(0, None).id.as_str(), "greenhouse-1");
        assert_eq!(Identity::of(10, None).title, "Cold room 2");
        assert_eq!(Identity::of(10, Some(Profile::Meter)).id.as_str(), "meter-11");
    }

    #[test]
    fn a_profile_is_found_by_its_key_and_a_wrong_one_names_the_right_ones() {
        for profile in Profile::ALL {
            assert_eq!(profile.key().parse(), Ok(profile));
        }
        let error = "fridge".parse::<Profile>().unwrap_err().to_string();
        assert!(error.contains("\"fridge\"") && error.contains("cold-room"), "{error}");
    }
}
