//! Whom an evaluation over many runs compares: policies by name, and the engine with other numbers.

use atrion_core::law::LawConfig;
use atrion_engine::{BuildError, Config};

use crate::error::StudyError;
use crate::policy::{Choice, Context, Engine, ModelConfig, PerRoute, Policy, Reference};

/// A policy to be evaluated, under the name its results get.
///
/// ```
/// use atrion_core::law::LawConfig;
/// use atrion_sim::Candidate;
///
/// let peer = Candidate::parse("gradient2")?;
/// let law = LawConfig::builder().queue_min(4.0).build()?;
/// let ours = Candidate::with_law("longer queue", &law)?;
/// assert_eq!((peer.label(), ours.label()), ("gradient2", "longer queue"));
/// assert!(peer.is_peer() && !ours.is_peer());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Candidate {
    label: String,
    maker: Maker,
}

#[derive(Clone, Debug)]
enum Maker {
    Named(Choice),
    Engine(Box<Config>),
    Model(Box<ModelConfig>),
}

/// Policies that are nobody's product: references to compare with, not peers.
const NO_PEERS: [&str; 8] =
    ["atrion", "process", "reported", "threshold", "oracle", "unlimited", "static", "reference"];

impl Candidate {
    /// A policy by its name; the oracle is none, since every evaluation has it anyway.
    ///
    /// # Errors
    /// [`StudyError::Policy`] with what is known.
    pub fn parse(name: &str) -> Result<Self, StudyError> {
        let choice = Choice::parse(name)?;
        if choice.is_oracle() {
            return Err(StudyError::Twice { name: name.to_owned() });
        }
        Ok(Self { label: name.to_owned(), maker: Maker::Named(choice) })
    }

    /// The shipped engine with a configuration.
    pub fn with_config(label: impl Into<String>, config: Config) -> Self {
        Self { label: label.into(), maker: Maker::Engine(Box::new(config)) }
    }

    /// The shipped engine with other numbers of the control law.
    ///
    /// # Errors
    /// [`StudyError::Config`] if the engine refuses them.
    pub fn with_law(label: impl Into<String>, law: &LawConfig) -> Result<Self, StudyError> {
        Ok(Self::with_config(label, Config::builder().law(law.clone()).build()?))
    }

    /// The published reference model with other settings; it gets the true mean and parallelism.
    pub fn with_model(label: impl Into<String>, model: ModelConfig) -> Self {
        Self { label: label.into(), maker: Maker::Model(Box::new(model)) }
    }

    /// The name in results.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether it is somebody else's way of admission control.
    pub fn is_peer(&self) -> bool {
        let named = |choice: &Choice| {
            let name = choice.name().split_once(':').map_or(choice.name(), |(kind, _)| kind);
            !NO_PEERS.contains(&name)
        };
        matches!(&self.maker, Maker::Named(choice) if named(choice))
    }

    /// A fresh policy for one run.
    ///
    /// # Errors
    /// [`BuildError`] if the engine cannot be built.
    pub fn make(&self, context: &Context) -> Result<Box<dyn Policy>, BuildError> {
        match &self.maker {
            Maker::Named(choice) => choice.make(context),
            Maker::Engine(config) => {
                Ok(Box::new(Engine::with_config(context, config.as_ref().clone())?))
            }
            Maker::Model(model) => Ok(Box::new(PerRoute::new(context.routes.len(), |_| {
                Reference::with_config(**model, context.mean_secs, context.parallelism)
            }))),
        }
    }

    /// Refuses an empty list, and names that occur twice.
    pub(crate) fn check_all(candidates: &[Self]) -> Result<(), StudyError> {
        if candidates.is_empty() {
            return Err(StudyError::Nothing { what: "policy" });
        }
        for (index, candidate) in candidates.iter().enumerate() {
            if candidates.iter().take(index).any(|other| other.label == candidate.label) {
                return Err(StudyError::Twice { name: candidate.label.clone() });
            }
        }
        Ok(())
    }
}
