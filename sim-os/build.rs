//! Decides whether the guards can be compiled for this target, and says why where they cannot.
//!
//! Sets `cfg(guarded)` where they are compiled, and the variable `SIM_OS_UNGUARDED` with the reason where they are
//! not, so that the probe can name it. A build script is also what cargo demands of a package with a `links` key,
//! and that key makes cargo refuse two versions of this crate, which would define the same symbols, in one program.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(guarded)");
    match obstacle() {
        Some(reason) => println!("cargo::rustc-env=SIM_OS_UNGUARDED={reason}"),
        None => println!("cargo::rustc-cfg=guarded"),
    }
}

fn obstacle() -> Option<&'static str> {
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    if std::env::var_os("CARGO_FEATURE_GUARDS").is_none() {
        return Some("the feature `guards` of sim-os is off");
    }
    if std::env::var_os("CARGO_CFG_MIRI").is_some() {
        return Some("Miri does not link libc symbols");
    }
    if !var("CARGO_CFG_SANITIZE").is_empty() {
        return Some("a sanitizer brings its own definitions of the guarded symbols");
    }
    if var("CARGO_CFG_TARGET_OS") != "linux" {
        return Some("guards exist for Linux only so far");
    }
    if !matches!(var("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64")
        || var("CARGO_CFG_TARGET_POINTER_WIDTH") != "64"
    {
        return Some("guards exist for 64-bit x86_64 and aarch64 only so far");
    }
    if var("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static") {
        return Some(
            "in a static build (crt-static) the C library defines the same symbols in the same program",
        );
    }
    if var("CARGO_CFG_TARGET_ENV") != "gnu" {
        return Some("guards need the GNU C library so far");
    }
    None
}
