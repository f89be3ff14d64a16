//! The rules between fields. Each guards against a configuration whose numbers are allowed one by
//! one, and which would yet shut a route for good or leave it unprotected.

use super::PhysicsConfig;
use crate::error::ConfigError;

/// One rule: `field` must be `relation` `other`.
struct Rule {
    field: &'static str,
    value: f64,
    relation: &'static str,
    other: &'static str,
    other_value: f64,
    holds: bool,
}

pub(super) fn check(c: &PhysicsConfig) -> Result<(), ConfigError> {
    let below = |field, value: f64, other, other_value: f64| Rule {
        field,
        value,
        relation: "below",
        other,
        other_value,
        holds: value < other_value,
    };
    let at_most = |field, value: f64, other, other_value: f64| Rule {
        field,
        value,
        relation: "at most",
        other,
        other_value,
        holds: value <= other_value,
    };
    let lowest = ("physics.lowest_volts", c.lowest_volts);
    let stale =
        c.base_ohms + if c.staleness_ohms_per_sec > 0.0 { c.staleness_max_ohms } else { 0.0 };
    let rules = [
        // Voltages must fit the base resistance, or a tier never passes an idle route.
        below(
            "physics.base_ohms times bootstrap_factor",
            c.base_ohms * c.bootstrap_factor,
            lowest.0,
            lowest.1,
        ),
        below("physics.base_ohms plus staleness_max_ohms", stale, lowest.0, lowest.1),
        // A recovery threshold below the base is never reached by a resistance.
        below("physics.base_ohms", c.base_ohms, "physics.recovery_ohms", c.recovery_ohms),
        // Without room between them the circuit flaps.
        below("physics.recovery_ohms", c.recovery_ohms, "physics.break_ohms", c.break_ohms),
        below(
            "physics.recovery_ohms",
            c.recovery_ohms,
            "physics.tuner_floor_ohms",
            c.tuner_floor_ohms,
        ),
        // A scar that cannot reach the threshold never opens anything.
        at_most("physics.break_ohms", c.break_ohms, "physics.scar_max_ohms", c.scar_max_ohms),
        below(
            "physics.break_ohms",
            c.break_ohms,
            "physics.trauma_ohms_per_sec over healing_per_sec",
            c.trauma_ohms_per_sec / c.healing_per_sec,
        ),
        at_most("physics.scar_max_ohms", c.scar_max_ohms, "physics.ceiling_ohms", c.ceiling_ohms),
        at_most(
            "physics.tuner_floor_ohms",
            c.tuner_floor_ohms,
            "physics.tuner_ceiling_ohms",
            c.tuner_ceiling_ohms,
        ),
        at_most(
            "physics.tuner_ceiling_ohms",
            c.tuner_ceiling_ohms,
            "physics.scar_max_ohms",
            c.scar_max_ohms,
        ),
    ];
    match rules.into_iter().find(|rule| !rule.holds) {
        None => Ok(()),
        Some(Rule { field, value, relation, other, other_value, .. }) => {
            Err(ConfigError::Conflict { field, value, relation, other, other_value })
        }
    }
}
