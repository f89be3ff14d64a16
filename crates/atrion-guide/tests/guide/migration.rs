//! What `docs/migration.md` promises besides compiling.

use std::time::Duration;

use atrion::core::breaker::{Mode, RouteState, update_physics};
use atrion::core::config::PhysicsConfig;
use atrion::{Atrion, Config, ManualClock, Telemetry, Timestamp};

use crate::common::{fences, page};

/// Whole numbers below `below`, the same in every run.
struct Draws(u64);

impl Draws {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Whoever moves from the pure function to the instance gets the same answers.
#[test]
fn the_pure_function_and_the_instance_decide_alike() {
    let mut opened = 0;
    for seed in 0..20 {
        let mut draws = Draws(seed);
        let physics = PhysicsConfig::builder()
            .weight_latency_ohms(draws.next(20) as f64)
            .damping_ohm_secs(draws.next(3) as f64)
            .build()
            .unwrap();
        let config = Config::builder().physics(physics.clone()).build().unwrap();
        let clock = ManualClock::new();
        let atrion = Atrion::builder().config(config).clock(clock.clone()).build().unwrap();
        let route = atrion.route("route");
        let mut now = Timestamp::from_secs(1);
        // A route of the instance begins with its first report.
        let mut state = RouteState::new(now, &physics);
        for step in 0..500 {
            let failing = (step / 100) % 2 == 1;
            let failures = if failing { 10 } else { draws.next(3) };
            let sample = Telemetry::builder()
                .outcomes(10 - failures.min(10), failures)
                .latency(Duration::from_millis(draws.next(400)))
                .saturation(draws.next(120) as f64 / 100.0);
            clock.set(now);
            let decided = route.update_physics(&sample.build().unwrap());
            let (next, pure) = update_physics(&state, sample, now, &physics).unwrap();
            assert_eq!(decided, pure, "seed {seed}, step {step}");
            state = next;
            opened += u32::from(pure.mode == Mode::CircuitBreaker);
            now = now.saturating_add(Duration::from_millis(1 + draws.next(250)));
        }
    }
    assert!(opened > 1000, "only {opened} decisions were those of an open circuit");
}

#[test]
fn the_file_of_settings_shows_the_defaults() {
    let files = fences(&page("migration.md"), "toml");
    let [(_, text)] = &files[..] else { panic!("one file, not {}", files.len()) };
    assert!(text.lines().count() >= 8, "{text}");
    assert_eq!(toml::from_str::<Config>(text).unwrap(), Config::default());
}

/// Rows that name one setting say its default in the next column.
#[test]
fn the_defaults_in_the_table_are_those_of_the_law() {
    let known = toml::Table::try_from(Config::default()).unwrap();
    let mut compared = 0;
    for line in page("migration.md").lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [.., name, default] = cells[..] else { continue };
        let setting = name.trim().strip_prefix('`').and_then(|name| name.strip_suffix('`'));
        let Some((part, field)) = setting.and_then(|setting| setting.split_once('.')) else {
            continue;
        };
        let Some(value) = known.get(part).and_then(|part| part.get(field)) else { continue };
        let said = default.split([' ', ',', ';', ':']).next().unwrap_or_default();
        let said: f64 = said.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
        let shipped = value.as_float().expect("a number");
        assert!((said - shipped).abs() < 1e-12, "{line}: it is {shipped}");
        compared += 1;
    }
    assert!(compared >= 6, "only {compared} rows were compared");
}
