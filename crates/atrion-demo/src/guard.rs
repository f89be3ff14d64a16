//! What may stand before the service.

use std::str::FromStr;

/// One protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing.
    Nothing,
    /// Atrion as it comes.
    Atrion,
    /// `tower`'s `LoadShed` over its `ConcurrencyLimit`, told the true number of workers.
    Limit,
    /// AIMD of `tower-resilience-adaptive` under `LoadShed`, told the callers' objective.
    ResilienceAimd,
    /// AIMD of `congestion-limiter`, told the callers' objective.
    CongestionAimd,
}

impl Guard {
    /// Those that are compared under the same overload: Atrion first, then the crates of others.
    pub(crate) const CONTESTANTS: [Self; 4] =
        [Self::Atrion, Self::Limit, Self::ResilienceAimd, Self::CongestionAimd];

    const ALL: [Self; 5] =
        [Self::Nothing, Self::Atrion, Self::Limit, Self::ResilienceAimd, Self::CongestionAimd];

    /// Its name on the command line and in the figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "unprotected",
            Self::Atrion => "protected",
            Self::Limit => "tower",
            Self::ResilienceAimd => "tr-aimd",
            Self::CongestionAimd => "cl-aimd",
        }
    }

    /// What it is called in tables.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Nothing => "unprotected",
            Self::Atrion => "with Atrion",
            Self::Limit => "tower limit",
            Self::ResilienceAimd => "tr-aimd",
            Self::CongestionAimd => "cl-aimd",
        }
    }
}

impl FromStr for Guard {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|guard| guard.name() == name);
        found.ok_or_else(|| format!("there is no protection `{name}`; there are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_is_found_by_its_name() {
        for guard in Guard::ALL {
            assert_eq!(guard.name().parse(), Ok(guard));
        }
        let why = "armour".parse::<Guard>().expect_err("no such thing");
        assert!(why.contains("armour") && why.contains("tr-aimd"), "{why}");
    }
}
