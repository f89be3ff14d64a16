//! The choice among several routes: softmax over their resistance.

use super::{Flow, Rejection};
use crate::error::OutOfRange;
use crate::math;
use crate::units::{Ohms, UnitInterval, Volts};

/// Steepest choice: differences of a millionth of an ohm decide.
const BETA_MAX: f64 = 1e6;

/// A route to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its present resistance.
    pub resistance: Ohms,
    /// Whether its circuit is open; an open route is never chosen.
    pub open: bool,
}

/// Chooses one of the routes that are not open; the lower its resistance, the likelier.
///
/// # Equation
///
/// ```text
/// Pr(j) = exp(−β·(R_j − R_min)) / Σ exp(−β·(R_i − R_min))       over routes that are not open
/// ```
///
/// Subtracting the smallest resistance changes no probability, but keeps the best route's term
/// at 1: without it all terms underflow on high resistances, and the published implementation
/// then picks the last route. `draw` is uniform in `[0, 1)` and comes from the caller. A route
/// whose probability is 0 is never chosen. `None` if every route is open.
///
/// # Errors
/// [`OutOfRange`] unless `beta_per_ohm` is in `[0, 1e6]`.
///
/// ```
/// use atrion_core::flow::{Candidate, choose};
/// use atrion_core::units::{Ohms, UnitInterval};
///
/// let route = |ohms: u32, open| Candidate { resistance: Ohms::from(ohms), open };
/// let routes = [route(900, false), route(1_000_000, false), route(1, true)];
/// assert_eq!(choose(&routes, 1.0, UnitInterval::HALF)?, Some(0));
/// assert_eq!(choose(&routes[2..], 1.0, UnitInterval::HALF)?, None);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn choose(
    routes: &[Candidate],
    beta_per_ohm: f64,
    draw: UnitInterval,
) -> Result<Option<usize>, OutOfRange> {
    choose_where(routes, beta_per_ohm, draw, |_, route| !route.open)
}

/// The probability with which [`choose`] picks `routes[index]`; 0 if that is open or absent.
///
/// # Errors
/// [`OutOfRange`] unless `beta_per_ohm` is in `[0, 1e6]`.
///
/// ```
/// use atrion_core::flow::{Candidate, probability};
/// use atrion_core::units::Ohms;
///
/// let routes = [Candidate { resistance: Ohms::from(10_u32), open: false }; 4];
/// assert_eq!(probability(&routes, 1.0, 2)?, 0.25);
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn probability(
    routes: &[Candidate],
    beta_per_ohm: f64,
    index: usize,
) -> Result<f64, OutOfRange> {
    let softmax = Softmax::over(routes, beta_per_ohm, |_, route| !route.open)?;
    let chosen = routes.get(index).filter(|route| !route.open);
    Ok(chosen.map_or(0.0, |route| softmax.share(*route)))
}

/// Passes on `routes[preferred]` if the voltage suffices there, and otherwise looks for another
/// route that it overcomes, chosen as by [`choose`].
///
/// # Errors
/// [`OutOfRange`] unless `beta_per_ohm` is in `[0, 1e6]`.
///
/// ```
/// use atrion_core::flow::{Candidate, Flow, Priority, redirect};
/// use atrion_core::units::{Ohms, UnitInterval};
///
/// let route = |ohms: u32| Candidate { resistance: Ohms::from(ohms), open: false };
/// let routes = [route(60), route(70), route(10)];
/// let flow = redirect(Priority::High.volts(), 0, &routes, 0.1, UnitInterval::ZERO)?;
/// assert_eq!(flow, Flow::Redirect(2));
/// # Ok::<(), atrion_core::error::OutOfRange>(())
/// ```
pub fn redirect(
    voltage: Volts,
    preferred: usize,
    routes: &[Candidate],
    beta_per_ohm: f64,
    draw: UnitInterval,
) -> Result<Flow, OutOfRange> {
    let here = routes.get(preferred).map_or(Flow::Reject(Rejection::CircuitOpen), |route| {
        super::decide(voltage, route.resistance, route.open)
    });
    let passable =
        |_: usize, route: &Candidate| super::decide(voltage, route.resistance, route.open).passes();
    let other = choose_where(routes, beta_per_ohm, draw, passable)?;
    Ok(match (here, other) {
        (Flow::Reject(_), Some(index)) => Flow::Redirect(index),
        _ => here,
    })
}

/// The normalisation of one choice.
struct Softmax {
    beta: f64,
    least: f64,
    total: f64,
}

