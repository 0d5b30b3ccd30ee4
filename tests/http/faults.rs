//! What becomes of HTTP when things go wrong, at which instant.
