//! What a condition says when it is asked.

use std::fmt::Display;

/// What a condition says: that it holds, or what it saw instead. Conditions give `bool`, `Option`, `Result`, or nothing at
/// all where they assert.
#[diagnostic::on_unimplemented(
    message = "a condition cannot answer with `{Self}`",
    note = "it gives a `bool`, an `Option`, a `Result` whose error can be displayed, or `()` where it asserts"
)]
pub trait Answer {
    /// What a condition that holds has found.
    type Found;
    /// What it saw instead.
    type Saw: Display;

    /// The answer as a result.
    ///
    /// # Errors
    /// What was seen instead, where the condition does not hold.
    fn answer(self) -> Result<Self::Found, Self::Saw>;
}

impl Answer for () {
    type Found = ();
    type Saw = &'static str;

    fn answer(self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Answer for bool {
    type Found = ();
    type Saw = &'static str;

    fn answer(self) -> Result<(), &'static str> {
        if self { Ok(()) } else { Err("false") }
    }
}

impl<T> Answer for Option<T> {
    type Found = T;
    type Saw = &'static str;

    fn answer(self) -> Result<T, &'static str> {
        self.ok_or("None")
    }
}

impl<T, E: Display> Answer for Result<T, E> {
    type Found = T;
    type Saw = E;

    fn answer(self) -> Result<T, E> {
        self
    }
}
