//! Live screens: nothing missing, nothing twice, nobody held up.

mod carried;
mod joining;
mod manners;
mod slow;
