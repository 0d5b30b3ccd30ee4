//! What goes wrong: what the nemesis plans from all families of the simulator, and one family more, the bank's gateway.
//!
//! A run warms up, has its chaos, and then must come right: either all faults end, or one of the two order workers stays
//! dead for good and everything else is healed.

use crate::gateway::{Gateway, Mood};
use crate::order::WORKERS;
use sim::decision::{Kind, below, decide, root};
use sim::fault::{End, Family, Injection, Parameter, Slot, Takes, beginning, noticed, part};
use sim::time::Duration;
use sim::{Sim, Swarm, Tolerance};
use std::ops::{Range, RangeInclusive};

/// When faults happen.
pub const CHAOS: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(17);

/// The name of the family of the bank's gateway.
pub const GATEWAY: &str = "gateway";

/// What may go wrong in the shop: of the order workers one at a time may be out of reach, of the others all.
pub fn swarm(gateway: &Gateway) -> Swarm {
    Swarm::default()
        .during(CHAOS)
        .tolerate_of(WORKERS, Tolerance::new().down(1))
        // A service that loses its disk has lost its promises.
        .without(["wipe"])
        .with(OfGateway(gateway.clone()))
}

/// Ends the chaos, in one of two ways that the seed chooses.
pub async fn end(sim: Sim) {
    match decide(root(Kind::Phase, 0, 0), Kind::FaultArg, 0, |draw| below(draw, 2)) {
        0 => sim.heal().await,
        _ => _ = sim.heal_core().await,
    }
}

/// The bank's gateway is slow, or its answers are lost.
struct OfGateway(Gateway);

impl Family for OfGateway {
    fn name(&self) -> &'static str {
        GATEWAY
    }

    fn weight(&self) -> u32 {
        20
    }

    fn lasts(&self) -> RangeInclusive<Duration> {
        Duration::from_millis(100)..=Duration::from_secs(4)
    }

    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let slow = slot.amount_of_time(Duration::from_millis(150)..=Duration::from_millis(550));
        let silent = slot.pick(part::MANNER, 2) == 1;
        let (mood, parameter) = match silent {
            true => (Mood::Silent, Parameter::word("answers", "lost")),
            false => (Mood::Slow(slow), Parameter::time("answers after", slow)),
        };
        let gateway = self.0.clone();
        let begin = move |_| -> End {
            gateway.set_mood(mood);
            let fault = beginning();
            gateway.on_answer(move || fault.into_iter().for_each(noticed));
            Box::new(move || gateway.set_mood(Mood::Well))
        };
        Some(Injection {
            target: "the bank".to_string(),
            nodes: Vec::new(),
            parameters: vec![parameter],
            takes: Takes::default(),
            begin: Box::new(begin),
        })
    }
}
