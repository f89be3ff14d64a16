use super::*;

#[test]
fn the_defaults_are_valid() {
    assert_eq!(PhysicsConfig::builder().build(), Ok(PhysicsConfig::default()));
}

#[test]
fn every_field_refuses_what_is_out_of_its_range_by_name() {
    for (name, set, min, max) in FIELDS {
        let outside = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, min - 1.0, max * 2.0 + 1.0];
        for bad in outside {
            let error = set(PhysicsConfig::builder(), bad).build().unwrap_err();
            let ConfigError::OutOfRange(error) = error else {
                panic!("{name} = {bad}: {error}");
            };
            assert_eq!(error.field.strip_prefix("physics."), Some(*name));
            assert_eq!(error.value.to_bits(), bad.to_bits());
        }
    }
}

#[test]
fn contradictions_are_refused_by_name() {
    let b = PhysicsConfig::builder;
    for (builder, field, other) in [
        (b().base_ohms(1.0), "base_ohms", "lowest_volts"),
        (b().base_ohms(0.9), "bootstrap_factor", "lowest_volts"),
        (b().staleness_ohms_per_sec(0.1).staleness_max_ohms(0.9), "staleness", "lowest_volts"),
        (b().recovery_ohms(0.05), "base_ohms", "recovery_ohms"),
        (b().recovery_ohms(100.0), "recovery_ohms", "break_ohms"),
        (b().recovery_ohms(40.0), "recovery_ohms", "tuner_floor"),
        (b().break_ohms(501.0), "break_ohms", "scar_max"),
        (b().trauma_ohms_per_sec(9.0), "break_ohms", "trauma"),
        (b().ceiling_ohms(400.0), "scar_max", "ceiling"),
        (b().tuner_floor_ohms(600.0), "tuner_floor", "tuner_ceiling"),
        (b().tuner_ceiling_ohms(501.0), "tuner_ceiling", "scar_max"),
    ] {
        let text = builder.build().unwrap_err().to_string();
        assert!(text.contains(field) && text.contains(other), "{text}: {field}, {other}");
    }
}

#[test]
fn silence_that_costs_nothing_needs_no_bound() {
    assert!(PhysicsConfig::builder().staleness_max_ohms(5.0).build().is_ok());
}

/// The thresholds that the documentation of the defaults states.
#[test]
fn tiers_are_shed_one_after_another_as_documented() {
    use crate::flow::Priority;
    use crate::pressure::Pressure;
    use crate::telemetry::Telemetry;
    use crate::units::PerSecond;

    let config = PhysicsConfig::default();
    let sheds = |saturation: f64, tier: Priority| {
        let sample = Telemetry::builder().saturation(saturation).build().unwrap();
        let p = config.baseline().pressure(&sample, Pressure::CALM);
        let parts = config.impedance().parts(p, PerSecond::ZERO, Ohms::ZERO, Ohms::ZERO);
        !tier.volts().overcomes(parts.total())
    };
    for (tier, from) in [
        (Priority::Bulk, 0.81),
        (Priority::Low, 0.87),
        (Priority::Normal, 1.08),
        (Priority::High, 1.75),
    ] {
        assert!(!sheds(from - 0.01, tier) && sheds(from + 0.01, tier), "{tier} at {from}");
    }
    assert!(!sheds(1000.0, Priority::Critical));
}

#[cfg(feature = "serde")]
mod serde {
    use super::super::*;

    #[test]
    fn files_cannot_bypass_validation() {
        let config: PhysicsConfig =
            serde_json::from_str(r#"{"break_ohms": 150.0, "adaptive_break": true}"#).unwrap();
        let expected = PhysicsConfig::builder().break_ohms(150.0).adaptive_break(true).build();
        assert_eq!(Ok(config), expected);
        for (bad, named) in [
            (r#"{"break_ohm": 1.0}"#, "break_ohm"),
            (r#"{"break_ohms": -1.0}"#, "physics.break_ohms"),
            (r#"{"break_ohms": 4.0}"#, "physics.recovery_ohms"),
        ] {
            let error = serde_json::from_str::<PhysicsConfig>(bad).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn survives_a_round_trip() {
        let config = PhysicsConfig::builder().tanh_scale(2.0).build().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<PhysicsConfig>(&text).unwrap(), config);
    }
}
