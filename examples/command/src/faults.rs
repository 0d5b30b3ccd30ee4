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

    /// This family, or all of a group such as `clock`, and those that are named in the same way; all others are off.
    /// `power-cut,fsync-error` names two.
    #[must_use]
    pub fn only(mut self, families: impl AsRef<str>) -> Faults {
        self.only.extend(names(families.as_ref()).map(String::from));
        self
    }

    /// All of these but one, or but a group such as `clock`. `power-cut,fsync-error` names two.
    #[must_use]
    pub fn without(mut self, families: impl AsRef<str>) -> Faults {
        self.without.extend(names(families.as_ref()).map(String::from));
        self
    }

    /// Whether anything may go wrong.
    pub fn are_on(&self) -> bool {
        self.on
    }

    /// Whether a family may be met.
    pub fn has(&self, family: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == family || is_of(family, name));
        self.on && (self.only.is_empty() || named(&self.only)) && !named(&self.without)
    }

    /// The swarm with these families only; `None` when there are none.
    #[must_use]
    pub fn of(&self, swarm: Swarm) -> Option<Swarm> {
        let swarm = swarm.without(members(&self.without));
        let swarm = if self.only.is_empty() { swarm } else { swarm.only(members(&self.only)) };
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

/// The names in a list with commas.
pub(crate) fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
}

/// The groups of families: what the names of several begin with, up to a hyphen.
pub(crate) fn groups(families: &[&'static str]) -> Vec<&'static str> {
    let prefixes = families.iter().filter_map(|family| Some(family.split_once('-')?.0));
    let mut groups: Vec<_> = prefixes.collect();
    groups.sort_unstable();
    let several: Vec<_> = groups.chunk_by(|a, b| a == b).filter(|same| same.len() > 1).collect();
    several.into_iter().map(|same| same[0]).collect()
}

fn is_of(family: &str, group: &str) -> bool {
    family.strip_prefix(group).is_some_and(|rest| rest.starts_with('-'))
}

/// The families of these names, some of which are of groups.
fn members(names: &[String]) -> Vec<String> {
    let all = sim::families();
    let members = names.iter().flat_map(|name| {
        let of_group: Vec<String> =
            all.iter().filter(|family| is_of(family, name)).map(|family| family.to_string()).collect();
        if of_group.is_empty() { vec![name.clone()] } else { of_group }
    });
    members.collect()
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
        assert!(!Faults::on().without("clock").has("clock-drift"));
        assert!(Faults::on().only("clock").has("clock-drift") && !Faults::on().only("clock").has("kill"));
        assert_eq!(had(Faults::on()), [true, true, true]);
        assert_eq!(had(Faults::off()), [false, false, false]);
        assert_eq!(had(Faults::on().without("kill").without("dns")), [false, true, false]);
        assert_eq!(Faults::on().without("kill,dns"), Faults::on().without("kill").without("dns"));
        assert_eq!(had(Faults::on().only("kill").only("loss").without("kill")), [false, true, false]);
    }

    #[test]
    fn groups_are_what_several_names_begin_with() {
        assert_eq!(groups(&["slow-cpu", "clock-step", "kill", "clock-drift"]), ["clock"]);
        let names = ["clock", "gateway"].map(str::to_string);
        let members = members(&names);
        assert!(
            members.iter().any(|name| name == "clock-step") && members.iter().any(|name| name == "gateway")
        );
        assert!(!members.contains(&names[0]));
    }

    #[test]
    fn the_arguments_ask_for_the_same() {
        assert_eq!(Faults::on().arguments(), "");
        assert_eq!(Faults::off().without("kill").arguments(), " --faults off");
        assert_eq!(Faults::on().only("dns").without("kill").arguments(), " --only dns --without kill");
    }
}