impl Softmax {
    fn over(
        routes: &[Candidate],
        beta_per_ohm: f64,
        allowed: impl Fn(usize, &Candidate) -> bool,
    ) -> Result<Self, OutOfRange> {
        let beta = OutOfRange::check("beta", beta_per_ohm, "1/ohm", 0.0, BETA_MAX)?;
        let open = || routes.iter().enumerate().filter(|(i, route)| allowed(*i, route));
        let least = open().map(|(_, route)| route.resistance).min().unwrap_or(Ohms::ZERO).get();
        let mut this = Self { beta, least, total: 0.0 };
        this.total = open().fold(0.0, |sum, (_, route)| sum + this.term(*route));
        Ok(this)
    }

    fn term(&self, route: Candidate) -> f64 {
        math::exp(-self.beta * (route.resistance.get() - self.least))
    }

    /// The best route's term is 1, so the total is never 0.
    fn share(&self, route: Candidate) -> f64 {
        self.term(route) / self.total
    }
}

fn choose_where(
    routes: &[Candidate],
    beta_per_ohm: f64,
    draw: UnitInterval,
    allowed: impl Fn(usize, &Candidate) -> bool,
) -> Result<Option<usize>, OutOfRange> {
    let softmax = Softmax::over(routes, beta_per_ohm, &allowed)?;
    let mut cumulative = 0.0;
    let mut chosen = None;
    for (index, route) in routes.iter().enumerate().filter(|(i, route)| allowed(*i, route)) {
        let share = softmax.share(*route);
        if share > 0.0 {
            cumulative += share;
            // Rounding may leave the sum below the draw: then the last possible route stands.
            chosen = Some(index);
            if draw.get() < cumulative {
                break;
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes(ohms: &[f64]) -> Vec<Candidate> {
        let candidate = |r: &f64| Candidate { resistance: Ohms::try_new(*r).unwrap(), open: false };
        ohms.iter().map(candidate).collect()
    }

    /// Without subtracting the maximum every term underflows and the last route wins.
    #[test]
    fn high_resistances_do_not_make_the_last_route_win() {
        let all_high = routes(&[1_000.0, 10_000.0, 1_000_000.0]);
        for draw in [0.0, 0.25, 0.5, 0.999_999, 1.0] {
            let draw = UnitInterval::try_new(draw).unwrap();
            assert_eq!(choose(&all_high, 1.0, draw), Ok(Some(0)));
        }
    }

    #[test]
    fn an_impossible_route_is_not_chosen_even_at_the_edges() {
        let first_impossible = routes(&[1e6, 1.0]);
        assert_eq!(choose(&first_impossible, 1.0, UnitInterval::ZERO), Ok(Some(1)));
        let last_impossible = routes(&[1.0, 1e6]);
        assert_eq!(choose(&last_impossible, 1.0, UnitInterval::ONE), Ok(Some(0)));
    }

    #[test]
    fn nobody_to_choose() {
        assert_eq!(choose(&[], 1.0, UnitInterval::HALF), Ok(None));
        for beta in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(choose(&routes(&[1.0]), beta, UnitInterval::HALF).is_err());
        }
    }

    #[test]
    fn redirect_prefers_home_and_never_helps_the_weak_past_the_gate() {
        let both = routes(&[3.0, 1.0]);
        let volts = |v: u32| Volts::from(v);
        let go = |v| redirect(volts(v), 0, &both, 1.0, UnitInterval::HALF).unwrap();
        assert_eq!(go(5), Flow::Pass);
        assert_eq!(go(2), Flow::Redirect(1));
        let refused =
            Rejection::InsufficientVoltage { voltage: volts(1), resistance: Ohms::from(3_u32) };
        assert_eq!(go(1), Flow::Reject(refused));
    }

    proptest! {
        #[test]
        fn probabilities_add_up_and_follow_resistance(
            ohms in prop::collection::vec(0.0..1e6_f64, 1..9), beta in 0.0..10.0, draw in 0.0..1.0,
        ) {
            let all = routes(&ohms);
            let p: Vec<f64> =
                (0..all.len()).map(|i| probability(&all, beta, i).unwrap()).collect();
            prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for i in 0..all.len() {
                for j in 0..all.len() {
                    prop_assert!(ohms[i] < ohms[j] || p[i] <= p[j]);
                }
            }
            let chosen = choose(&all, beta, UnitInterval::try_new(draw).unwrap()).unwrap();
            prop_assert!(chosen.is_some_and(|i| p[i] > 0.0));
        }

        #[test]
        fn draws_pick_in_proportion(a in 0.0..3.0, b in 0.0..3.0) {
            let both = routes(&[a, b]);
            let half = |i: u32| UnitInterval::try_new(f64::from(i) / 1000.0).unwrap();
            let first = (0..1000).filter(|i| choose(&both, 1.0, half(*i)) == Ok(Some(0))).count();
            let expected = probability(&both, 1.0, 0).unwrap() * 1000.0;
            prop_assert!((first as f64 - expected).abs() <= 1.0, "{first} for {expected}");
        }
    }
}
