//! Configuration and telemetry, as files and dashboards bring them.

use atrion_core::telemetry::Telemetry;
use atrion_engine::Config;

use super::Target;

/// JSON or TOML for a configuration or a sample of telemetry.
pub(super) const CONFIG: Target = Target {
    name: "config",
    words: &[
        b"\"law\":",
        b"\"physics\":",
        b"[law]\n",
        b"route_limit",
        b"route_idle_secs",
        b"shadow",
        b"probe_secs",
        b"scar_max_ohms",
        b"open_ohms",
        b"latency_secs",
        b"saturation",
        b"error_rate",
        b"nan",
        b"inf",
        b"-inf",
        b"1e999",
        b"-0.0",
        b"null",
        b"true",
        b"{",
        b"}",
        b"=",
        b":",
        b"\n",
    ],
    run: config,
};

fn config(bytes: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(bytes) else { return "not text" };
    let json: Option<Config> = serde_json::from_str(text).ok();
    let toml: Option<Config> = toml::from_str(text).ok();
    let read = json.is_some() || toml.is_some();
    for config in [json, toml].into_iter().flatten() {
        let law = config.law();
        // What a file says is checked as what a builder is told.
        assert_eq!(law.to_builder().build().as_ref(), Ok(law));
        assert_eq!(config.to_builder().build().as_ref(), Ok(&config));
        let text = serde_json::to_string(&config).expect("plain data");
        assert_eq!(serde_json::from_str::<Config>(&text).ok().as_ref(), Some(&config));
        let text = toml::to_string(&config).expect("plain data");
        assert_eq!(toml::from_str::<Config>(&text).ok().as_ref(), Some(&config));
    }
    match serde_json::from_str::<Telemetry>(text) {
        Ok(sample) => {
            let numbers = [sample.latency_secs(), sample.saturation()];
            let rate = sample.error_rate().map(atrion_core::units::UnitInterval::get);
            let sound = |x: f64| x.is_finite() && x >= 0.0;
            assert!(numbers.into_iter().chain([rate]).flatten().all(sound), "{sample:?}");
            "telemetry"
        }
        Err(_) if read => "accepted",
        Err(_) => "refused",
    }
}
