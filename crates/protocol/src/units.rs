//! Units: `SenML`'s registry names (RFC 8428 section 12.1, RFC 8798) as people read them; any other text as it is.

/// How a unit is shown: `Cel` → `°C`; a text that is no registered name is given back unchanged.
pub fn display(unit: &str) -> &str {
    match unit {
        "Cel" => "°C",
        "%RH" => "% RH",
        "%EL" => "%",
        "/" | "count" => "",
        "degF" => "°F",
        "EL" => "s left",
        "m2" => "m²",
        "m3" => "m³",
        "m/s2" => "m/s²",
        "W/m2" => "W/m²",
        "m3/s" => "m³/s",
        "l" => "L",
        "l/s" => "L/s",
        "Ohm" => "Ω",
        "uV" => "µV",
        "ug/m3" => "µg/m³",
        "1/s" => "/s",
        "1/min" => "/min",
        "beat/min" => "bpm",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn registered_names_are_translated_and_other_text_is_kept() {
        assert_eq!(super::display("Cel"), "°C");
        assert_eq!(super::display("%RH"), "% RH");
        assert_eq!(super::display("bar"), "bar");
        assert_eq!(super::display("°F"), "°F");
    }
}
