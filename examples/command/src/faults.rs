//! Which families of faults a run may meet.

use sim::Swarm;

/// A choice of families, by their names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    on: bool,
    only: Vec<String>,
    without: Vec<String>,
}

impl Faults {
    /// Everything may go wrong.
    pub fn on() -> Faults {
        Faults { on: true, only: Vec::new(), without: Vec::new() }
    }

    /// Nothing goes wrong.
    pub fn off() -> Faults {
        Faults { on: false, ..Faults::on() }
    }

    /// This family and those that are named in the same way; all others are off.
    #[must_use]
    pub fn only(mut self, family: impl Into<String>) -> Faults {
        self.only.push(family.into());
        self
    }

    /// All of these but one.
    #[must_use]
    pub fn without(mut self, family: impl Into<String>) -> Faults {
        self.without.push(family.into());
        self
    }

    /// Whether a family may be met.
    pub fn has(&self, family: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == family);
        self.on && (self.only.is_empty() || named(&self.only)) && !named(&self.without)
    }

    /// The swarm with these families only; `None` when there are none.
    #[must_use]
    pub fn of(&self, swarm: Swarm) -> Option<Swarm> {
        let swarm = swarm.without(self.without.iter().cloned());
        let swarm = if self.only.is_empty() { swarm } else { swarm.only(self.only.iter().cloned()) };
        self.on.then_some(swarm)
    }

    /// The arguments that ask for this.
    pub(crate) fn arguments(&self) -> String {
        if !self.on {
            return " --faults off".to_string();
        }
        let only = self.only.iter().map(|family| format!(" --only {family}"));
        only.chain(self.without.iter().map(|family| format!(" --without {family}"))).collect()
    }
}

impl Default for Faults {
    fn default() -> Self {
        Faults::on()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_not_had() {
        let had = |faults: Faults| ["kill", "loss", "dns"].map(|family| faults.has(family));
        assert_eq!(had(Faults::on()), [true, true, true]);
        assert_eq!(had(Faults::off()), [false, false, false]);
        assert_eq!(had(Faults::on().without("kill").without("dns")), [false, true, false]);
        assert_eq!(had(Faults::on().only("kill").only("loss").without("kill")), [false, true, false]);
    }

    #[test]
    fn the_arguments_ask_for_the_same() {
        assert_eq!(Faults::on().arguments(), "");
        assert_eq!(Faults::off().without("kill").arguments(), " --faults off");
        assert_eq!(Faults::on().only("dns").without("kill").arguments(), " --only dns --without kill");
    }
}
