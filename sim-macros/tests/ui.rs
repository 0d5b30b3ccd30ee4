//! Wrong uses of `#[sim_test]` do not compile, and say at the place that is wrong how it is written.

#[test]
fn wrong_uses_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
