//! Live screens: nothing missing, nothing twice, nobody held up.

mod joining;
mod manners;
mod slow;
