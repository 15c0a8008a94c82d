//! Calls at random.
