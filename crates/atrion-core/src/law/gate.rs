//! What an arrival needs to know: the published form of a route's state.

use crate::math;

/// The resistance no voltage overcomes.
pub const WALL_OHMS: f64 = 1e6;
/// Arrivals over which the ground potential follows the traffic's voltage.
const GROUND_ARRIVALS: f64 = 256.0;

/// The state of a route as arrivals see it; a plain value, recomputed at every tick.
///
/// ```text
/// y = max(0, (n + 1 - C·g) / Q)      R = floor + v_g·y·[y > h]      admit iff V > R
/// ```
///
/// | symbol  | field        | unit     |
/// |---------|--------------|----------|
/// | `C·g`   | `free_zone`  | requests |
/// | `Q`     | `queue`      | requests |
/// | `floor` | `floor_ohms` | ohm      |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Base resistance plus everything that does not depend on the in-flight count, in ohms.
    pub floor_ohms: f64,
    /// Requests in flight, the asking one included, up to which nobody waits.
    pub free_zone: f64,
    /// Requests over which the traffic's voltage drops once.
    pub queue: f64,
    /// h: up to this current the queue is a passing one and resists nobody, whatever the voltage.
    /// From 1 (no queue stood lately) to 0 (the queue stands).
    pub passing: f64,
    /// Beyond the free zone stands a wall instead of a queue (start-up and exhale).
    pub wall: bool,
    /// Only probes pass.
    pub open: bool,
    /// Every sample must reach the law on its own, with its in-flight count (start-up, exhale).
    pub exact: bool,
    /// Requests admitted at up to this in-flight count show the bare service time.
    pub uncontended: u32,
}

impl Gate {
    /// y: the queue current an arrival meets that would be number `in_flight`, itself included.
    pub fn current(&self, in_flight: u32) -> f64 {
        math::max((f64::from(in_flight) - self.free_zone) / self.queue, 0.0)
    }

    /// Ohms that saturation adds for such an arrival, at ground potential `ground_volts`.
    pub fn saturation_ohms(&self, in_flight: u32, ground_volts: f64) -> f64 {
        let current = self.current(in_flight);
        if current > 0.0 && self.wall {
            WALL_OHMS
        } else if current <= self.passing {
            0.0
        } else {
            ground_volts * current
        }
    }

    /// R: what an arrival has to overcome that would be number `in_flight`, itself included.
    pub fn resistance(&self, in_flight: u32, ground_volts: f64) -> f64 {
        let ohms = self.floor_ohms + self.saturation_ohms(in_flight, ground_volts);
        math::min(ohms, WALL_OHMS)
    }

    /// The in-flight count up to which nobody waits and the fast path may admit.
    pub fn calm_limit(&self) -> u32 {
        self.free_zone as u32
    }

    /// Requests in flight up to which voltage `volts` passes.
    pub fn limit(&self, volts: f64, ground_volts: f64) -> f64 {
        let headroom = volts - self.floor_ohms;
        if headroom <= 0.0 {
            0.0
        } else if self.wall {
            self.free_zone
        } else {
            let current = math::max(headroom / math::max(ground_volts, 1e-9), self.passing);
            self.free_zone + self.queue * current
        }
    }
}

/// The ground potential after one more arrival of `volts`: the mean voltage of recent traffic,
/// so that a route carrying a single tier, whichever it is, gets the queue it was given.
pub fn ground_after(ground_volts: f64, volts: f64) -> f64 {
    ground_volts + (volts - ground_volts) / GROUND_ARRIVALS
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: Gate = Gate {
        floor_ohms: 0.1,
        free_zone: 10.0,
        queue: 8.0,
        passing: 0.5,
        wall: false,
        open: false,
        exact: false,
        uncontended: 8,
    };

    #[test]
    fn a_passing_queue_resists_no_voltage_above_the_floor() {
        let ohms = |number| GATE.resistance(number, 20.0);
        // Half of the queue of 8 beyond the free zone of 10.
        assert!((1..=14).all(|number| (ohms(number) - 0.1).abs() < 1e-12));
        assert!((ohms(15) - (0.1 + 20.0 * 5.0 / 8.0)).abs() < 1e-12);
        assert!((GATE.limit(1.0, 20.0) - 14.0).abs() < 1e-12);
        // The floor counts all the same, and whoever could wait longer still can.
        assert!(GATE.limit(0.1, 20.0).abs() < 1e-12);
        assert!((GATE.limit(20.1, 20.0) - 18.0).abs() < 1e-12);
    }

    #[test]
    fn a_standing_queue_resists_from_its_first_request_on() {
        let gate = Gate { passing: 0.0, ..GATE };
        assert!((gate.resistance(11, 20.0) - 2.6).abs() < 1e-12);
        assert!((1..40).all(|n| gate.resistance(n, 20.0) <= gate.resistance(n + 1, 20.0)));
        assert!((1..40).all(|n| GATE.resistance(n, 20.0) <= gate.resistance(n, 20.0)));
    }

    #[test]
    fn a_wall_is_a_wall_however_short_the_queue() {
        let gate = Gate { wall: true, ..GATE };
        assert!((gate.resistance(11, 20.0) - WALL_OHMS).abs() < 1e-6);
    }
}
