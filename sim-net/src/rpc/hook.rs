//! Hooks of the test on calls of a type: to count them, to slow them down, to lose one.

use super::Request;
use crate::network::op;
use sim_core::hash::Map;
use sim_core::world::WorldId;
use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// What is known of a call before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The node that calls.
    pub from: String,
    /// The address as the client was made with.
    pub to: String,
    /// The request's name.
    pub name: &'static str,
}

/// What a hook has become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Deliver,
    /// It is sent later.
    Delay(Duration),
    /// It is never sent; the caller runs into its deadline.
    Lose,
    /// It is carried out, but the caller does not hear of it and runs into its deadline.
    LoseReply,
    /// The caller is told at once that the connection broke; nothing was sent.
    Fail,
}

type Decide = Rc<dyn Fn(&dyn Any, &Call) -> Fate>;

#[derive(Default)]
struct Hooks {
    world: Option<WorldId>,
    last: u64,
    by_type: Map<TypeId, Vec<(u64, Decide)>>,
}

thread_local! {
    static HOOKS: RefCell<Hooks> = RefCell::default();
}

/// Ends when it is dropped.
#[derive(Debug)]
#[must_use = "the hook ends when this is dropped"]
pub struct Hook {
    of: TypeId,
    id: u64,
}

/// Shows each call with a request of type `Q`, from whichever node, to `decide` before it is sent, until the guard is
/// dropped. With several hooks, the first that does not say [`Fate::Deliver`] counts.
///
/// # Panics
/// Outside of a simulation.
#[track_caller]
pub fn hook<Q: Request>(decide: impl Fn(&Q, &Call) -> Fate + 'static) -> Hook {
    let world = op(|_, k| k.world());
    let decide: Decide = Rc::new(move |request, call| match request.downcast_ref::<Q>() {
        Some(request) => decide(request, call),
        None => Fate::Deliver,
    });
    let of = TypeId::of::<Q>();
    let old = HOOKS.with_borrow_mut(|hooks| {
        let old = (hooks.world != Some(world)).then(|| std::mem::take(&mut hooks.by_type));
        hooks.world = Some(world);
        hooks.last += 1;
        hooks.by_type.entry(of).or_default().push((hooks.last, decide));
        (old, hooks.last)
    });
    Hook { of, id: old.1 }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // What the hook captured is foreign and is dropped after the borrow.
        let _dropped = HOOKS.try_with(|hooks| {
            let mut hooks = hooks.borrow_mut();
            let all = hooks.by_type.get_mut(&self.of)?;
            let at = all.iter().position(|h| h.0 == self.id)?;
            Some(all.remove(at))
        });
    }
}

/// What the hooks have become of a call.
pub(super) fn ask<Q: Request>(request: &Q, to: &str) -> Fate {
    let none = HOOKS.with_borrow(|h| h.by_type.get(&TypeId::of::<Q>()).is_none_or(Vec::is_empty));
    if none {
        return Fate::Deliver;
    }
    let (world, from) = op(|_, k| (k.world(), k.machine(k.here()).name.to_string()));
    let hooks: Vec<Decide> = HOOKS.with_borrow(|hooks| {
        let mine = hooks.by_type.get(&TypeId::of::<Q>()).filter(|_| hooks.world == Some(world));
        mine.into_iter().flatten().map(|h| h.1.clone()).collect()
    });
    let call = Call { from, to: to.into(), name: Q::NAME };
    hooks
        .iter()
        .map(|decide| decide(request, &call))
        .find(|fate| *fate != Fate::Deliver)
        .unwrap_or(Fate::Deliver)
}

/// The world is over.
pub(crate) fn forget_hooks() {
    let _dropped = HOOKS.try_with(|hooks| std::mem::take(&mut *hooks.borrow_mut()));
}
